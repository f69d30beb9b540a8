"""Every way in which a post that is not its sender's can look as if it were; pure, and decided by the dice alone."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from random import Random

from chaos.attacks.senders import Headers, Sender, digest, plain_digest

Post = tuple[bytes, Headers]
Forge = Callable[[Sender, Sender, bytes, Random], Post]
"""The sender that is imitated, the other one, an honest body, dice."""


def _with(sender: Sender, body: bytes, *values: str) -> Post:
    return body, [("content-type", "application/json"), *((sender.header, value) for value in values)]


def _under(forge: Callable[[str], str]) -> Forge:
    """The right body under a signature that was changed."""
    return lambda sender, _, body, dice: _with(sender, body, forge(sender.sign(sender.key, body)))


def _but(change: Callable[[bytes, Random], bytes]) -> Forge:
    """The right signature over another body."""
    return lambda sender, _, body, dice: _with(sender, change(body, dice), sender.sign(sender.key, body))


def _body_bit(body: bytes, dice: Random) -> bytes:
    place = dice.randrange(len(body))
    return body[:place] + bytes([body[place] ^ 1 << dice.randrange(8)]) + body[place + 1 :]


def _signature_bit(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    right = sender.sign(sender.key, body)
    place = dice.randrange(len(right))
    others = [chr(ord(right[place]) ^ 1 << bit) for bit in range(7)]
    other = dice.choice([one for one in others if "!" <= one <= "~"])
    return _with(sender, body, right[:place] + other + right[place + 1 :])


def _reordered(body: bytes, dice: Random) -> bytes:
    content = json.loads(body)
    return json.dumps(dict(reversed(content.items())), separators=(",", ":")).encode()


def _elsewhere(body: bytes, dice: Random) -> bytes:
    """Another organisation's, or another app's: the first identifier's first figure is another."""
    place = body.index(b'"tenantId":"') + 12 if b'"tenantId":"' in body else body.index(b'"id":"') + 6
    return body[:place] + (b"f" if body[place : place + 1] != b"f" else b"0") + body[place + 1 :]


def _with_plus(sender: Sender, body: bytes) -> tuple[bytes, bytes]:
    """A body whose digest looks different in the URL's alphabet, and that digest."""
    while not {43, 47} & set(base64.b64encode(digest(sender.key, body))):
        body += b" "
    return body, digest(sender.key, body)


def _url_safe(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    body, right = _with_plus(sender, body)
    prefix = "sha256=" if sender.sign(sender.key, body).startswith("sha256=") else ""
    return _with(sender, body, prefix + base64.urlsafe_b64encode(right).decode())


def _other_spelling(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    """The same digest in characters that another decoder would take for it."""
    right = sender.sign(sender.key, body)
    if right.startswith("sha256="):
        return _with(sender, body, "sha256=" + right[7:].upper() if right[7:].upper() != right[7:] else right + " 0")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # The last character before the padding has two bits that do not count.
    last = alphabet[alphabet.index(right[-2]) ^ dice.randrange(1, 4)]
    return _with(sender, body, right[:-2] + last + "=")


def _other_alphabet(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    """Hexadecimal where base64 is due, and the reverse."""
    right = digest(sender.key, body)
    hexadecimal = sender.sign(sender.key, body).startswith("sha256=")
    return _with(sender, body, f"sha256={base64.b64encode(right).decode()}" if hexadecimal else right.hex())


def _other_prefix(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    right = sender.sign(sender.key, body)
    if right.startswith("sha256="):
        return _with(sender, body, dice.choice(["", "sha256:", "SHA256=", "sha1=", "sha256==", "sha-256="]) + right[7:])
    return _with(sender, body, dice.choice(["sha256=", "v1=", "hmac "]) + right)


def _other_hash(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    name = dice.choice(["sha1", "md5", "sha512", "sha224"])
    other = digest(sender.key, body, name)
    hexadecimal = sender.sign(sender.key, body).startswith("sha256=")
    value = dice.choice([f"sha256={other.hex()}", f"{name}={other.hex()}"]) if hexadecimal else ""
    return _with(sender, body, value or base64.b64encode(other).decode())


def _old_header(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    """The right signature, under a name that counts for nothing."""
    value = sender.sign(sender.key, body)
    name = dice.choice(["x-hub-signature", "x-signature", "authorization", "x-xero-signatures", "x_xero_signature"])
    return body, [("content-type", "application/json"), (name, value)]


def _others_whole(sender: Sender, other: Sender, body: bytes, dice: Random) -> Post:
    return body, other.signed(body)


def _others_value(sender: Sender, other: Sender, body: bytes, dice: Random) -> Post:
    return _with(sender, body, other.sign(other.key, body))


def _others_key(sender: Sender, other: Sender, body: bytes, dice: Random) -> Post:
    return _with(sender, body, sender.sign(other.key, body))


def _near_key(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    key = sender.key
    near = dice.choice([f"{key} ", f" {key}", f"{key}\n", key[:-1], key.upper(), f"{key}x", f'"{key}"'])
    return _with(sender, body, sender.sign(near, body))


def _two(sender: Sender, other: Sender, body: bytes, dice: Random) -> Post:
    right, wrong = sender.sign(sender.key, body), sender.sign(other.key, body)
    values = dice.choice(
        [(right, wrong), (wrong, right), (right, right), (f"{right},{wrong}",), (f"{right}, {right}",)]
    )
    return _with(sender, body, *values)


def _packed(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    """Right once it is unpacked, which nobody is to do."""
    name, packed = dice.choice([("gzip", gzip.compress(body, mtime=0)), ("deflate", zlib.compress(body))])
    return packed, [*sender.signed(body), ("content-encoding", name)]


def _space_more(sender: Sender, _: Sender, body: bytes, dice: Random) -> Post:
    """Signed with white space that was not sent, or sent with white space that was not signed."""
    wide = dice.choice([body + b"\n", b" " + body, body + b"\r\n", body.replace(b'":', b'": ')])
    sent, under = (body, wide) if dice.random() < 0.5 else (wide, body)
    return _with(sender, sent, sender.sign(sender.key, under))


FORGERIES: Mapping[str, Forge] = {
    "a bit of the body flipped": _but(_body_bit),
    "a bit of the signature flipped": _signature_bit,
    "JSON written anew": _but(lambda body, _: json.dumps(json.loads(body), indent=1).encode()),
    "JSON in another order": _but(_reordered),
    "in UTF-16": _but(lambda body, _: body.decode().encode("utf-16")),
    "with a byte order mark": _but(lambda body, _: b"\xef\xbb\xbf" + body),
    "cut short": _but(lambda body, dice: body[: dice.randrange(1, len(body))]),
    "an empty body": _but(lambda body, _: b""),
    "another organisation's or app's": _but(_elsewhere),
    "white space that only one has": _space_more,
    "packed after it was signed": _packed,
    "no signature": lambda sender, other, body, dice: _with(sender, body),
    "an empty signature": lambda sender, other, body, dice: _with(sender, body, ""),
    "two signatures": _two,
    "half a signature": _under(lambda right: right[: len(right) // 2]),
    "without its end": _under(lambda right: right.rstrip("=") if right.endswith("=") else right[:-1]),
    "no base64, no hexadecimal": _under(lambda right: "=" * len(right)),
    "in the URL's alphabet": _url_safe,
    "another spelling of the same digest": _other_spelling,
    "another alphabet": _other_alphabet,
    "all in small letters": _under(lambda right: right.lower() if right.lower() != right else right + "a"),
    "all in capitals": _under(lambda right: right.upper() if right.upper() != right else right + "A"),
    "in quotation marks": _under(lambda right: f'"{right}"'),
    "a wrong prefix or none": _other_prefix,
    "another hash": _other_hash,
    "no HMAC": lambda sender, other, body, dice: _with(
        sender, body, base64.b64encode(plain_digest(sender.key, body)).decode()
    ),
    "another body's signature": lambda sender, other, body, dice: _with(
        sender, body, sender.sign(sender.key, body[::-1])
    ),
    "an empty body's signature": lambda sender, other, body, dice: _with(sender, body, sender.sign(sender.key, b"")),
    "nearly the key": _near_key,
    "under another name": _old_header,
    "the other sender's key": _others_key,
    "the other sender's signature": _others_value,
    "the other sender's headers": _others_whole,
}


def is_genuine(sender: Sender, post: Post) -> bool:
    """Whether it is what the sender itself would send: exactly one signature, over exactly these bytes."""
    body, headers = post
    given = [value for name, value in headers if name.lower() == sender.header]
    return given == [sender.sign(sender.key, body)]
