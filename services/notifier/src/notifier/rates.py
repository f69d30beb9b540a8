"""What a message costs: dated cards of rates by market and category, and what WhatsApp says it is billed as."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from notifier.contact_hours import recipient_country
from shared.contracts.base import Currency
from shared.yaml_lines import LinedYaml

UTILITY = "utility"
"""What all our templates are, or they are stopped."""
SERVICE = "service"
"""Free-form text inside the customer-service window."""
SHIPPED = Path("config/rates")
_LONGEST = 64
_Market = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
_Category = Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]
_Rate = Annotated[Decimal, Field(ge=0, decimal_places=6, allow_inf_nan=False)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Card(_Told):
    """The rates that are new ``from`` a day on, before tax; ``sources`` say who told them."""

    starts_on: date = Field(alias="from")
    sources: tuple[str, ...] = Field(min_length=1)
    markets: Mapping[_Market, Mapping[_Category, _Rate]]


class RateFile(_Told):
    """All cards of the accounts that are billed in one currency."""

    currency: Currency
    cards: tuple[Card, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Pricing:
    """What the provider says a message is billed as; None for what it leaves out."""

    category: str | None = None
    type: str | None = None
    billable: bool | None = None

    @property
    def is_free(self) -> bool | None:
        """None when nothing tells. The type decides, for ``billable`` is to be taken away."""
        if self.type is not None:
            return self.type.startswith("free")
        return None if self.billable is None else not self.billable


@dataclass(frozen=True, slots=True)
class Bill:
    """How a message is priced before it leaves: ``estimate`` is None where the market's rate is not known."""

    sent_on: date
    market: str | None
    currency: str
    estimate: Decimal | None


class Rates:
    """Never a guess: what no card tells is None."""

    def __init__(self, files: Iterable[RateFile] = ()) -> None:
        cards = [(file.currency, card) for file in files for card in file.cards]
        self._cards = sorted(cards, key=lambda item: item[1].starts_on, reverse=True)

    def rate(self, currency: str, market: str | None, category: str, on: date) -> Decimal | None:
        """Of the newest card that has begun by then and names it."""
        for billed_in, card in self._cards:
            found = card.markets.get(market or "", {}).get(category)
            if billed_in == currency and card.starts_on <= on and found is not None:
                return found
        return None

    def bill(self, phone: str, currency: str, on: date, category: str = UTILITY) -> Bill:
        """At the full rate: neither a free window nor a free tier is counted on."""
        market = recipient_country(phone)
        return Bill(on, market, currency, self.rate(currency, market, category, on))

    def cost(self, pricing: Pricing, currency: str | None, market: str | None, on: date | None) -> Decimal | None:
        """Of a message that arrived, as it is billed."""
        if pricing.is_free:
            return Decimal(0)
        if pricing.is_free is None or pricing.category is None or currency is None or on is None:
            return None
        return self.rate(currency, market, pricing.category, on)


def load_rates(policy_file: Path) -> Rates:
    """The ``rates`` beside the policy, else those that are shipped. Raises ConfigurationError with one line."""
    own = sorted((policy_file.parent / "rates").glob("*.yaml"))
    return Rates([_read(file) for file in own or sorted(SHIPPED.glob("*.yaml"))])


def _read(file: Path) -> RateFile:
    source = LinedYaml(file)
    try:
        return RateFile.model_validate(source.mapping())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise source.error(first["msg"].removeprefix("Value error, "), first["loc"]) from None


def pricing_of(raw: Mapping[str, Any]) -> Pricing | None:
    """What a status as Meta sent it says of its price."""
    told = raw.get("pricing")
    if not isinstance(told, dict):
        return None
    billable = told.get("billable")
    return Pricing(
        _word(told.get("category")), _word(told.get("type")), billable if isinstance(billable, bool) else None
    )


def _word(value: object) -> str | None:
    return value.lower()[:_LONGEST] if isinstance(value, str) and value else None
