"""A typed asynchronous client for the sandbox's admin API, for tests and demonstrations."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]


class Sandbox:
    """One running sandbox; every method raises httpx.HTTPStatusError when the sandbox refuses."""

    def __init__(self, base_url: str, http: httpx.AsyncClient | None = None) -> None:
        """Talk to `base_url`, through `http` when given."""
        self.base_url = base_url.rstrip("/")
        self._http = http or httpx.AsyncClient(trust_env=False, timeout=60)

    async def __aenter__(self) -> Self:
        """Use as a context manager to close the connections."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def settings(self, **changes: Any) -> Json:
        """Change the settings given and return all of them, secrets masked."""
        return await self._call("PUT", "/settings", changes)

    async def reset(self, *, keep_settings: bool = False) -> None:
        """Forget everything."""
        await self._call("POST", "/reset", params={"settings": "keep"} if keep_settings else None)

    async def organisation(self, name: str = "Sharma Traders", **fields: Any) -> Json:
        """A new organisation: `tenant_id`, name, country, timezone, currency."""
        return await self._call("POST", "/organisations", {"name": name, **fields})

    async def contact(self, tenant_id: str, name: str = "Asha Traders", **fields: Any) -> Json:
        """A new contact: `contact_id`; `phone` is short for one MOBILE number, `phones` gives Xero's three parts."""
        return await self._call("POST", "/contacts", {"tenant_id": tenant_id, "name": name, **fields})

    async def change_contact(self, contact_id: str, *, event: bool = True, **fields: Any) -> Json:
        """Change a contact."""
        return await self._call("PATCH", f"/contacts/{contact_id}", fields, _event(event))

    async def invoice(
        self, tenant_id: str, contact_id: str, *, issue_date: date, event: bool = True, **fields: Any
    ) -> Json:
        """A new invoice: `invoice_id`, `invoice_number`, `amount_due`; announced by a webhook unless event=False."""
        body = {"tenant_id": tenant_id, "contact_id": contact_id, "issue_date": issue_date, **fields}
        return await self._call("POST", "/invoices", body, _event(event))

    async def change_invoice(self, invoice_id: str, *, event: bool = True, **fields: Any) -> Json:
        """Change an invoice."""
        return await self._call("PATCH", f"/invoices/{invoice_id}", fields, _event(event))

    async def pay(self, invoice_id: str, amount: Decimal | str | None = None, *, event: bool = True) -> Json:
        """Receive a payment; all that is due when no amount is given."""
        body = {} if amount is None else {"amount": str(amount)}
        return await self._call("POST", f"/invoices/{invoice_id}/pay", body, _event(event))

    async def void(self, invoice_id: str, *, event: bool = True) -> Json:
        """Make an invoice void."""
        return await self._call("POST", f"/invoices/{invoice_id}/void", {}, _event(event))

    async def authorise(self, invoice_id: str, *, event: bool = True) -> Json:
        """Approve a draft."""
        return await self._call("POST", f"/invoices/{invoice_id}/authorise", {}, _event(event))

    async def book(self, tenant_id: str, today: date) -> list[Json]:
        """The demo book: each row has `invoice_id`, `case`, `expect` (remind or skip), `why`, `template`, `phone`."""
        rows: list[Json] = (await self._call("POST", "/book", {"tenant_id": tenant_id, "today": today}))["invoices"]
        return rows

    async def bulk(self, tenant_id: str, count: int, *, issue_date: date, **fields: Any) -> list[Json]:
        """Many like invoices, each of its own contact, without events; rows as from `invoice`, with `phone`."""
        body = {"tenant_id": tenant_id, "count": count, "issue_date": issue_date, **fields}
        rows: list[Json] = (await self._call("POST", "/bulk", body))["invoices"]
        return rows

    async def journal(self, kind: str | None = None, since: int = 0) -> list[Json]:
        """Entries after `since`, in order; `kind` matches exactly or as a prefix such as `xero`."""
        params = {"since": str(since)} | ({} if kind is None else {"kind": kind})
        entries: list[Json] = (await self._call("GET", "/journal", params=params))["entries"]
        return entries

    async def clear_journal(self) -> None:
        """Forget entries and breach counts."""
        await self._call("DELETE", "/journal")

    async def summary(self) -> Json:
        """Counts: messages, breaches, token reuse, calls per tenant, webhook deliveries by status."""
        return await self._call("GET", "/summary")

    async def messages(self) -> list[Json]:
        """Every WhatsApp message accepted or received, in order."""
        rows: list[Json] = (await self._call("GET", "/messages"))["messages"]
        return rows

    async def fault(self, on: str, effect: str, **fields: Any) -> None:
        """Switch one more fault on; see sandbox.faults.Fault."""
        await self._call("POST", "/faults", {"on": on, "effect": effect, **fields})

    async def faults(self, faults: Iterable[Mapping[str, Any]] = ()) -> list[Json]:
        """Replace all faults; none by default."""
        rows: list[Json] = (await self._call("PUT", "/faults", list(faults)))["faults"]
        return rows

    async def consent(self, url: str, *, allow: bool = True, **fields: Any) -> str:
        """Decide on an authorize address as a person would; returns the redirect to follow."""
        return str((await self._call("POST", "/consent", {"url": url, "allow": allow, **fields}))["redirect"])

    async def tokens(self) -> dict[str, list[str]]:
        """All that was issued, plain: `codes`, `access_tokens`, `refresh_tokens`."""
        return await self._call("GET", "/tokens")

    async def expire_tokens(self) -> None:
        """Every access token issued so far expires now."""
        await self._call("POST", "/tokens/expire")

    async def revoke_grants(self) -> None:
        """Every user withdraws the consent."""
        await self._call("POST", "/grants/revoke")

    async def disconnect(self, tenant_id: str) -> None:
        """Disconnect an organisation from inside Xero."""
        await self._call("POST", f"/organisations/{tenant_id}/disconnect")

    async def handshake(self) -> Json:
        """Xero's intent to receive: `ok`, `problems`, `attempts`."""
        return await self._call("POST", "/webhooks/xero/handshake")

    async def send_events(self, events: Sequence[Mapping[str, Any]] = (), **options: Any) -> list[Json]:
        """Deliver events now; each has tenant_id and resource_id; options copies, shuffle, batch, forged, raw, ..."""
        body = {"events": [dict(item) for item in events], **options}
        answers: list[Json] = (await self._call("POST", "/webhooks/xero/send", body))["answers"]
        return answers

    async def queue_events(self, events: Sequence[Mapping[str, Any]], copies: int = 1) -> None:
        """Deliver events in the background, with retries."""
        await self._call("POST", "/webhooks/xero/queue", {"events": [dict(item) for item in events], "copies": copies})

    async def verify_whatsapp(self) -> Json:
        """WhatsApp's verification request: `ok`, `problems`."""
        return await self._call("POST", "/webhooks/whatsapp/verify")

    async def status(self, wamid: str, status: str, **fields: Any) -> list[Json]:
        """Give a message its next status and deliver it; returns the receiver's answers."""
        body = {"status": status, **fields}
        answers: list[Json] = (await self._call("POST", f"/messages/{wamid}/status", body))["answers"]
        return answers

    async def statuses(self, pairs: Sequence[tuple[str, str]] = (), **options: Any) -> list[Json]:
        """Many statuses in one delivery; options copies, shuffle, per_change, forged, raw."""
        body = {"statuses": [list(pair) for pair in pairs], **options}
        answers: list[Json] = (await self._call("POST", "/webhooks/whatsapp/statuses", body))["answers"]
        return answers

    async def inbound(self, sender: str, text: str = "STOP", **fields: Any) -> Json:
        """A customer writes; `payload` makes it a quick-reply tap, `context` the wamid replied to."""
        return await self._call("POST", "/inbound", {"from": sender, "text": text, **fields})

    async def template_status(self, name: str, status: str) -> None:
        """Set a template to APPROVED, PAUSED, DISABLED, ..."""
        await self._call("POST", f"/templates/{name}/{status}")

    async def change_template(self, name: str, **fields: Any) -> None:
        """What Meta does to a template: status, category or quality, in one language or all, told by webhook."""
        await self._call("POST", f"/templates/{name}", fields)

    async def forget_templates(self) -> None:
        """An account without templates."""
        await self._call("DELETE", "/templates")

    async def _call(self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None) -> Json:
        content = None if body is None else json.dumps(body, default=str)
        response = await self._http.request(method, f"{self.base_url}/sandbox{path}", content=content, params=params)
        if response.status_code >= 400:
            detail = f"{method} {path}: {response.status_code} {response.text[:500]}"
            raise httpx.HTTPStatusError(detail, request=response.request, response=response)
        answer: Json = response.json()
        return answer


def _event(wanted: bool) -> dict[str, str]:
    return {} if wanted else {"event": "false"}
