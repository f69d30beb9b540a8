"""The page that shows every message as a customer reads it."""

from collections.abc import Iterator

from deploy.paths import ROOT
from notifier.catalogue import LINK_SUFFIX, Template, filled, load_catalogue
from notifier.template_examples import example_texts

_INTRODUCTION = """\
What customers read, with example values. The texts are in [config/templates.yaml](../config/templates.yaml);
`make templates-push` brings them to the WhatsApp Business Account, `make templates-status` shows how they do there.

All are utility templates with named parameters. They state facts about an invoice that the reader has, and ask. They
never threaten or advertise: Meta refuses what does, or re-categorises it as marketing, which costs several times as
much and is not sent. The button ends all messages, as typing STOP does. A reminder that WhatsApp cannot deliver
within its time is dropped, so that none arrives days after the payment."""


def template_previews(note: str) -> str:
    lines = ["# Templates", "", note, "", _INTRODUCTION, ""]
    for name, template in load_catalogue(ROOT / "config" / "policy.yaml"):
        lines += _section(name, template)
    return "\n".join(lines)


def _section(name: str, template: Template) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    lasting = f"for {template.ttl_seconds // 3600} hours" if template.ttl_seconds else "as long as WhatsApp does"
    where = " Taken with `online_link: true` when the invoice's link is known." if name.endswith(LINK_SUFFIX) else ""
    yield f"Category {template.category}, delivered {lasting}.{where}"
    yield f"Parameters: {', '.join(f'`{parameter}`' for parameter in template.parameters)}."
    yield ""
    for language, body in template.languages.items():
        yield f"`{language}`"
        yield ""
        yield f"> {filled(body, example_texts(name, language))}"
        if label := template.stop_button.get(language):
            yield ">"
            yield f"> `[ {label} ]`"
        yield ""
