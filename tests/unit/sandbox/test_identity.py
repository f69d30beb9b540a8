"""Consent, codes, and the rotation of refresh tokens in both modes."""

from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from unit.sandbox.playing import CALLBACK, CLIENT, Double


def answer_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def test_the_state_comes_back_as_it_was(double: Double) -> None:
    await double.admin.settings(auto_consent="allow")
    answer = answer_of((await double.authorize()).headers["location"])
    assert answer["state"] == "s+ /="
    assert answer["code"]


async def test_denying_is_access_denied(double: Double) -> None:
    await double.admin.settings(auto_consent="deny")
    assert answer_of((await double.authorize()).headers["location"])["error"] == "access_denied"


async def test_the_broad_scope_is_refused_to_new_apps(double: Double) -> None:
    answer = await double.authorize(scope="openid accounting.transactions")
    assert answer_of(answer.headers["location"])["error"] == "invalid_scope"
    await double.admin.settings(allow_broad_scopes=True, auto_consent="allow")
    answer = await double.authorize(scope="openid accounting.transactions")
    assert "code" in answer_of(answer.headers["location"])


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"redirect_uri": "http://127.0.0.1:8081/callback"},
        {"redirect_uri": "http://example.com/callback"},
        {"redirect_uri": ""},
    ],
)
async def test_a_wrong_client_or_redirect_is_never_redirected(double: Double, changes: dict[str, str]) -> None:
    answer = await double.authorize(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_the_login_page_connects_what_was_ticked(double: Double) -> None:
    first = (await double.admin.organisation("First <b>"))["tenant_id"]
    await double.admin.organisation("Second")
    page = await double.authorize()
    assert "First &lt;b&gt;" in page.text
    form = dict(page.request.url.params) | {"organisation": first, "decision": "allow", "user": "meera"}
    answer = await double.http.post("/identity/connect/consent", data=form)
    assert answer.status_code == 303
    code = answer_of(answer.headers["location"])["code"]
    tokens = (await double.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    rows = (await double.http.get("/connections", headers=headers)).json()
    assert [row["tenantId"] for row in rows] == [first]
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    filtered = await double.http.get(
        "/connections", headers=headers, params={"authEventId": claims["authentication_event_id"]}
    )
    assert filtered.json() == rows
    assert claims["exp"] - claims["nbf"] == 1800
    assert isinstance(claims["scope"], list)


async def test_consent_without_a_browser(double: Double) -> None:
    page = await double.authorize()
    assert page.status_code == 200
    assert "code" in answer_of(await double.admin.consent(str(page.request.url)))
    assert answer_of(await double.admin.consent(str(page.request.url), allow=False))["error"] == "access_denied"


async def test_a_code_works_once_and_for_five_minutes(double: Double) -> None:
    code = await double.code()
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    assert (await double.token(**grant)).status_code == 200
    assert (await double.token(**grant)).json() == {"error": "invalid_grant"}
    assert await double.breaches() == ["code_reuse"]
    late = await double.code()
    double.clock.forward(300)
    assert (await double.token(**grant | {"code": late})).status_code == 400


async def test_credentials_may_be_in_the_form_but_the_body_must_be_one(double: Double) -> None:
    form = {"grant_type": "authorization_code", "code": await double.code(), "redirect_uri": CALLBACK}
    secrets = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    assert (await double.http.post("/connect/token", json=form | secrets)).json() == {"error": "invalid_request"}
    wrong = await double.http.post("/connect/token", data=form | secrets | {"client_secret": "x"})
    assert wrong.json() == {"error": "invalid_client"}
    assert (await double.http.post("/connect/token", data=form | secrets)).status_code == 200


async def test_without_offline_access_there_is_no_refresh_token(double: Double) -> None:
    tokens = await double.tokens(scope="openid accounting.invoices.read")
    assert "refresh_token" not in tokens
    assert "id_token" in tokens


async def test_xero_mode_forgives_a_reuse_for_thirty_minutes(double: Double) -> None:
    first = (await double.tokens())["refresh_token"]
    second = (await double.refresh(first)).json()["refresh_token"]
    double.clock.forward(1800)
    again = await double.refresh(first)
    assert again.status_code == 200
    double.clock.forward(1)
    assert (await double.refresh(first)).json() == {"error": "invalid_grant"}
    assert (await double.refresh(second)).status_code == 200
    summary = await double.admin.summary()
    assert (summary["token_reuse"], summary["breaches"]) == (2, 1)


async def test_strict_mode_revokes_the_family_on_reuse(double: Double) -> None:
    await double.admin.settings(mode="strict")
    first = (await double.tokens())["refresh_token"]
    second = (await double.refresh(first)).json()["refresh_token"]
    assert (await double.refresh(first)).json() == {"error": "invalid_grant"}
    assert (await double.refresh(second)).json() == {"error": "invalid_grant"}
    assert await double.breaches() == ["token_reuse"]


async def test_a_refresh_token_dies_after_sixty_idle_days(double: Double) -> None:
    token = (await double.tokens())["refresh_token"]
    double.clock.forward(60 * 86400 + 1)
    assert (await double.refresh(token)).status_code == 400


async def test_revocation_ends_all_of_the_users_connections(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    headers = await double.connect(tenant)
    token = (await double.tokens())["refresh_token"]
    assert (await double.http.post("/connect/revocation", data={"token": token}, auth=CLIENT)).status_code == 200
    assert (await double.refresh(token)).status_code == 400
    assert (await double.http.get("/connections", headers=headers)).json() == []
    assert (await double.http.get("/api.xro/2.0/Organisation", headers=headers)).status_code == 403


async def test_one_organisation_can_be_disconnected_while_refreshing_goes_on(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    headers = await double.connect(tenant)
    refresh_token = (await double.tokens())["refresh_token"]
    [row] = (await double.http.get("/connections", headers=headers)).json()
    assert (await double.http.delete(f"/connections/{row['id']}", headers=headers)).status_code == 204
    assert (await double.http.delete(f"/connections/{row['id']}", headers=headers)).status_code == 404
    assert (await double.refresh(refresh_token)).status_code == 200


async def test_the_journal_shows_hashes_and_never_tokens(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    tokens = await double.tokens()
    await double.refresh(tokens["refresh_token"])
    await double.http.get("/api.xro/2.0/Invoices", headers=await double.connect(tenant))
    written = str(await double.admin.journal())
    assert not any(tokens[name] in written for name in ("access_token", "refresh_token"))
