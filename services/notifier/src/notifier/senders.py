"""Who sends for whom: a sender is a number with its provider, credentials and pace, shared or an organisation's."""

from dataclasses import dataclass

from shared.policy import Policy


@dataclass(frozen=True, slots=True)
class Share:
    """The organisations whose messages one sender sends: ``tenants``, or all ``but`` them. ``others`` also send."""

    tenants: frozenset[str] = frozenset()
    but: bool = False
    others: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        return self.but and not self.tenants and not self.others


EVERYTHING_DUE = Share(but=True)
"""What a lone sender sends."""


def share_of(sender: str, policy: Policy, senders: frozenset[str]) -> Share:
    """The sender's part under the policy; ``senders`` are the names of all."""
    others = senders - {sender}
    if not others:
        return EVERYTHING_DUE
    by_default = policy.defaults.sender == sender
    named = frozenset(tenant for tenant, rules in policy.tenants.items() if (rules.sender == sender) is not by_default)
    return Share(named, but=by_default, others=others)


def senders_in(policy: Policy) -> frozenset[str]:
    """All senders that the policy names."""
    return frozenset({policy.defaults.sender, *(rules.sender for rules in policy.tenants.values())})
