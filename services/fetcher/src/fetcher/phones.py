"""Finds the one mobile number that a contact's free-text phone fields mean, or says why there is none."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import phonenumbers
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumberType

from fetcher.ports import Phone
from shared.contracts.invoices import NoPhoneReason

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
_CALLING_CODES = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_EXTENSION = re.compile(r"(?:#|;?(?<![a-z])ext|(?<=[\d\s])x(?=\s*\d)).*$", re.IGNORECASE)
_PLUS = re.compile(r"[^\d]*\+")
_BETWEEN_NUMBERS = re.compile(r"[^\d+()\-.\s]+")


def phone_of(phones: Sequence[Phone], organisation_country: str, contact_country: str | None) -> str | NoPhoneReason:
    """The contact's mobile number in E.164, from MOBILE first and DEFAULT second; never DDI, FAX or OFFICE.

    A number without a country code is read in the organisation's country alone. The contact's country never supplies
    one: where it could make the digits another person's number, the answer is ``AMBIGUOUS_COUNTRY``.
    """
    reasons: list[NoPhoneReason] = []
    for wanted in ("MOBILE", "DEFAULT"):
        for phone in phones:
            if phone.type == wanted:
                found = _read(phone, organisation_country.upper(), contact_country)
                if not isinstance(found, NoPhoneReason):
                    return found
                reasons.append(found)
    return next((reason for reason in reasons if reason is not NoPhoneReason.NONE_GIVEN), NoPhoneReason.NONE_GIVEN)


def _read(phone: Phone, home: str, elsewhere: str | None) -> str | NoPhoneReason:
    country, area, number = (_plain(text) for text in (phone.country, phone.area, phone.number))
    if not _bare(area + number):
        return NoPhoneReason.NONE_GIVEN
    if country.upper() in _REGIONS:
        home, elsewhere, country = country.upper(), None, ""
    elif country and not _bare(country):
        return NoPhoneReason.AMBIGUOUS_COUNTRY
    whole = _read_one(country, area, number, home, elsewhere)
    if whole is not NoPhoneReason.INVALID:
        return whole
    parts = [part for part in _BETWEEN_NUMBERS.split(number) if _bare(part)]
    found = [_read_one(country, area, part, home, elsewhere) for part in parts] if len(parts) > 1 else []
    mobiles = (outcome for outcome in found if not isinstance(outcome, NoPhoneReason))
    reasons = (outcome for outcome in found if outcome is not NoPhoneReason.INVALID)
    return next(mobiles, next(reasons, NoPhoneReason.INVALID))


def _read_one(country: str, area: str, number: str, home: str, elsewhere: str | None) -> str | NoPhoneReason:
    international = _international(country, area, number, home)
    if international:
        return _first_valid([reading for text in international for reading in _repaired(text)], None)
    if home not in _REGIONS:
        return NoPhoneReason.AMBIGUOUS_COUNTRY
    national = _national(country, area, number)
    found = _first_valid(national, home)
    if elsewhere is None or elsewhere == home or elsewhere not in _REGIONS:
        return found
    other = _first_valid(national, elsewhere)
    return found if isinstance(other, NoPhoneReason) or other == found else NoPhoneReason.AMBIGUOUS_COUNTRY


def _plain(text: str) -> str:
    """Without extension, and with ASCII digits and signs."""
    folded = unicodedata.normalize("NFKC", text[:100])
    digits = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in folded)
    return _EXTENSION.sub("", digits).strip()


def _bare(text: str) -> str:
    return re.sub(r"\D", "", text)


def _signed(text: str) -> str:
    """The digits, after a ``+`` if one, or ``00``, stands before the first of them."""
    digits = _bare(text)
    if _PLUS.match(text):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def _international(country: str, area: str, number: str, home: str) -> list[str]:
    """The readings that name their country, the likeliest first; none when the fields name no country."""
    if not country and not area and home in _REGIONS:
        dialled = _parsed(_bare(number), home)
        if dialled is not None and dialled.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_IDD:
            return [phonenumbers.format_number(dialled, phonenumbers.PhoneNumberFormat.E164)]
    code = _signed(country).removeprefix("+")
    joined = [f"+{code}{_bare(area)}{_bare(number)}", f"+{code}{_bare(number)}"] if code in _CALLING_CODES else []
    # Behind a country or an area, a number that begins with 00 is the rest of one, not a dialled one.
    if _PLUS.match(number) or (_signed(number).startswith("+") and not (country or area)):
        return [_signed(number)]
    if _signed(area).startswith("+"):
        return [_signed(area) + _bare(number)]
    return joined


def _national(country: str, area: str, number: str) -> list[str]:
    """The readings in one's own country; blanks may have spread one number over three fields, or repeated a part."""
    joined = (_bare(country + area + number), _bare(area + number), _bare(number))
    return [reading for digits in dict.fromkeys(joined) for reading in (digits, digits.lstrip("0"))]


def _repaired(number: str) -> list[str]:
    """The number as it is, without a trunk zero after its country code, and without a repetition of that code."""
    digits = number.removeprefix("+")
    code = next((digits[:length] for length in (1, 2, 3) if digits[:length] in _CALLING_CODES), "")
    rest = digits.removeprefix(code).lstrip("0")
    return [number, f"+{code}{rest}", *([f"+{rest}"] if rest.startswith(code) else [])]


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region, keep_raw_input=True)
    except NumberParseException:
        return None


def _first_valid(readings: Iterable[str], region: str | None) -> str | NoPhoneReason:
    """The first reading that is a telephone number at all decides: a landline's digits are not read another way."""
    home = phonenumbers.country_code_for_region(region) if region else None
    for reading in readings:
        number = _parsed(reading, region)
        if number is None or not phonenumbers.is_possible_number(number) or not phonenumbers.is_valid_number(number):
            continue
        if home is not None and number.country_code != home:
            continue
        if phonenumbers.number_type(number) in _MOBILE:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return NoPhoneReason.NOT_A_MOBILE
    return NoPhoneReason.INVALID
