"""What must be done to the business account so that it has the catalogue's templates; and what differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from notifier.account_templates import USABLE_STATUS, AccountTemplate, why_not_usable
from notifier.catalogue import Catalogue, Template, parameters_of
from notifier.template_examples import example_texts

_EDITABLE = frozenset({USABLE_STATUS, "REJECTED", "PAUSED"})


class Act(StrEnum):
    CREATE = "create"
    EDIT = "edit"
    NOTHING = "unchanged"
    PERSON = "needs a person"


@dataclass(frozen=True, slots=True)
class Step:
    """One template in one language. ``why``: what differs, or stands in the way; ``found``: the account's."""

    act: Act
    name: str
    language: str
    why: str
    found: AccountTemplate | None
    definition: Mapping[str, Any]


def plan(catalogue: Catalogue, account: Sequence[AccountTemplate]) -> list[Step]:
    """A step for every template and language with a text, in the catalogue's order."""
    known = {template.key: template for template in account}
    steps = []
    for name, template in catalogue:
        for language, body in template.languages.items():
            found = known.get((name, language))
            definition = definition_of(name, language, template, body)
            act, why = _act(template, language, found)
            if act is Act.EDIT:
                definition = edit_of(definition, found)
            steps.append(Step(act, name, language, why, found, definition))
    return steps


def definition_of(name: str, language: str, template: Template, body: str) -> dict[str, Any]:
    """The body of the request that creates it."""
    texts = example_texts(name, language)
    examples = [{"param_name": parameter, "example": texts[parameter]} for parameter in parameters_of(body)]
    components: list[dict[str, Any]] = [{"type": "BODY", "text": body, "example": {"body_text_named_params": examples}}]
    if label := template.stop_button.get(language):
        components.append({"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": label}]})
    lasting = {"message_send_ttl_seconds": template.ttl_seconds} if template.ttl_seconds else {}
    return {
        "name": name,
        "language": language,
        "category": template.category,
        "parameter_format": "NAMED",
        "components": components,
        **lasting,
    }


def edit_of(definition: Mapping[str, Any], found: AccountTemplate | None) -> dict[str, Any]:
    """The body of the request that changes it; an approved template's category cannot be changed."""
    approved = found is not None and found.state.status == USABLE_STATUS
    fixed = {"name", "language", "parameter_format", *({"category"} if approved else ())}
    return {key: value for key, value in definition.items() if key not in fixed}


def differences(template: Template, language: str, found: AccountTemplate) -> Iterator[str]:
    """In a few words each, what an edit would mend. Examples are not compared: nobody reads them but reviewers."""
    if found.body != template.languages[language]:
        yield "text"
    label = template.stop_button.get(language)
    if found.buttons != ((("QUICK_REPLY", label),) if label else ()):
        yield "buttons"
    if found.other_components:
        yield "+".join(kind.lower() for kind in found.other_components)
    if found.ttl_seconds is not None and found.ttl_seconds != template.ttl_seconds:
        yield "time to live"
    if found.state.category != template.category:
        yield f"category {found.state.category}"


def _act(template: Template, language: str, found: AccountTemplate | None) -> tuple[Act, str]:
    if found is None:
        return Act.CREATE, "not there"
    status = found.state.status or "unknown"
    if not found.named:
        return Act.PERSON, "its parameters are numbered, which cannot be edited: delete it or take another name"
    wrong = list(differences(template, language, found))
    if not wrong:
        return Act.NOTHING, ""
    said = ", ".join(wrong) + " differs"
    if status not in _EDITABLE:
        return Act.PERSON, f"{said}; {status} cannot be edited"
    if status == USABLE_STATUS and why_not_usable(found.state) is not None and len(wrong) == 1:
        return Act.PERSON, f"re-categorised as {found.state.category}: ask for a review in WhatsApp Manager"
    return Act.EDIT, said
