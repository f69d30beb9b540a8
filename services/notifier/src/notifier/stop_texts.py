"""What a person is told once who wants no more messages."""

STOP_TEXTS = {
    "en": "You will get no more messages about invoices from this number. Reply START to get them again.",
    "hi": "अब इस नंबर से आपको इनवॉइस के संदेश नहीं आएँगे। फिर से पाने के लिए START लिखें।",
}


def stop_text(language: str) -> str:
    """In the person's language where there is one, else in English."""
    return STOP_TEXTS.get(language.split("_", maxsplit=1)[0], STOP_TEXTS["en"])
