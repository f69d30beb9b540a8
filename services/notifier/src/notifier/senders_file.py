"""The file of senders beside the default one: number, provider, pace and, with Twilio, the ids of its templates.

No secret stands in it: each sender's is in ``DUEBELL_SENDER_SECRETS`` under its name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from notifier.catalogue import Catalogue
from notifier.halts import ACCOUNT
from notifier.senders import senders_in
from notifier.template_examples import needed_by
from shared.errors import ConfigurationError
from shared.policy import DEFAULT_SENDER, Language, Policy, SenderName, TemplateName
from shared.yaml_lines import LinedYaml

_RESERVED = frozenset({DEFAULT_SENDER, ACCOUNT})


class _Pieces(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Sender(_Pieces):
    messages_per_second: float = Field(default=80, gt=0, le=1000)
    recipients_per_day: int = Field(default=0, ge=0)
    """0: any number."""


class MetaSender(_Sender):
    """One more number of WhatsApp's Cloud API, of Meta itself or of who hands out its credentials."""

    provider: Literal["meta"]
    phone_number_id: str = Field(pattern=r"^[\w-]{1,64}$")
    api_url: str = "https://graph.facebook.com"
    api_version: str = Field(default="v25.0", pattern=r"^v\d+\.\d+$")
    business_account_id: str | None = Field(default=None, pattern=r"^[\w-]+$")

    @property
    def number(self) -> str:
        return self.phone_number_id


class ContentTemplate(_Pieces):
    """``variables``: Twilio's name → our parameter, or our parameters in the order of 1, 2, 3; else alike."""

    content_sid: str = Field(pattern=r"^HX[0-9a-fA-F]{32}$")
    variables: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _id_alone(cls, value: object) -> object:
        return {"content_sid": value} if isinstance(value, str) else value

    @field_validator("variables", mode="before")
    @classmethod
    def _in_order(cls, value: object) -> object:
        return {str(place): name for place, name in enumerate(value, 1)} if isinstance(value, list) else value

    def filled_by(self, parameters: tuple[str, ...]) -> Mapping[str, str]:
        return {name: name for name in parameters} if self.variables is None else self.variables


class TwilioSender(_Sender):
    """A WhatsApp sender of a Twilio account. Its secret is the auth token, or the key's where one is named."""

    provider: Literal["twilio"]
    number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    api_key_sid: str | None = Field(default=None, pattern=r"^SK[0-9a-fA-F]{32}$")
    api_url: str = "https://api.twilio.com"
    templates: dict[TemplateName, dict[Language, ContentTemplate]] = Field(default_factory=dict)


SenderEntry = Annotated[MetaSender | TwilioSender, Field(discriminator="provider")]
_ENTRIES = TypeAdapter(dict[SenderName, SenderEntry])


class SendersFile:
    """The senders by name, and the file to point at when one does not fit."""

    def __init__(self, source: LinedYaml | None, entries: Mapping[str, MetaSender | TwilioSender]) -> None:
        self._source = source
        self.entries = entries

    def check(self, policy: Policy, catalogue: Catalogue, default_number: str) -> None:
        """Raises ConfigurationError: a sender that nobody knows, a number twice, a template without its id."""
        if missing := sorted(senders_in(policy) - self.entries.keys() - {DEFAULT_SENDER}):
            raise ConfigurationError(
                f"the policy names the sender {missing[0]}, which DUEBELL_SENDERS_FILE does not have"
            )
        numbers = {default_number: DEFAULT_SENDER}
        for name, entry in self.entries.items():
            if entry.number in numbers:
                raise self._error(f"has the number of {numbers[entry.number]}", name)
            numbers[entry.number] = name
            if isinstance(entry, TwilioSender):
                self._check_templates(name, entry, policy, catalogue)

    def _check_templates(self, name: str, entry: TwilioSender, policy: Policy, catalogue: Catalogue) -> None:
        for template, language in sorted(needed_by(policy, catalogue, name)):
            content = entry.templates.get(template, {}).get(language)
            if content is None:
                raise self._error(f"no content_sid for {language}", name, "templates", template)
            parameters = catalogue.parameters(template)
            if sorted(content.filled_by(parameters).values()) != sorted(parameters):
                said = f"variables must be filled by {', '.join(parameters)}, each once"
                raise self._error(said, name, "templates", template, language)

    def _error(self, said: str, *place: str) -> ConfigurationError:
        if self._source is None:
            return ConfigurationError(f"senders.{'.'.join(place)}: {said}")
        return self._source.error(said, ("senders", *place))


def load_senders(path: str | None) -> SendersFile:
    """Read and check the file by itself; without one there are no further senders.

    Raises ConfigurationError with one line that names the file, the line and the key.
    """
    if not path:
        return SendersFile(None, {})
    source = LinedYaml(Path(path))
    if unknown := sorted(source.mapping().keys() - {"senders"}):
        raise source.error("unknown key", (unknown[0],))
    written: dict[str, Any] = source.mapping("senders")
    if taken := sorted(_RESERVED & written.keys()):
        raise source.error("this name is taken by the sender of the environment's variables", ("senders", taken[0]))
    try:
        return SendersFile(source, _ENTRIES.validate_python(written))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = tuple(part for part in first["loc"] if part not in {"meta", "twilio", "[key]"})
        said = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise source.error(said, ("senders", *place)) from None
