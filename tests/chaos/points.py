"""Every commit boundary of the five services that a process may die at, by name."""

from chaos.traps import Moment, Point

_PUBLISH = "shared.runtime.publisher:EventPublisher.publish"
_CHANNEL = "aiormq:Channel.basic_publish"
_WIRE = "httpx:AsyncHTTPTransport.handle_async_request"


def _publishes(service: str, event: str, key: str) -> tuple[Point, ...]:
    """The four steps of saying something: ``event`` is the contract's class, ``key`` its routing key."""
    key = key.replace(".", r"\.")
    return (
        Point(service, "publishing", _PUBLISH, Moment.BEFORE, event, f"{event} is about to be published"),
        Point(service, "published", _CHANNEL, Moment.HANDED, key, "it is on its way, unconfirmed"),
        Point(service, "confirming", _CHANNEL, Moment.CONFIRMING, key, "the confirm has come and nobody has read it"),
        Point(service, "confirmed", _PUBLISH, Moment.AFTER, event, "confirmed, and nothing else done yet"),
    )


_INGRESS = (
    Point(
        "ingress",
        "verified",
        "ingress.webhooks:Webhooks._read",
        Moment.BEFORE,
        "sender='xero'",
        "the signature was right, nothing is read",
    ),
    *_publishes("ingress", "XeroEventReceivedV1", "xero.event.received.v1"),
    Point(
        "ingress",
        "accepted",
        "ingress.accept:AcceptWebhook.__call__",
        Moment.AFTER,
        "XeroEventReceivedV1",
        "all is confirmed, the 200 not written",
    ),
)

_CALL = "fetcher.adapters.calls:XeroCalls._send"
_FETCHER = (
    Point(
        "fetcher",
        "taken",
        "fetcher.looks:LookAtInvoices.after_event",
        Moment.BEFORE,
        says="an event was taken from the queue",
    ),
    Point("fetcher", "token", "fetcher.adapters.tokens:AccessTokens.access", Moment.AFTER, says="the token is in hand"),
    Point("fetcher", "calling", _CALL, Moment.BEFORE, "'IDs'", "the call is permitted and not made"),
    Point("fetcher", "asked", _WIRE, Moment.WRITTEN, "/Invoices", "Xero has the question"),
    Point("fetcher", "answered", _WIRE, Moment.ANSWERING, "/Invoices", "Xero's answer begins"),
    Point("fetcher", "called", _CALL, Moment.AFTER, "'IDs'", "the answer is read, the permit not given back"),
    *_publishes("fetcher", "InvoiceEnrichedV1", "invoice.enriched.v1"),
    Point(
        "fetcher",
        "handled",
        "shared.runtime.delivery:DeliveryMiddleware.after_processed",
        Moment.AFTER,
        r"False\Z",
        "the event is handled, not acknowledged",
    ),
)

_GRANTS = "token_broker.adapters.grant_store:SqlGrants"
_REFRESH = "token_broker.adapters.xero_identity:XeroIdentity.refresh"
_TOKEN_BROKER = (
    Point(
        "token-broker",
        "asked",
        "token_broker.handout:HandOut.__call__",
        Moment.BEFORE,
        says="a token was asked for",
    ),
    Point("token-broker", "claiming", f"{_GRANTS}.claim", Moment.BEFORE, says="the claim is about to be made"),
    Point("token-broker", "claimed", f"{_GRANTS}.claim", Moment.AFTER, r"Claim\(", "claimed, nothing sent"),
    Point("token-broker", "posting", _REFRESH, Moment.BEFORE, says="the request is about to be made"),
    Point("token-broker", "posted", _WIRE, Moment.WRITTEN, "/connect/token", "Xero has the request"),
    Point("token-broker", "answering", _WIRE, Moment.ANSWERING, "/connect/token", "Xero's answer begins"),
    Point("token-broker", "answered", _REFRESH, Moment.AFTER, says="the new tokens are in memory alone"),
    Point(
        "token-broker",
        "written",
        "token_broker.adapters.grant_store:_change",
        Moment.AFTER,
        r"True\Z",
        "the new tokens are written, not committed",
    ),
    Point("token-broker", "stored", f"{_GRANTS}.renew", Moment.AFTER, r"True\Z", "committed, not handed out"),
    Point(
        "token-broker",
        "handing",
        "token_broker.handout:HandOut.__call__",
        Moment.AFTER,
        "TokenGranted",
        "the answer is about to go out",
    ),
)

_CLAIMS = "scheduler.adapters.claims:RedisClaims"
_SCHEDULER = (
    Point("scheduler", "due", f"{_CLAIMS}.take", Moment.BEFORE, "RECEIVABLES", "a moment has come, unclaimed"),
    Point("scheduler", "claimed", f"{_CLAIMS}.take", Moment.AFTER, "RECEIVABLES(?s:.)*YES", "claimed, nothing said"),
    *_publishes("scheduler", "ScanRequestedV1", "scan.requested.v1"),
    Point("scheduler", "marked", f"{_CLAIMS}.done", Moment.AFTER, "RECEIVABLES", "the moment is marked as done"),
)

_INTAKE = "notifier.intake:Intake.all_of"
_CLAIM = "notifier.last_look:LookLast.claim_all"
_SEND = "notifier.adapters.whatsapp:WhatsAppProvider.send"
_BOOK = "notifier.adapters.tenant_book:SqlTenantBook"
_LEDGER = "notifier.adapters.ledger:SqlLedger"
_TELL = "notifier.tell:TellChanges._tell"
_NOTIFIER = (
    Point("notifier", "taken", _INTAKE, Moment.BEFORE, says="invoices were taken from the queue"),
    Point("notifier", "planned", f"{_BOOK}.plan", Moment.AFTER, "intent_id", "a message is written down, uncommitted"),
    Point("notifier", "taken-in", _INTAKE, Moment.AFTER, says="the ledger is committed, nothing acknowledged"),
    Point("notifier", "claiming", _CLAIM, Moment.BEFORE, says="messages are about to be claimed"),
    Point("notifier", "claim-written", f"{_BOOK}.claim", Moment.AFTER, r"True\Z", "a claim is written, uncommitted"),
    Point("notifier", "claimed", _CLAIM, Moment.AFTER, r"Claimed\(", "the claims are committed"),
    Point("notifier", "posting", _SEND, Moment.BEFORE, says="the POST is about to be made"),
    Point("notifier", "posted", _WIRE, Moment.WRITTEN, r"/messages\b", "WhatsApp has the message"),
    Point("notifier", "answering", _WIRE, Moment.ANSWERING, r"/messages\b", "WhatsApp's answer begins"),
    Point("notifier", "answered", _SEND, Moment.AFTER, says="the answer is read, not recorded"),
    Point(
        "notifier",
        "settle-written",
        f"{_LEDGER}._record_outcome",
        Moment.AFTER,
        says="what became of it is written, uncommitted",
    ),
    Point("notifier", "settled", f"{_LEDGER}.settle", Moment.AFTER, says="committed, nobody told"),
    Point("notifier", "telling", _TELL, Moment.BEFORE, says="the change is about to be told"),
    Point("notifier", "published", _CHANNEL, Moment.HANDED, r"message\.changed\.v1", "it is on its way, unconfirmed"),
    Point("notifier", "told", _TELL, Moment.AFTER, says="told, not marked as told"),
    Point("notifier", "learnt", "notifier.learn:Learn.__call__", Moment.AFTER, says="a status is kept, unacknowledged"),
)

POINTS: tuple[Point, ...] = (*_INGRESS, *_FETCHER, *_TOKEN_BROKER, *_SCHEDULER, *_NOTIFIER)

KILLERS: tuple[Point, ...] = (
    Point("fetcher", "marked", "fetcher.looks:LookAtInvoices.after_event", Moment.MARKED),
    Point("notifier", "marked", "notifier.intake:Intake._take_in", Moment.MARKED),
)


def points_of(service: str) -> tuple[Point, ...]:
    """All traps that a service's process is started with."""
    return tuple(point for point in (*POINTS, *KILLERS) if point.service == service)
