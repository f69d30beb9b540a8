"""What a person means by a short message: no more of these, or again please."""

import re
import unicodedata

LONGEST_WISH_WORDS = 6

_STOP = frozenset(
    {
        *("stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "opt out", "optout", "remove me"),
        *("stop reminders", "stop messages", "no more messages", "do not message", "do not message me", "dont message"),
        *("band karo", "band kare", "band karen", "band kar do", "mat bhejo", "message mat bhejo", "bas karo"),
        *(
            "बंद",
            "बन्द",
            "बंद करो",
            "बंद करें",
            "बन्द करें",
            "बंद कर दो",
            "रोकें",
            "रोको",
            "रुको",
            "मत भेजो",
            "मैसेज मत भेजो",
            "संदेश बंद करें",
        ),
        *("थांबा", "थांबवा", "બંધ", "બંધ કરો", "বন্ধ", "বন্ধ করুন", "நிறுத்து", "நிறுத்தவும்", "ఆపు", "ఆపండి", "ನಿಲ್ಲಿಸಿ"),
        *("നിർത്തുക", "ਬੰਦ", "ਬੰਦ ਕਰੋ", "بند", "بند کرو", "توقف", "إيقاف"),
        *("baja", "alto", "parar", "pare", "sair", "arret", "arreter", "stopp", "abmelden", "ferma", "berhenti"),
    }
)
_START = frozenset(
    {
        *("start", "unstop", "subscribe", "resume", "opt in", "optin", "start reminders", "start messages"),
        *("shuru", "shuru karo", "chalu", "chalu karo", "शुरू", "शुरू करो", "शुरू करें", "चालू", "चालू करें"),
        *("alta", "empezar", "começar", "comecar", "iniciar", "demarrer", "anmelden", "inizia", "mulai"),
    }
)
_STRONG = frozenset({"stop", "unsubscribe"})
_POLITE = frozenset({"please", "pls", "kindly", "thanks"})
_OTHERWISE = frozenset({"dont", "not", "never", "by"})
_APOSTROPHES = re.compile(r"['’]")
_BETWEEN_WORDS = re.compile(r"[^\w\u0900-\u0963\u0966-\u0dff\u200c\u200d]+|_+")


def wish_of(*texts: str | None) -> bool | None:
    """True for "no more", False for "again", None for anything else; the first text that means something decides."""
    return next((wish for wish in map(_wish, texts) if wish is not None), None)


def _wish(text: str | None) -> bool | None:
    words = [word for word in plain_words(text or "") if word not in _POLITE]
    phrase = " ".join(words)
    if phrase in _STOP:
        return True
    if phrase in _START:
        return False
    short = 0 < len(words) <= LONGEST_WISH_WORDS and not _OTHERWISE.intersection(words)
    return True if short and _STRONG.intersection((words[0], words[-1])) else None


def plain_words(text: str) -> list[str]:
    """The words of a text as they are compared: no capitals, no signs between them, no Latin accents."""
    composed = unicodedata.normalize("NFC", text).casefold()
    plain = "".join(_without_accent(letter) for letter in _APOSTROPHES.sub("", composed))
    return _BETWEEN_WORDS.sub(" ", plain).split()


def _without_accent(letter: str) -> str:
    """Latin letters lose their accents; other scripts keep their signs, which carry the meaning."""
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base.isascii() else letter
