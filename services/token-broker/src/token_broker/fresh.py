"""A grant with an access token that is good now, for work of our own at Xero."""

from token_broker.handout import Verdict, verdict
from token_broker.ports import Grant, Grants
from token_broker.refresh import Refresher
from token_broker.timing import RefreshTiming


async def with_fresh_token(grant_id: str, grants: Grants, refresher: Refresher, timing: RefreshTiming) -> Grant | None:
    """As a hand-out has it, after a refresh if need be.

    None when the grant was lost, or cannot be refreshed at this moment.
    """
    grant = await grants.read(grant_id)
    if grant is None or verdict(grant, False, timing) is Verdict.GIVE:
        return grant
    newer = await refresher.newer_than(grant, timing.patience_seconds)
    if newer is None or verdict(newer, False, timing) is not Verdict.GIVE:
        return None
    return newer
