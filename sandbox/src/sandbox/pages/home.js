"use strict";
const position = sessionStorage.getItem("position");
if (position) { scrollTo(0, Number(position)); sessionStorage.removeItem("position"); }
document.addEventListener("submit", () => sessionStorage.setItem("position", scrollY));
document.addEventListener("click", (event) => {
  if (event.target.matches(".copy")) getSelection().selectAllChildren(event.target);
});
const bottom = () => document.querySelectorAll(".chat").forEach((chat) => { chat.scrollTop = chat.scrollHeight; });
const shown = new Map();
const busy = (part) =>
  part.contains(document.activeElement) && document.activeElement.matches("input") ||
  part.matches(":has(button:active)") ||
  [...part.querySelectorAll("input:not([type=hidden])")].some((field) => field.value !== field.defaultValue);
async function refresh(part) {
  const answer = await fetch(part.dataset.part);
  if (!answer.ok) return;
  const text = await answer.text();
  if (text === shown.get(part) || busy(part)) return;
  shown.set(part, text);
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollTop);
  part.innerHTML = text;
  part.querySelectorAll(".scroll").forEach((box, index) => { box.scrollTop = scrolled[index] || 0; });
  bottom();
}
async function again() {
  for (const part of document.querySelectorAll("[data-part]")) await refresh(part).catch(() => undefined);
  setTimeout(again, 2000);
}
bottom();
setTimeout(again, 2000);
