"""Answers that are not JSON: XML, which Xero writes unless asked otherwise, and an invoice's PDF."""

from typing import Any
from xml.sax.saxutils import escape

XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>'


def as_xml(body: dict[str, Any]) -> bytes:
    """The envelope as XML; list elements take the singular of the list's name."""
    return f"{XML_HEAD}<Response>{_inside(body)}</Response>".encode()


def _inside(body: dict[str, Any]) -> str:
    return "".join(f"<{name}>{_value(name, value)}</{name}>" for name, value in body.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return _inside(value)
    if isinstance(value, list):
        single = "Address" if name == "Addresses" else name.removesuffix("s")
        return "".join(f"<{single}>{_value(single, item)}</{single}>" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else escape(str(value))


def as_pdf(title: str) -> bytes:
    """A one-page PDF that shows `title`."""
    shown = title.encode("ascii", "replace").replace(b"\\", b"").replace(b"(", b"").replace(b")", b"")
    stream = b"BT /F1 24 Tf 72 720 Td (" + shown + b") Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    body, offsets = b"%PDF-1.4\n", []
    for index, item in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (index, item)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"xref\n0 5\n0000000000 65535 f \n%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(body),
    )
