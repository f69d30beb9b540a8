"""The management API of a WhatsApp Business Account: its templates listed, made and changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from notifier.account_templates import AccountTemplate, TemplateState, language_code
from notifier.catalogue import parameters_of
from notifier.template_ports import ManagementError

_FIELDS = (
    "id", "name", "language", "status", "category", "quality_score", "parameter_format", "components",
    "rejected_reason", "message_send_ttl_seconds",
)  # fmt: skip
_PER_PAGE = 200
_MOST_PAGES = 100
_FORBIDDEN = frozenset({3, 10, 100, *range(200, 300), 131005})
_WHOLE_ACCOUNT = frozenset({0, 2, 4, 190, 368, 80007, 80008, 131031})
_LONGEST_DETAILS = 300


class WhatsAppTemplates:
    """See :class:`notifier.template_ports.ManagesTemplates`. ``version`` is the Graph API's, such as ``v25.0``."""

    def __init__(self, client: httpx.AsyncClient, *, version: str, account: str) -> None:
        self._client = client
        self._version = version
        self._path = f"/{version}/{account}/message_templates"

    async def list(self) -> Sequence[AccountTemplate]:
        found: list[AccountTemplate] = []
        asked: dict[str, str] = {"fields": ",".join(_FIELDS), "limit": str(_PER_PAGE)}
        for _ in range(_MOST_PAGES):
            page = await self._call("GET", self._path, params=asked)
            rows = page.get("data")
            if not isinstance(rows, list):
                raise ManagementError("unreadable")
            found += [read_template(row) for row in rows if isinstance(row, dict)]
            paging = page.get("paging")
            # The address of the next page carries the access token; its cursor alone does as well.
            after = _inside(paging, "cursors", "after") if isinstance(paging, dict) and paging.get("next") else None
            if not isinstance(after, str):
                return found
            asked["after"] = after
        raise ManagementError("too_many_pages")

    async def create(self, definition: Mapping[str, object]) -> TemplateState:
        made = await self._call("POST", self._path, json=dict(definition))
        return TemplateState(status=_text(made.get("status")), category=_text(made.get("category")))

    async def edit(self, template_id: str, definition: Mapping[str, object]) -> None:
        answer = await self._call("POST", f"/{self._version}/{template_id}", json=dict(definition))
        if answer.get("success") is not True:
            raise ManagementError("not_edited")

    async def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, **content)
            body = response.json()
        except httpx.HTTPError as error:
            raise ManagementError(f"no_answer_{type(error).__name__}", whole_account=True) from None
        except ValueError:
            raise ManagementError(f"unreadable_{response.status_code}", whole_account=True) from None
        if not isinstance(body, dict):
            raise ManagementError(f"unreadable_{response.status_code}", whole_account=True)
        if response.is_success and "error" not in body:
            return body
        raise _refusal(response.status_code, body.get("error"), is_list=method == "GET")


def _refusal(status: int, error: object, *, is_list: bool) -> ManagementError:
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return ManagementError(f"status_{status}", whole_account=True)
    code, subcode = error["code"], error.get("error_subcode")
    said = error.get("error_user_msg") or _inside(error, "error_data", "details") or error.get("message") or ""
    reason = f"whatsapp_{code}" + (f"_{subcode}" if isinstance(subcode, int) else "")
    # A bad parameter of our fixed question can only be the account's id; of a definition it is the definition's fault.
    forbidden = code in _FORBIDDEN and (is_list or code != 100)
    return ManagementError(
        reason,
        " ".join(str(said).split())[:_LONGEST_DETAILS],
        forbidden=forbidden,
        whole_account=code in _WHOLE_ACCOUNT,
    )


def read_template(row: Mapping[str, Any]) -> AccountTemplate:
    """One row of the list; what is missing or of another shape is None."""
    parts = [part for part in row.get("components") or () if isinstance(part, dict)]
    kinds = [str(part.get("type", "")).upper() for part in parts]
    body = next((_text(part.get("text")) for part, kind in zip(parts, kinds, strict=True) if kind == "BODY"), None)
    buttons = next((part.get("buttons") for part, kind in zip(parts, kinds, strict=True) if kind == "BUTTONS"), None)
    quality = row.get("quality_score")
    return AccountTemplate(
        template_id=str(row.get("id", "")),
        name=str(row.get("name", "")),
        language=language_code(str(row.get("language", ""))),
        state=TemplateState(
            status=_text(row.get("status")),
            category=_text(row.get("category")),
            parameters=None if body is None else frozenset(parameters_of(body)),
            quality=_text(quality.get("score")) if isinstance(quality, dict) else _text(quality),
        ),
        named=str(row.get("parameter_format", "NAMED")).upper() == "NAMED",
        body=body,
        buttons=tuple(
            (str(button.get("type", "")).upper(), str(button.get("text", "")))
            for button in buttons or ()
            if isinstance(button, dict)
        ),
        other_components=tuple(kind for kind in kinds if kind not in {"BODY", "BUTTONS"}),
        ttl_seconds=_number(row.get("message_send_ttl_seconds")),
        rejected_reason=_text(row.get("rejected_reason")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None


def _inside(item: Mapping[str, Any], outer: str, inner: str) -> object:
    value = item.get(outer)
    return value.get(inner) if isinstance(value, dict) else None
