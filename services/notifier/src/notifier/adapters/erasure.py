"""Takes a person out of the ledger: number, name, ids; what was decided and sent stays countable."""

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.opt_outs import user
from notifier.adapters.outbox import record_changes
from notifier.adapters.sql import to_intent, upsert
from notifier.learning_tables import confirmations, replies
from notifier.model import ERASED, PENDING, Snapshot
from notifier.tables import attempts, breakers, decisions, early_statuses, intents, opt_outs, recipients, snapshots
from shared.contracts.messages import MessageState

_PENDING = sorted(state.value for state in PENDING)
_ROUNDS = 5
_CONTACT_ID = snapshots.c.body["contact"]["contact_id"].as_string()
_PHONE = snapshots.c.body["contact"]["phone"].as_string()


@dataclass(frozen=True, slots=True)
class Person:
    """Every name under which the ledger holds a person."""

    contacts: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    @classmethod
    def named(cls, contact: str) -> "Person":
        """By a number in E.164 or by Xero's id of the contact."""
        if contact.startswith("+"):
            return cls(phones=frozenset({contact}))
        return cls(contacts=frozenset({contact, contact.lower()}))

    def __or__(self, other: "Person") -> "Person":
        return Person(
            (self.contacts | other.contacts) - {ERASED},
            (self.phones | other.phones) - {ERASED},
            self.users | other.users,
        )

    @property
    def values(self) -> frozenset[str]:
        return self.contacts | self.phones | self.users


async def known_names(db: AsyncConnection, person: Person, tenant_id: str | None) -> Person:
    """The person under all names: the number of a contact, the contacts of a number, what WhatsApp calls it."""
    for _ in range(_ROUNDS):
        more = person | await _contacts(db, person, tenant_id)
        more |= await _messages(db, more, tenant_id)
        if more == person:
            break
        person = more
    return person


async def _contacts(db: AsyncConnection, person: Person, tenant_id: str | None) -> Person:
    found = await db.execute(sa.select(_CONTACT_ID, _PHONE).where(_is_snapshot(person, tenant_id)).distinct())
    rows = [(row[0], row[1]) for row in found]
    return Person(frozenset(row[0] for row in rows), frozenset(row[1] for row in rows if row[1]))


async def _messages(db: AsyncConnection, person: Person, tenant_id: str | None) -> Person:
    columns = (intents.c.contact_id, intents.c.phone, attempts.c.phone, attempts.c.whatsapp_phone)
    query = (
        sa.select(*columns, attempts.c.person_user_id)
        .select_from(intents.outerjoin(attempts, attempts.c.intent_id == intents.c.intent_id))
        .where(sa.or_(_is_intent(person), _is_attempt(person)), *_within(intents, tenant_id))
    )
    rows = [tuple(row) for row in await db.execute(query.distinct())]
    return Person(
        frozenset(row[0] for row in rows),
        frozenset(phone for row in rows for phone in row[1:4] if phone),
        frozenset(row[4] for row in rows if row[4]),
    )


def _within(table: sa.Table, tenant_id: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if tenant_id is None else [table.c.tenant_id == tenant_id]


def _is_snapshot(person: Person, tenant_id: str | None) -> sa.ColumnElement[bool]:
    named = sa.or_(_CONTACT_ID.in_(person.contacts), _PHONE.in_(person.phones))
    return sa.and_(named, *_within(snapshots, tenant_id))


def _is_intent(person: Person) -> sa.ColumnElement[bool]:
    return sa.or_(intents.c.contact_id.in_(person.contacts), intents.c.phone.in_(person.phones))


def _is_attempt(person: Person) -> sa.ColumnElement[bool]:
    return sa.or_(
        attempts.c.phone.in_(person.phones),
        attempts.c.whatsapp_phone.in_(person.phones),
        attempts.c.person_user_id.in_(person.users),
    )


async def invoices_of(db: AsyncConnection, person: Person, tenant_id: str) -> Sequence[str]:
    """Those of one organisation whose snapshot tells of the person. All are read for it: lock nothing meanwhile."""
    return list(await db.scalars(sa.select(snapshots.c.invoice_id).where(_is_snapshot(person, tenant_id))))


async def count_in(db: AsyncConnection, person: Person, tenant_id: str) -> Counter[str]:
    """How much of one organisation's part tells of the person, but for snapshots."""
    questions = {
        "messages": sa.select(sa.func.count())
        .select_from(intents)
        .where(_is_intent(person), *_within(intents, tenant_id)),
        "waiting messages cancelled": sa.select(sa.func.count())
        .select_from(intents)
        .where(_is_intent(person), intents.c.state.in_(_PENDING), *_within(intents, tenant_id)),
        "attempts": sa.select(sa.func.count())
        .select_from(attempts)
        .where(_of_person(person, tenant_id), *_within(attempts, tenant_id)),
        "decisions": sa.select(sa.func.count())
        .select_from(decisions)
        .where(decisions.c.contact_id.in_(person.contacts), *_within(decisions, tenant_id)),
    }
    return Counter({name: int(await db.scalar(question) or 0) for name, question in questions.items()})


def _of_person(person: Person, tenant_id: str) -> sa.ColumnElement[bool]:
    theirs = sa.select(intents.c.intent_id).where(_is_intent(person), *_within(intents, tenant_id))
    return sa.or_(_is_attempt(person), attempts.c.intent_id.in_(theirs))


async def erase_in(db: AsyncConnection, person: Person, tenant_id: str, invoices: Sequence[str], now: datetime) -> None:
    """Take the person out of one organisation's part. The organisation's row is locked.

    ``invoices`` are those whose snapshots told of the person; what one tells now is looked at again.
    """
    for invoice_id in invoices:
        ours = (snapshots.c.tenant_id == tenant_id) & (snapshots.c.invoice_id == invoice_id)
        body = await db.scalar(sa.select(snapshots.c.body).where(ours))
        known = None if body is None else Snapshot.model_validate(body)
        if known and (known.contact.contact_id in person.contacts or known.contact.phone in person.phones):
            nobody = known.without_person().model_dump(mode="json")
            await db.execute(sa.update(snapshots).where(ours).values(body=nobody))
    # The messages go last: by them the attempts are found.
    waiting = sa.and_(_is_intent(person), intents.c.tenant_id == tenant_id, intents.c.state.in_(_PENDING))
    rows = (await db.execute(sa.select(intents).where(waiting))).all()
    for row in rows:
        await db.execute(_refused(db, row, now))
    cancelled = {"state": MessageState.CANCELLED.value, "reason": ERASED, "changed_at": now}
    await db.execute(sa.update(intents).where(waiting).values(cancelled))
    await record_changes(db, [to_intent(row).changed(MessageState.CANCELLED, ERASED, now) for row in rows])
    nothing = dict.fromkeys(("whatsapp_phone", "person_user_id", "provider_message_id", "details"))
    tried = sa.update(attempts).where(_of_person(person, tenant_id), attempts.c.tenant_id == tenant_id)
    await db.execute(tried.values(phone=ERASED, **nothing))
    await db.execute(sa.delete(replies).where(replies.c.phone.in_(person.phones), replies.c.tenant_id == tenant_id))
    await _erase_confirmations(db, person, tenant_id)
    ours = decisions.c.contact_id.in_(person.contacts) & (decisions.c.tenant_id == tenant_id)
    await db.execute(sa.update(decisions).where(ours).values(contact_id=ERASED))
    said = sa.update(intents).where(_is_intent(person), intents.c.tenant_id == tenant_id)
    await db.execute(said.values(contact_id=ERASED, phone=None))


async def _erase_confirmations(db: AsyncConnection, person: Person, tenant_id: str) -> None:
    """What they cost stays countable, each under a name of its own that tells nothing."""
    table = confirmations
    theirs = table.c.phone.in_(person.phones) & (table.c.tenant_id == tenant_id)
    over = sa.case((table.c.state == MessageState.PLANNED.value, MessageState.CANCELLED.value), else_=table.c.state)
    nobody = sa.literal(f"{ERASED} ") + sa.func.substr(table.c.reference, 4, 12)
    nothing = {"contact_id": ERASED, "details": None, "provider_message_id": None}
    await db.execute(sa.update(table).where(theirs).values(phone=nobody, state=over, **nothing))


def _refused(db: AsyncConnection, intent: sa.Row[Any], now: datetime) -> sa.Executable:
    values = {"contact_id": ERASED, "verdict": "cancel", "rule": ERASED, "decided_at": now}
    insert = upsert(db, decisions).values(
        tenant_id=intent.tenant_id,
        invoice_id=intent.invoice_id,
        kind=intent.kind,
        stage=intent.stage,
        invoice_number=intent.invoice_number,
        due_on=intent.due_on,
        **values,
    )
    return insert.on_conflict_do_update(index_elements=["tenant_id", "invoice_id", "kind", "stage"], set_=values)


async def erase_everywhere(db: AsyncConnection, person: Person, *, really: bool) -> Counter[str]:
    """Take the person out of what belongs to no organisation: paces, wishes, statuses that came too early."""
    names = [*person.phones, *map(user, person.users)]
    wamids = [
        wamid for wamid in await db.scalars(sa.select(early_statuses.c.provider_message_id)) if tells(wamid, person)
    ]
    told = [breakers.c.details.contains(phone.lstrip("+")) for phone in person.phones]
    which = {
        "paces": (recipients, recipients.c.phone.in_(person.phones)),
        "wishes": (opt_outs, opt_outs.c.person.in_(names)),
        "early statuses": (early_statuses, early_statuses.c.provider_message_id.in_(wamids)),
    }
    found: Counter[str] = Counter()
    for name, (table, condition) in which.items():
        found[name] = int(await db.scalar(sa.select(sa.func.count()).select_from(table).where(condition)) or 0)
        if really:
            await db.execute(sa.delete(table).where(condition))
    if told and really:
        await db.execute(sa.update(breakers).where(sa.or_(*told)).values(details=None))
    return found


def tells(wamid: str, person: Person) -> bool:
    """Whether WhatsApp's id of a message tells one of the person's numbers: it is written inside, in base64."""
    text = wamid.removeprefix("wamid.")
    try:
        inside = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except (binascii.Error, ValueError):
        inside = b""
    digits = [phone.lstrip("+") for phone in person.phones]
    return any(number in wamid or number.encode() in inside for number in digits)
