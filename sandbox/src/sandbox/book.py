"""The demo book: one invoice for every case a reminder system must tell apart, with what it should do; pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from sandbox.books import ContactStatus, InvoiceType, Phone, Status

ZERO = Decimal(0)
TOTAL = Decimal("12500.00")


@dataclass(frozen=True, slots=True)
class Numbering:
    """How a country writes numbers: calling code, trunk prefix, how its mobiles and landlines begin, their length."""

    code: str
    trunk: str
    mobile: str
    landline: str
    digits: int

    def national(self, serial: int) -> str:
        """A mobile without country code and trunk prefix."""
        return self.mobile + str(serial).zfill(self.digits - len(self.mobile))

    def number(self, serial: int) -> str:
        """A mobile in E.164."""
        return f"+{self.code}{self.national(serial)}"


NUMBERING = {
    "IN": Numbering("91", "0", "98765", "222278", 10),
    "AU": Numbering("61", "0", "42471", "29374", 9),
    "GB": Numbering("44", "0", "740012", "207946", 10),
    "NZ": Numbering("64", "0", "2123", "3234", 8),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One situation: due `offset` days from today, with the template that should leave (None: nothing should)."""

    name: str
    offset: int
    template: str | None
    why: str
    type: InvoiceType = "ACCREC"
    status: Status = "AUTHORISED"
    contact_status: ContactStatus = "ACTIVE"
    paid: Decimal = ZERO
    credited: Decimal = ZERO
    promised_in: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A case with its contact's numbers; `phone` is where the message should go, in E.164."""

    case: Case
    phones: tuple[Phone, ...]
    phone: str | None

    @property
    def expect(self) -> Literal["remind", "skip"]:
        """What a right reminder system does."""
        return "skip" if self.case.template is None else "remind"

    def due(self, today: date) -> date:
        """The due date."""
        return today + timedelta(days=self.case.offset)


CASES = [
    Case("due in 3 days", 3, "invoice_due_soon", "the stage three days before the due date"),
    Case("due today", 0, "invoice_due_today", "the stage on the due date"),
    Case("overdue 3 days", -3, "invoice_overdue", "the stage three days after"),
    Case("overdue 7 days", -7, "invoice_overdue", "the stage seven days after"),
    Case("overdue 14 days", -14, "invoice_overdue_firm", "the stage fourteen days after"),
    Case("overdue 30 days", -30, "invoice_overdue_final", "the stage thirty days after"),
    Case("overdue 45 days", -45, "invoice_overdue_final", "the last stage may leave late"),
    Case("due in 20 days", 20, None, "no stage is due yet"),
    Case("paid", -7, None, "nothing is owed", status="PAID", paid=TOTAL),
    Case("voided", -7, None, "the invoice was voided", status="VOIDED"),
    Case("draft", -7, None, "a draft is not owed", status="DRAFT"),
    Case("submitted", -7, None, "an invoice waiting for approval is not owed", status="SUBMITTED"),
    Case("bill", -7, None, "a bill is owed to the contact, not by it", type="ACCPAY"),
    Case("part paid", -7, "invoice_overdue", "the rest is still owed", paid=Decimal("5000.00")),
    Case("credit reduced", -7, "invoice_overdue", "the rest is still owed", credited=Decimal("2500.00")),
    Case("credited in full", -7, None, "a credit note settled it", status="PAID", credited=TOTAL),
    Case("promised", -7, None, "an expected payment date lies ahead", promised_in=5),
    Case("archived contact", -7, None, "the contact is archived", contact_status="ARCHIVED"),
    Case("erased contact", -7, None, "the contact asked to be erased", contact_status="GDPRREQUEST"),
]

PhonesOf = Callable[[Numbering, str], tuple[Phone, ...]]
NUMBER_CASES: list[tuple[str, bool, str, PhonesOf]] = [
    ("no number", False, "the contact has no number", lambda _plan, _n: ()),
    ("fax only", False, "a fax cannot be messaged", lambda _plan, n: (Phone("FAX", n),)),
    ("direct dial only", False, "a direct dial line is not a mobile", lambda _plan, n: (Phone("DDI", n),)),
    ("nonsense", False, "the number is not valid", lambda _plan, _n: (Phone("MOBILE", "call Ravi"),)),
    ("bare national mobile", True, "a bare number is of the organisation's country", lambda _plan, n: (
        Phone("MOBILE", n),
    )),
    ("trunk zero", True, "a trunk zero is dropped", lambda plan, n: (Phone("MOBILE", plan.trunk + n),)),
    ("whole international number", True, "the number says its country", lambda plan, n: (
        Phone("MOBILE", f"+{plan.code} {n[:4]} {n[4:]}"),
    )),
    ("three parts", True, "country, area and number belong together", lambda plan, n: (
        Phone("MOBILE", n[5:], n[:5], plan.code),
    )),
    ("plus in the country part", True, "country, area and number belong together", lambda plan, n: (
        Phone("MOBILE", n[5:], n[:5], f"+{plan.code}"),
    )),
    ("brackets and hyphens", True, "punctuation means nothing", lambda plan, n: (
        Phone("MOBILE", f"{n[4:6]}-{n[6:]}", f"({n[:4]})", plan.code),
    )),
    ("country code and trunk zero", True, "the zero is dropped as the country is known", lambda plan, n: (
        Phone("MOBILE", plan.trunk + n, "", plan.code),
    )),
    ("mobile under default", True, "a valid mobile under the default type will do", lambda plan, n: (
        Phone("DEFAULT", plan.trunk + n),
    )),
    ("mobile beside a landline", True, "the mobile is taken, not the line", lambda plan, n: (
        Phone("DEFAULT", plan.landline.ljust(plan.digits, "1"), plan.trunk), Phone("MOBILE", plan.trunk + n),
    )),
    ("split by an importer", True, "the importer moved the number into the area", lambda plan, n: (
        Phone("MOBILE", "#507", (plan.trunk + n if len(n) < 10 else n)),
    )),
]  # fmt: skip


def demo_book(country: str, start: int) -> list[Entry]:
    """All cases for an organisation in `country` (IN, AU, GB, NZ); numbers count up from `start`, so none repeats."""
    plan = NUMBERING[country]
    entries: list[Entry] = []

    for case in CASES:
        number = plan.national(start + len(entries))
        phones = (Phone("MOBILE", plan.trunk + number),)
        entries.append(Entry(case, phones, f"+{plan.code}{number}"))
    landline = Case("landline only", -7, None, "a landline cannot be messaged")
    line = plan.landline.ljust(plan.digits, "1")
    entries.append(Entry(landline, (Phone("DEFAULT", plan.trunk + line),), None))
    for name, usable, why, phones_of in NUMBER_CASES:
        number = plan.national(start + len(entries))
        case = Case(name, -7, "invoice_overdue" if usable else None, why)
        entries.append(Entry(case, phones_of(plan, number), f"+{plan.code}{number}" if usable else None))
    return entries
