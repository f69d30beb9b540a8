"""The identity service's addresses: token, revocation and connections."""

import base64
import binascii
import hmac
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.journal import short_hash
from sandbox.settings import Settings
from sandbox.world import note, world_of
from sandbox.xero.identity import Connection, OAuthError, TokenRefusedError
from sandbox.xero.shapes import problem

FORM = "application/x-www-form-urlencoded"


def client_known(request: Request, form: Mapping[str, str], settings: Settings) -> bool:
    """Whether the caller proved to be the app, by Basic authentication or in the form."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
    else:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    expected = settings.client_secret.get_secret_value()
    return client_id == settings.client_id and hmac.compare_digest(secret.encode(), expected.encode())


async def token(request: Request) -> Response:
    """`POST /connect/token`: a code or a refresh token for a new pair."""
    world = world_of(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        world.journal.breach("token_body_not_a_form")
        return _oauth_error("invalid_request")
    form = {name: str(value) for name, value in (await request.form()).items()}
    grant, refresh_token = form.get("grant_type"), form.get("refresh_token", "")
    note(request, grant=grant, refresh_token=short_hash(refresh_token) if refresh_token else None)
    if not client_known(request, form, world.settings):
        return _oauth_error("invalid_client")
    try:
        if grant == "authorization_code":
            answer = world.identity.exchange(
                form.get("code", ""), form.get("redirect_uri", ""), world.clock(), world.settings
            )
        elif grant == "refresh_token":
            answer = world.identity.refresh(refresh_token, world.clock(), world.settings)
        else:
            return _oauth_error("unsupported_grant_type")
    except OAuthError as refusal:
        return _oauth_error(str(refusal), request)
    note(
        request,
        access_token=short_hash(answer["access_token"]),
        new_refresh_token=short_hash(answer["refresh_token"]) if "refresh_token" in answer else None,
    )
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def revocation(request: Request) -> Response:
    """`POST /connect/revocation`: all of that user's connections; 200 even for an unknown token."""
    world = world_of(request)
    form = {name: str(value) for name, value in (await request.form()).items()}
    if not client_known(request, form, world.settings):
        return _oauth_error("invalid_client")
    known = world.identity.revoke(form.get("token", ""))
    note(request, token=short_hash(form.get("token", "")), known=known)
    return Response()


async def connections(request: Request) -> Response:
    """`GET /connections`: what this token's user has connected, or what one consent did."""
    world = world_of(request)
    try:
        user_id = _user_of(request)
    except TokenRefusedError as refusal:
        return JSONResponse(problem(401, "Unauthorized", str(refusal)), 401)
    verdict = world.limiter.enter_app(world.clock(), world.settings)
    if verdict.problem is not None:
        world.journal.breach("limit_appminute", path="/connections")
        return Response(status_code=429, headers=verdict.headers)
    strange = sorted(set(request.query_params) - {"authEventId"})
    if strange:
        world.journal.breach("unknown_parameter", parameters=strange)
        return JSONResponse(problem(400, "Bad Request", "Unknown query parameter"), 400)
    wanted = request.query_params.get("authEventId")
    names = {tenant: item.name for tenant, item in world.books.organisations.items()}
    rows = [
        _connection_json(item, names.get(item.tenant_id, ""))
        for item in world.identity.connections.values()
        if item.user_id == user_id and wanted in {None, item.event_id}
    ]
    note(request, rows=len(rows))
    return JSONResponse(rows, headers=verdict.headers)


async def disconnect(request: Request) -> Response:
    """`DELETE /connections/{id}`: one organisation."""
    world = world_of(request)
    try:
        user_id = _user_of(request)
    except TokenRefusedError as refusal:
        return JSONResponse(problem(401, "Unauthorized", str(refusal)), 401)
    found = world.identity.connections.get(request.path_params["id"])
    if found is None or found.user_id != user_id:
        return Response(status_code=404)
    del world.identity.connections[found.id]
    note(request, tenant=found.tenant_id)
    return Response(status_code=204)


def _user_of(request: Request) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefusedError("AuthenticationUnsuccessful")
    note(request, token=short_hash(bearer))
    world = world_of(request)
    return str(world.identity.claims(bearer, world.clock())["xero_userid"])


def _connection_json(item: Connection, name: str) -> dict[str, str]:
    return {
        "id": item.id,
        "authEventId": item.event_id,
        "tenantId": item.tenant_id,
        "tenantType": "ORGANISATION",
        "tenantName": name,
        # seven digits and no zone, as Xero writes them
        "createdDateUtc": item.created.strftime("%Y-%m-%dT%H:%M:%S.%f0"),
        "updatedDateUtc": item.updated.strftime("%Y-%m-%dT%H:%M:%S.%f0"),
    }


def _oauth_error(code: str, request: Request | None = None) -> JSONResponse:
    if request is not None:
        note(request, error=code)
    return JSONResponse({"error": code}, 400)


def identity_routes() -> list[Route]:
    """The identity service's addresses."""
    return [
        Route("/connect/token", token, methods=["POST"]),
        Route("/connect/revocation", revocation, methods=["POST"]),
        # the official client writes the capital
        *(Route(path, connections) for path in ("/connections", "/Connections")),
        *(Route(f"{path}/{{id}}", disconnect, methods=["DELETE"]) for path in ("/connections", "/Connections")),
    ]
