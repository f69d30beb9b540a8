"""Every way in which a form that is not Twilio's can look as if it were; pure, and decided by the dice alone."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from chaos.attacks.senders import Headers, digest

HEADER = "x-twilio-signature"
PATH = "/webhooks/twilio"
FORM_TYPE = "application/x-www-form-urlencoded"
PUBLIC = "https://duebell.example:8443/webhooks/twilio"
"""What the door is told that Twilio is given; it is asked for elsewhere."""

Form = list[tuple[str, str]]
Forge = Callable[["Twilio", "TwilioPost", Random], "TwilioPost"]


@dataclass(frozen=True)
class TwilioPost:
    """``query`` is what stands behind the path, without its question mark."""

    query: str
    body: bytes
    headers: Headers

    @property
    def path(self) -> str:
        return f"{PATH}?{self.query}" if self.query else PATH

    @property
    def form(self) -> Form:
        return parse_qsl(self.body.decode(), keep_blank_values=True)


@dataclass(frozen=True)
class Twilio:
    """Who signs: under ``token``, what it sends to ``url``."""

    token: str
    url: str = PUBLIC

    def text(self, form: Form, query: str) -> str:
        """What is signed. A value given twice under one name counts once."""
        return self.address(query) + "".join(name + value for name, value in sorted(set(form)))

    def address(self, query: str) -> str:
        return f"{self.url}?{query}" if query else self.url

    def sign(self, form: Form, query: str, algorithm: str = "sha1") -> str:
        return in_base64(self.token, self.text(form, query), algorithm)

    def post(self, form: Form, query: str) -> TwilioPost:
        headers = [("content-type", FORM_TYPE), (HEADER, self.sign(form, query))]
        return TwilioPost(query, urlencode(form).encode(), headers)

    def honest(self, dice: Random) -> TwilioPost:
        """A status or a person's message, of nothing that exists."""
        sid, other = (f"SM{dice.getrandbits(128):032x}" for _ in range(2))
        ours, theirs = "whatsapp:+14155238886", f"whatsapp:+9198{dice.randrange(10**8):08}"
        if dice.random() < 0.5:
            form = {"MessageSid": sid, "MessageStatus": "delivered", "From": ours, "To": theirs, "ErrorCode": ""}
            return self.post([*form.items(), ("ApiVersion", "2010-04-01")], f"ref=v1.{other}")
        said = dice.choice(["Stop messages", "ठीक है ✓", "a+b=c & d%20e", "a\r\nb"])
        form = {"MessageSid": sid, "SmsStatus": "received", "From": theirs, "To": ours, "Body": said, "NumMedia": "0"}
        return self.post([*form.items(), ("OriginalRepliedMessageSid", other)], "")


def in_base64(token: str, text: str, algorithm: str = "sha1") -> str:
    return base64.b64encode(digest(token, text.encode(), algorithm)).decode()


def is_genuine(twilio: Twilio, post: TwilioPost) -> bool:
    """Whether Twilio itself would have made one such signature, over this address and these names and values."""
    given = [value for name, value in post.headers if name.lower() == HEADER]
    try:
        return given == [twilio.sign(post.form, post.query)]
    except ValueError:
        return False


def _under(post: TwilioPost, *values: str) -> TwilioPost:
    return replace(post, headers=[("content-type", FORM_TYPE), *((HEADER, value) for value in values)])


def _value(post: TwilioPost) -> str:
    return dict(post.headers)[HEADER]


def _signature(change: Callable[[str, Random], str]) -> Forge:
    """The right form under a signature that was changed."""
    return lambda twilio, post, dice: _under(post, change(_value(post), dice))


def _form(change: Callable[[Form, Random], Form]) -> Forge:
    """The right signature over another form."""
    return lambda twilio, post, dice: replace(post, body=urlencode(change(post.form, dice)).encode())


def _body(change: Callable[[bytes, Random], bytes]) -> Forge:
    return lambda twilio, post, dice: replace(post, body=change(post.body, dice))


def _query(change: Callable[[str, Random], str]) -> Forge:
    return lambda twilio, post, dice: replace(post, query=change(post.query, dice))


def _text(change: Callable[[str, Form, Random], str]) -> Forge:
    """A signature under the right token, over another text; it is given the address and the form."""
    return lambda twilio, post, dice: _under(
        post, in_base64(twilio.token, change(twilio.address(post.query), post.form, dice))
    )


def _sorted(form: Form) -> str:
    return "".join(name + value for name, value in sorted(form))


def _altered(form: Form, dice: Random) -> Form:
    place = dice.randrange(len(form))
    name, value = form[place]
    return [*form[:place], (name, value + "0"), *form[place + 1 :]]


def _renamed(form: Form, dice: Random) -> Form:
    place = dice.randrange(len(form))
    name, value = form[place]
    other = dice.choice([name.lower(), name.upper(), f"{name}[]", f" {name}"])
    return [*form[:place], (other, value), *form[place + 1 :]]


def _missing(form: Form, dice: Random) -> Form:
    place = dice.randrange(len(form))
    return form[:place] + form[place + 1 :]


def _swapped(form: Form, dice: Random) -> Form:
    """The values of two names change places."""
    names = dict(form)
    names["From"], names["To"] = names["To"], names["From"]
    return list(names.items())


def _twice(form: Form, dice: Random) -> Form:
    """A name once more with another value, before or behind the right one."""
    name, value = dice.choice(form)
    more = (name, f"{value}x")
    return [more, *form] if dice.random() < 0.5 else [*form, more]


def _other_address(address: str, form: Form, dice: Random) -> str:
    path, _, query = address.partition("?")
    behind = f"?{query}" if query else ""
    bare = path.replace(":8443", "")
    others = [
        *(f"http{path[5:]}", bare, path.replace("8443", "443"), path.replace("duebell.", "evil."), f"{path}/"),
        *(path.upper(), path.replace("twilio", "whatsapp"), path.replace("twilio", "xero"), f"http://door{PATH}"),
        *(path.replace("://", "://user:word@"), PATH, ""),
    ]
    return dice.choice([f"{other}{behind}" for other in others if other != path]) + _sorted(form)


def _other_query(query: str, dice: Random) -> str:
    more = f"{query}&" if query else ""
    return dice.choice([f"{more}ref=v1.another", f"{more}x", f"{query}%20", f"{more}bodySHA256=00"])


def _no_query(address: str, form: Form, dice: Random) -> str:
    bare = address.partition("?")[0]
    return (f"{bare}?" if bare == address or dice.random() < 0.5 else bare) + _sorted(form)


def _other_spelling(right: str, dice: Random) -> str:
    """The same digest in characters that another decoder would take for it; of twenty bytes two bits do not count."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return right[:-2] + alphabet[alphabet.index(right[-2]) ^ dice.randrange(1, 4)] + "="


def _bit(right: str, dice: Random) -> str:
    place = dice.randrange(len(right))
    others = [chr(ord(right[place]) ^ 1 << bit) for bit in range(7)]
    return right[:place] + dice.choice([one for one in others if "!" <= one <= "~"]) + right[place + 1 :]


def _two(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    right, wrong = _value(post), in_base64("a strange token", twilio.text(post.form, post.query))
    ways = [(right, wrong), (wrong, right), (right, right), (f"{right},{wrong}",), (f"{right}, {right}",)]
    return _under(post, *dice.choice(ways))


def _token(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    token = twilio.token
    near = dice.choice([f"{token} ", token[:-1], token.upper(), f"{token}\n", "", f'"{token}"', "a strange token"])
    return _under(post, replace(twilio, token=near).sign(post.form, post.query))


def _as_json(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    """JSON that says the same: under the form's signature, or its own as another provider would make it."""
    body = json.dumps(dict(post.form)).encode()
    own = base64.b64encode(digest(twilio.token, body, dice.choice(["sha1", "sha256"]))).decode()
    return replace(_under(post, dice.choice([_value(post), own])), body=body)


def _by_its_digest(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    """As Twilio signs what is no form: the address alone, with the body's digest in it. We ask for nothing such."""
    body = json.dumps(dict(post.form)).encode()
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    return replace(_under(post, twilio.sign([], query)), query=query, body=body)


def _decoded_otherwise(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    """Encoded once more, or not enough: who decodes it has other values."""
    again = [(name, quote(value, safe="") + "%") for name, value in post.form]
    plus = "&".join(f"{quote(name)}={quote_plus(quote_plus(value))}%2B" for name, value in post.form)
    separators = "&amp;".join(f"{quote(name)}={quote(value)}" for name, value in post.form)
    semicolons = post.body.replace(b"&", b";")
    return replace(post, body=dice.choice([urlencode(again).encode(), plus.encode(), separators.encode(), semicolons]))


def _ill_coded(body: bytes, dice: Random) -> bytes:
    return dice.choice([body + b"&a=%ff", body + b"&\xff=1", b"\xef\xbb\xbf" + body, body.decode().encode("utf-16")])


def _other_post(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    """A genuine signature, of another post."""
    return _under(post, _value(twilio.honest(dice)))


def _under_another_name(twilio: Twilio, post: TwilioPost, dice: Random) -> TwilioPost:
    name = dice.choice(["x-twilio-signatures", "x_twilio_signature", "x-xero-signature", "x-hub-signature-256"])
    return replace(post, headers=[("content-type", FORM_TYPE), (name, _value(post))])


TWILIO_FORGERIES: Mapping[str, Forge] = {
    "a value altered": _form(_altered),
    "a name altered": _form(_renamed),
    "a field too many": _form(lambda form, dice: [*form, ("Extra", dice.choice(["", "1"]))]),
    "a field missing": _form(_missing),
    "two values exchanged": _form(_swapped),
    "a name twice": _form(_twice),
    "no field at all": _body(lambda body, dice: dice.choice([b"", b"&", b"&&&"])),
    "cut short": _body(lambda body, dice: body[: dice.randrange(1, len(body) // 2)]),
    "too many fields": _body(lambda body, dice: body + b"&a=1" * 1000),
    "no text": _body(_ill_coded),
    "decoded otherwise": _decoded_otherwise,
    "JSON": _as_json,
    "JSON with its digest in the address": _by_its_digest,
    "another query": _query(_other_query),
    "signed for another address": _text(_other_address),
    "signed without the query": _text(_no_query),
    "signed without the form": _text(lambda address, form, dice: address),
    "signed without the address": _text(lambda address, form, dice: _sorted(form)),
    "signed in another order": _text(
        lambda address, form, dice: address + "".join(name + value for name, value in sorted(form, reverse=True))
    ),
    "signed as it is encoded": _text(lambda address, form, dice: address + urlencode(form)),
    "signed with separators": _text(
        lambda address, form, dice: address + dice.choice(["&", "\n", " "]).join(n + v for n, v in sorted(form))
    ),
    "nearly the token": _token,
    "another hash": lambda twilio, post, dice: _under(
        post, twilio.sign(post.form, post.query, dice.choice(["sha256", "md5", "sha512"]))
    ),
    "no HMAC": lambda twilio, post, dice: _under(
        post,
        base64.b64encode(
            hashlib.new("sha1", (twilio.token + twilio.text(post.form, post.query)).encode()).digest()
        ).decode(),
    ),
    "another post's signature": _other_post,
    "no signature": lambda twilio, post, dice: _under(post),
    "an empty signature": lambda twilio, post, dice: _under(post, ""),
    "two signatures": _two,
    "half a signature": _signature(lambda right, dice: right[: dice.choice([1, 14, 20, 26])]),
    "without its end": _signature(lambda right, dice: right.rstrip("=")),
    "a bit of the signature flipped": _signature(_bit),
    "another spelling of the same digest": _signature(_other_spelling),
    "in hexadecimal": _signature(lambda right, dice: base64.b64decode(right).hex()),
    "a prefix": _signature(lambda right, dice: dice.choice(["sha1=", "sha256=", "hmac ", "v1="]) + right),
    "in capitals": _signature(lambda right, dice: right.upper() if right.upper() != right else right.lower()),
    "under another name": _under_another_name,
}
