"""The mutants: what each mistake is, and which check must notice it."""

from dataclasses import dataclass
from pathlib import Path

from mutants.catchers import Catcher, Play, Tests
from mutants.trial import PATCHES


@dataclass(frozen=True)
class Mutant:
    """A mistake that a tired engineer makes; ``bug`` says it in one sentence."""

    name: str
    bug: str
    catcher: Catcher

    @property
    def patch(self) -> Path:
        return PATCHES / f"{self.name}.patch"


def _tests(*nodes: str) -> Tests:
    return Tests(tuple(f"tests/{node}" for node in nodes))


_NOTIFIER_DIES = "at-notifier-taken,at-notifier-taken-in"
_BROKER_DIES = "rabbitmq-hangs-and-dies"
_DOOR = "unroutable,poison"
_WHATSAPP = "whatsapp-ambiguous"
_TOKENS = "token-expiries"
_ONCE = "integration/test_notifier_once.py::"

MUTANTS: tuple[Mutant, ...] = (
    Mutant("ack-first", "A message is acknowledged before it is handled.", Play(_NOTIFIER_DIES, ("lost",))),
    Mutant(
        "given-up-taken-for-confirmed",
        "What waits for its confirm when RabbitMQ falls silent is cancelled, which a task group takes for done.",
        _tests("unit/shared/test_silent_broker.py::test_what_waits_on_a_connection_that_is_given_up_is_not_confirmed"),
    ),
    Mutant(
        "publish-without-confirms",
        "Publishing ends when the socket has taken the message; RabbitMQ is not asked to confirm it.",
        Play(_BROKER_DIES, ("lost",)),
    ),
    Mutant(
        "confirm-not-awaited",
        "The confirm is asked for, and nobody waits for it.",
        Play(_BROKER_DIES, ("lost",)),
    ),
    Mutant(
        "answered-before-it-is-kept",
        "A webhook is answered 200 while its events are still on their way to RabbitMQ.",
        Play(_BROKER_DIES, ("lost",)),
    ),
    Mutant(
        "publish-not-mandatory",
        "What no queue takes is confirmed like everything else and is gone.",
        Play(_DOOR, ("lost",)),
    ),
    Mutant(
        "body-parsed-before-hmac",
        "Xero's signature is checked over the JSON written anew, not over the bytes that came.",
        Play(_DOOR, ("forged_accepted",)),
    ),
    Mutant(
        "unreadable-dropped",
        "A body that nobody can read is acknowledged and forgotten.",
        Play(_DOOR, ("poison_lost",)),
    ),
    Mutant(
        "sent-to-the-one-before",
        "A message leaves for the number of the message before it.",
        Play(_DOOR, ("misdirected",)),
    ),
    Mutant(
        "nack-loop",
        "What cannot be handled goes back to its queue, to be delivered again at once.",
        Play(_DOOR, ("poison_lost", "innocent_parked", "unfinished")),
    ),
    Mutant(
        "number-in-a-log-line",
        "The number to which WhatsApp has sent is logged under a name that no net knows.",
        Play(_DOOR, ("number_in_log",)),
    ),
    Mutant(
        "post-retried-after-timeout",
        "A POST to WhatsApp whose answer was lost is made once more.",
        Play(_WHATSAPP, ("duplicate",), patience=90),
    ),
    Mutant(
        "unknown-taken-for-failed",
        "A POST whose end is unknown counts as one that never arrived, and the message is sent again.",
        _tests("unit/notifier/test_whatsapp.py::test_no_answer_in_time_is_unknown"),
    ),
    Mutant(
        "unknown-taken-for-sent",
        "A message that WhatsApp did not answer, or not readably, counts as sent.",
        Play(_WHATSAPP, ("phantom", "lost"), patience=90),
    ),
    Mutant(
        "old-refresh-token-kept",
        "The refresh token of before is stored again instead of the one that has replaced it.",
        Play(_TOKENS, ("token_reuse",)),
    ),
    Mutant(
        "message-not-persistent",
        "Messages are published without asking RabbitMQ to keep them on disk.",
        _tests("integration/test_publishing.py::test_a_published_event_is_persistent_and_says_what_it_is"),
    ),
    Mutant(
        "dead-letter-exchange-missing",
        "What a queue gives up is dropped, because it has no dead-letter exchange.",
        _tests("unit/shared/test_topology.py::test_what_a_queue_gives_up_waits_with_its_service_s_dead_letters"),
    ),
    Mutant(
        "prefetch-unbounded",
        "A consumer takes all that its queue holds.",
        _tests(
            "integration/test_delivery.py::test_a_stop_finishes_what_is_held_and_touches_nothing_else",
        ),
    ),
    Mutant(
        "retried-for-ever",
        "A message that fails each time is tried again without end.",
        _tests("unit/shared/test_outcomes.py::test_an_error_has_one_outcome"),
    ),
    Mutant(
        "redirect-followed",
        "A client goes where an answer sends it, with the bearer token in hand.",
        _tests("unit/shared/test_http.py::test_a_redirect_is_an_answer_and_nobody_is_followed"),
    ),
    Mutant(
        "client-without-timeouts",
        "A client waits for an answer as long as it takes.",
        _tests("unit/shared/test_http.py::test_every_step_of_a_request_has_a_deadline"),
    ),
    Mutant(
        "signature-compared-with-equals",
        "The signature is compared by ==, which takes longer the more of it is right.",
        _tests("architecture/test_boundaries.py::test_what_is_signed_is_compared_in_constant_time"),
    ),
    Mutant(
        "only-xero-s-signature-checked",
        "WhatsApp's webhooks are let in unsigned.",
        _tests("unit/ingress/test_webhooks.py::test_a_forged_body_publishes_nothing"),
    ),
    Mutant(
        "lock-released-by-anybody",
        "Who ends its work deletes the lock, even when it is somebody else's by then.",
        _tests("integration/test_token_broker_refresh.py::test_only_the_owner_releases_or_renews_the_lock"),
    ),
    Mutant(
        "no-second-reading-under-the-lock",
        "Who got the lock refreshes with what it had read before it waited.",
        _tests("unit/token_broker/test_guards.py::test_a_generation_that_has_passed_cannot_be_claimed"),
    ),
    Mutant(
        "claim-taken-from-its-holder",
        "A grant that another replica is refreshing can be claimed as well.",
        _tests("unit/token_broker/test_guards.py::test_a_claim_is_had_by_one_until_it_lapses"),
    ),
    Mutant(
        "refresh-cancelled-with-its-caller",
        "A refresh ends when the one who asked for it does, and its answer is thrown away.",
        _tests("unit/token_broker/test_refresh.py::test_a_caller_that_leaves_does_not_stop_the_refresh"),
    ),
    Mutant(
        "claim-shorter-than-the-request",
        "The claim may lapse while the request that it covers is under way.",
        _tests("unit/token_broker/test_verdict.py::test_a_claim_or_lock_that_can_lapse_during_a_request_is_refused"),
    ),
    Mutant(
        "sealed-without-its-place",
        "Tokens are encrypted without associated data, so that one opens in another's place.",
        _tests("unit/token_broker/test_keyring.py::test_of_a_thousand_swaps_between_grants_none_is_accepted"),
    ),
    Mutant(
        "window-of-sixty-one",
        "A minute takes one call more than Xero allows.",
        _tests("integration/test_fetcher_limiter.py::test_a_permit_that_is_given_back_still_counts_for_a_window"),
    ),
    Mutant(
        "calls-in-flight-not-counted",
        "A minute's calls are those that have ended; the ones under way are on top.",
        _tests("integration/test_fetcher_limiter.py::test_no_window_of_the_providers_holds_more_calls_than_the_limit"),
    ),
    Mutant(
        "place-freed-without-a-lease",
        "A call that timed out gives its place back at once, while Xero may be at work on it.",
        _tests("integration/test_fetcher_limiter.py::test_a_call_that_timed_out_keeps_its_place_until_the_lease_ends"),
    ),
    Mutant(
        "dedupe-only-in-redis",
        "What was asked for is remembered in Redis alone: emptied, it is asked for again.",
        _tests("unit/scheduler/test_tick.py::test_a_wiped_store_doubles_nothing_while_a_replica_remembers"),
    ),
    Mutant(
        "contact-of-another-organisation",
        "Contacts are kept by their id alone, whoever they belong to.",
        _tests("integration/test_fetcher_caches.py::test_contacts_are_found_again_by_their_tenant_alone"),
    ),
    Mutant(
        "checked-then-inserted",
        "Whether a message is planned already is looked up first; no unique key decides.",
        _tests(f"{_ONCE}test_the_database_itself_refuses_a_second_intent[sqlite]"),
    ),
    Mutant(
        "claim-without-compare",
        "A message is claimed in whatever state it is by then.",
        _tests(f"{_ONCE}test_only_one_of_many_claims_succeeds[sqlite]"),
    ),
    Mutant(
        "no-last-look",
        "What was decided when a message was planned is not asked again when it leaves.",
        _tests("unit/notifier/test_learning.py::test_stop_between_the_plan_and_the_post_is_honoured"),
    ),
    Mutant(
        "stale-snapshot-sent",
        "A reading of any age is good enough to send by.",
        _tests("unit/notifier/test_still_wanted.py::test_ten_minutes_are_fresh_and_no_more"),
    ),
    Mutant(
        "stop-not-heard-at-the-claim",
        "A STOP that comes between the decision and the claim is not looked at.",
        _tests(
            "integration/test_notifier_wishes.py::test_a_stop_between_the_decision_and_the_claim_is_heard[sqlite]",
        ),
    ),
    Mutant(
        "told-in-another-transaction",
        "What changed is written for telling in a transaction of its own.",
        _tests("integration/test_notifier_tells.py::test_what_cannot_be_kept_for_telling_does_not_happen"),
    ),
    Mutant(
        "two-stages-on-one-day",
        "Two reminders of one invoice may leave on one day.",
        _tests("unit/notifier/test_rules.py::test_one_reminder_of_an_invoice_a_day"),
    ),
    Mutant(
        "reminder-without-an-end",
        "A stage that was missed is sent however late it is.",
        _tests("unit/notifier/test_decide.py::test_the_latest_stage_within_its_lateness"),
    ),
    Mutant(
        "day-of-the-server",
        "Days turn at midnight in UTC, not where the organisation is.",
        _tests("unit/notifier/test_decide.py::test_days_turn_at_midnight_in_the_organisations_zone"),
    ),
    Mutant(
        "statement-over-all-organisations",
        "What a contact owes is gathered without asking to which organisation.",
        _tests(
            "integration/test_notifier_statements.py::test_what_another_organisation_is_owed_is_no_part_of_it[sqlite]",
        ),
    ),
)

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
