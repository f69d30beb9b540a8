"""What the admin API and the overview page say about the state."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from sandbox.books import Contact, Invoice, Organisation

if TYPE_CHECKING:
    from sandbox.world import World


def organisation_row(world: "World", item: Organisation) -> dict[str, Any]:
    """One organisation."""
    return {
        "tenant_id": item.tenant_id,
        "name": item.name,
        "country": item.country,
        "timezone": item.timezone,
        "currency": item.currency,
        "invoices": len(world.books.invoices[item.tenant_id]),
        "connected": any(link.tenant_id == item.tenant_id for link in world.identity.connections.values()),
    }


def contact_row(item: Contact) -> dict[str, Any]:
    """One contact."""
    return {"contact_id": item.contact_id, "tenant_id": item.tenant_id, "name": item.name, "status": item.status}


def invoice_row(item: Invoice) -> dict[str, Any]:
    """One invoice; money as text, dates as ISO text."""
    return {
        "invoice_id": item.invoice_id,
        "tenant_id": item.tenant_id,
        "contact_id": item.contact_id,
        "invoice_number": item.number,
        "type": item.type,
        "status": item.status,
        "total": str(item.total),
        "amount_due": str(item.due),
        "currency": item.currency,
        "issue_date": str(item.issue_date),
        "due_date": str(item.due_date) if item.due_date else None,
        "updated": item.updated.isoformat(),
    }


def summary_of(world: "World") -> dict[str, Any]:
    """Counts over everything since the journal was last cleared, limits and tokens since the last reset."""
    breaches: dict[str, dict[str, int]] = {}
    for (tenant, rule), count in world.journal.breaches.items():
        breaches.setdefault(tenant, {})[rule] = count
    sent = [message for message in world.outbox.messages.values() if not message.inbound]
    deliveries = {
        kind: dict(Counter(str(entry["status"]) for entry in world.journal.select(kind)))
        for kind in ("xero.webhook", "whatsapp.webhook")
    }
    return {
        "messages_accepted": len(sent),
        "messages_refused": world.journal.counts["whatsapp.refused"],
        "messages_per_reference": _repeated(Counter(m.reference for m in sent if m.reference)),
        "breaches": sum(world.journal.breaches.values()),
        "breaches_by_tenant": breaches,
        "token_refreshes": world.identity.refreshes,
        "token_reuse": world.identity.reuses,
        "calls_by_tenant": {
            tenant: {"admitted": u.total, "refused": u.refused, "peak_in_flight": u.peak_in_flight}
            for tenant, u in world.limiter.tenants.items()
        },
        "webhook_deliveries": deliveries,
        "webhook_subscription": world.xero_webhooks.status,
        "webhook_backlog": len(world.xero_webhooks.backlog),
        "journal": dict(world.journal.counts),
    }


def _repeated(counts: Counter[str]) -> dict[str, int]:
    return {reference: count for reference, count in counts.items() if count > 1}
