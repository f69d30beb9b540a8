"""The country that a contact's free-text address names, where it is one we know."""

import re

_CODES = {
    "AUSTRALIA": "AU",
    "BANGLADESH": "BD",
    "CANADA": "CA",
    "ENGLAND": "GB",
    "GERMANY": "DE",
    "HONG KONG": "HK",
    "INDIA": "IN",
    "INDONESIA": "ID",
    "IRELAND": "IE",
    "KENYA": "KE",
    "MALAYSIA": "MY",
    "NEPAL": "NP",
    "NEW ZEALAND": "NZ",
    "NIGERIA": "NG",
    "OMAN": "OM",
    "PAKISTAN": "PK",
    "PHILIPPINES": "PH",
    "QATAR": "QA",
    "SAUDI ARABIA": "SA",
    "SCOTLAND": "GB",
    "SINGAPORE": "SG",
    "SOUTH AFRICA": "ZA",
    "SRI LANKA": "LK",
    "UAE": "AE",
    "UK": "GB",
    "UNITED ARAB EMIRATES": "AE",
    "UNITED KINGDOM": "GB",
    "UNITED STATES": "US",
    "USA": "US",
    "WALES": "GB",
}


def country_code(name: str) -> str | None:
    """ISO 3166 alpha-2 for a country's English name or code; None when it is neither."""
    plain = re.sub(r"[\s.]+", " ", name).strip().upper()
    return _CODES.get(plain) or (plain if re.fullmatch(r"[A-Z]{2}", plain) else None)
