"""Takes a person from a consent link through Xero's login to stored, announced connections."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from token_broker.claims import scopes, xero_user
from token_broker.consent_ports import Consent, Consents
from token_broker.links import LinkInvalid, LinkSigner
from token_broker.ports import (
    Clock,
    Figures,
    GrantRefused,
    Identity,
    IdentitySilent,
    IdentityUnavailable,
    Organisation,
    TokenPair,
)
from token_broker.problems import ConsentRefused, Problem

_STATE_LIFE_SECONDS = 3600.0
_CLAIM_LIFE_SECONDS = 120.0
"""Longer than the exchange, the look at the connections and the transaction can take together."""
_ABOUT_THE_PERSON = frozenset({"openid", "profile", "email", "offline_access"})
_KNOWN_ERRORS = frozenset({"invalid_scope", "unauthorized_client", "invalid_request", "unsupported_response_type"})


@dataclass(frozen=True)
class Application:
    """What we are to Xero. ``scopes`` in the order in which they are asked for."""

    authorize_url: str
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]

    def login_url(self, state: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.scopes),
            "state": state,
        }
        return f"{self.authorize_url}?{urlencode(query)}"


class StartConsent:
    """Opens a link. Opening it twice is fine until a journey has been completed."""

    def __init__(
        self,
        consents: Consents,
        links: LinkSigner,
        application: Application,
        *,
        clock: Clock,
        new_state: Callable[[], str],
    ) -> None:
        self._consents = consents
        self._links = links
        self._application = application
        self._clock = clock
        self._new_state = new_state

    async def __call__(self, query: Mapping[str, str]) -> str:
        """Where in Xero to send the person.

        Raises:
            ConsentRefused: the link is not ours, has expired or was used.
        """
        try:
            link = self._links.read(query)
        except LinkInvalid:
            raise ConsentRefused(Problem.LINK_INVALID) from None
        if link.expires_at <= self._clock():
            raise ConsentRefused(Problem.LINK_EXPIRED)
        state = await self._consents.open(link, self._new_state(), _STATE_LIFE_SECONDS)
        if state is None:
            raise ConsentRefused(Problem.LINK_USED)
        return self._application.login_url(state)


class FinishConsent:
    """Turns Xero's answer into connections, or gives the link back and says why not."""

    def __init__(
        self,
        consents: Consents,
        identity: Identity,
        links: LinkSigner,
        figures: Figures,
        announce: Callable[[], Awaitable[object]],
        *,
        asked_scopes: frozenset[str],
        new_id: Callable[[], str],
    ) -> None:
        self._consents = consents
        self._identity = identity
        self._links = links
        self._figures = figures
        self._announce = announce
        self._needed = asked_scopes - _ABOUT_THE_PERSON
        self._new_id = new_id

    async def __call__(self, query: Mapping[str, str]) -> Sequence[Organisation]:
        """The organisations that were connected.

        Raises:
            ConsentRefused: nothing was stored.
        """
        try:
            organisations = await self._finish(query)
        except ConsentRefused as refusal:
            self._figures.consented(refusal.problem)
            raise
        self._figures.consented("connected", len(organisations))
        await self._announce()
        return organisations

    async def _finish(self, query: Mapping[str, str]) -> Sequence[Organisation]:
        consent = await self._consents.begin(query.get("state", ""), self._new_id(), _CLAIM_LIFE_SECONDS)
        async with self._given_back_on_failure(consent):
            code = _code(query)
            pair = await self._identity.exchange(code)
            self._check(pair)
            organisations = await self._identity.organisations(pair.access_token)
            if not organisations:
                raise ConsentRefused(Problem.NO_ORGANISATION)
            grant_id = xero_user(pair.access_token, pair.id_token) or self._new_id()
            await self._consents.complete(consent, grant_id, pair, organisations)
        return organisations

    @asynccontextmanager
    async def _given_back_on_failure(self, consent: Consent) -> AsyncIterator[None]:
        try:
            yield
        except ConsentRefused as refusal:
            problem, detail = refusal.problem, refusal.detail
        except GrantRefused:
            problem, detail = Problem.CODE_REFUSED, ""
        except (IdentityUnavailable, IdentitySilent):
            problem, detail = Problem.XERO_UNAVAILABLE, ""
        else:
            return
        await self._consents.give_back(consent)
        raise ConsentRefused(problem, detail, None if problem is Problem.STATE_USED else self._links.url(consent.link))

    def _check(self, pair: TokenPair) -> None:
        if pair.refresh_token is None:
            raise ConsentRefused(Problem.OFFLINE_ACCESS_MISSING)
        granted = pair.scopes | scopes(pair.access_token)
        missing = self._needed - granted
        if granted and missing:
            raise ConsentRefused(Problem.SCOPES_MISSING, " ".join(sorted(missing)))


def _code(query: Mapping[str, str]) -> str:
    error, code = query.get("error"), query.get("code", "")
    if error == "access_denied":
        raise ConsentRefused(Problem.DENIED)
    if error is not None or not code:
        raise ConsentRefused(Problem.LOGIN_FAILED, error if error in _KNOWN_ERRORS else "")
    return code
