"""What each rule says, in plain words, for those who do not know the code."""

_WORDS = {
    "no_stage_due": "no reminder falls due",
    "too_late": "the reminder that was due is older than its lateness allows",
    "not_a_sale": "it is no sales invoice",
    "not_issued": "it is not issued yet",
    "paid": "it is paid",
    "credited": "it is credited",
    "voided": "it is voided",
    "deleted": "it is deleted",
    "nothing_due": "nothing is due on it",
    "unknown_status": "its status in Xero is not known to us",
    "no_longer_paid": "it is no longer paid",
    "due_date_changed": "its due date was moved",
    "superseded": "a later reminder took its place",
    "below_minimum": "less than the minimum amount is due",
    "no_due_date": "it has no due date",
    "promised": "the customer promised to pay by a day that is not over",
    "contact_not_active": "the contact is archived, merged or asked to be forgotten",
    "excluded": "the contact is excluded by the policy",
    "excluded_group": "a group of the contact is excluded by the policy",
    "groups_unknown": "groups are excluded and the contact's were not read yet",
    "no_phone_none_given": "the contact has no number",
    "no_phone_not_a_mobile": "the contact's number is not a mobile",
    "no_phone_invalid": "the contact's number is not a valid one",
    "no_phone_ambiguous_country": "the country of the contact's number is not clear",
    "opted_out": "the person wants no messages",
    "erased": "the person was erased",
    "reminded_today": "a reminder of this invoice leaves, or left, that day already",
    "weekly_cap": "the person has had as many reminders as a week allows",
    "monthly_cap": "the person has had as many reminders as a month allows",
    "contact_hours": "it waits for the person's contact hours",
    "alerts_off": "the policy has no such alert",
    "too_old": "the news is too old",
    "stage_removed": "the policy no longer has this reminder",
    "not_readable": "Xero does not show the invoice any more",
    "rejected": "a person refused it",
    "approval": "waits for a person's approval (make release)",
    "back_book": "was overdue when the organisation was connected (make release)",
    "brake": "part of an unusual wave (make release)",
    "preview": "the policy only previews",
    "paused": "paused by a person (make resume)",
    "connection_lost": "the organisation's connection is lost",
    "budget": "the month's budget is spent",
    "held": "held (make release)",
    "already_accepted": "its latest reminder was sent",
    "already_sent": "its latest reminder was sent",
    "already_delivered": "its latest reminder was delivered",
    "already_read": "its latest reminder was read",
    "already_sending": "its latest reminder is being sent",
    "already_unknown": "whether its latest reminder was sent is not known (make resolve)",
    "already_failed": "its latest reminder failed",
    "already_suppressed": "its latest reminder was only previewed",
    "already_cancelled": "its latest reminder was cancelled",
}
_STOPPED = "stopped:"


def in_words(rule: str) -> str:
    """The rule's own name, spaced, where there are no words for it."""
    if rule.startswith(_STOPPED):
        return f"stopped by WhatsApp's {rule.removeprefix(_STOPPED)} (make stops)"
    return _WORDS.get(rule) or rule.replace("_", " ")
