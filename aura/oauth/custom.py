"""Tokens of any OAuth 2.0 server, by Authlib: client credentials, device code (RFC 8628) and refresh token.

Authlib, because it takes a session of requests, as msal and google-auth do, and knows all ways to authenticate a client;
requests-oauthlib has had no release since 2024, and has no device flow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aura.oauth.answer import Answer, Show, missing, required, shown
from aura.oauth.errors import LoginRequired, TokenRefused, TokenServerUnavailable
from aura.settings import Settings

try:
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.requests_client import OAuth2Session

    from aura.oauth.http import TokenRequests
except ImportError:
    raise missing("Authlib") from None

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds between two questions whether the person has entered the code, and their growth (RFC 8628, 3.5).
INTERVAL, SLOW_DOWN = 5.0, 5.0
#: Ways to send the client secret: servers must support the first (RFC 6749, 2.3.1); some support only the second.
_CLIENT_METHODS = ("client_secret_basic", "client_secret_post")
_TOKEN_URL = "it is the token endpoint of the provider"


class _Session(TokenRequests, OAuth2Session):  # type: ignore[misc]  # Authlib has no types
    """Authlib's client with our session."""


def client(settings: Settings, method: str, **options: Any) -> Any:
    """Return a client of the token server that sends its secret in this way."""
    secret = settings.oauth_client_secret
    return _Session(
        required(settings, "oauth_client_id", "the provider shows it with the client"),
        client_secret=secret.get_secret_value() if secret else None,
        token_endpoint_auth_method=method if secret else "none",
        scope=settings.oauth_scope or None,
        **options,
    )


def client_credentials(settings: Settings) -> Answer:
    """Return a token for the client itself, without a person."""
    required(
        settings,
        "oauth_client_secret",
        "a custom provider needs it, or AURA_OAUTH_DEVICE_URL, or AURA_OAUTH_REFRESH_TOKEN",
    )
    return _request(
        settings, lambda session, url: session.fetch_token(url, grant_type="client_credentials", **_scope(settings))
    )


def refresh(settings: Settings, refresh_token: str) -> Answer:
    """Return a token, and the next refresh token if there is one, of a login."""
    return _request(settings, lambda session, url: session.refresh_token(url, refresh_token=refresh_token))


def device_login(settings: Settings, show: Show, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """Wait until a person has entered the code that `show` receives, and return the tokens."""
    url = required(settings, "oauth_device_url", "it is the device authorization endpoint of the provider")
    flow = _start(settings, url)
    expires_in, interval = float(flow.get("expires_in") or 600), float(flow.get("interval") or INTERVAL)
    show(str(flow.get("verification_uri_complete") or flow["verification_uri"]), str(flow["user_code"]), expires_in)
    deadline = time.monotonic() + expires_in
    while time.monotonic() < deadline:
        sleep(interval)
        try:
            return _request(
                settings,
                lambda session, url: session.fetch_token(url, grant_type=DEVICE_GRANT, device_code=flow["device_code"]),
                pending=True,
            )
        except TokenServerUnavailable:
            interval *= 2  # RFC 8628, 3.5: a timeout of the connection
        except OAuthError as error:
            interval += SLOW_DOWN if error.error == "slow_down" else 0
    raise LoginRequired("nobody entered the code in time: log in again")


def _start(settings: Settings, url: str) -> dict[str, Any]:
    session = TokenRequests()
    data = {"client_id": required(settings, "oauth_client_id", "the provider shows it with the client")}
    secret = settings.oauth_client_secret
    with session:
        response = session.post(
            url, data=data | _scope(settings) | ({"client_secret": secret.get_secret_value()} if secret else {})
        )
    flow = response.json()
    if not all(flow.get(name) for name in ("device_code", "user_code", "verification_uri")):
        raise _refusal(OAuthError(str(flow.get("error", response.status_code))))
    return dict(flow)


def _scope(settings: Settings) -> dict[str, str]:
    return {"scope": settings.oauth_scope} if settings.oauth_scope else {}


def _request(settings: Settings, ask: Callable[[Any, str], Any], pending: bool = False) -> Answer:
    """Return the answer to a token request, whichever way the server wants the client secret.

    With `pending`, raises OAuthError while the person has not entered the code.
    """
    url = required(settings, "oauth_token_url", _TOKEN_URL)
    for method in _CLIENT_METHODS:
        try:
            with client(settings, method) as session:
                token = ask(session, url)
            return Answer(token["access_token"], token.get("expires_in"), token.get("refresh_token", ""))
        except OAuthError as error:
            if pending and error.error in ("authorization_pending", "slow_down"):
                raise
            if error.error == "invalid_client" and method != _CLIENT_METHODS[-1] and settings.oauth_client_secret:
                continue
            raise _refusal(error) from None
        except (KeyError, ValueError):
            raise TokenRefused(f"AURA_OAUTH_TOKEN_URL: the answer of {url} contains no access token") from None
    raise AssertionError("unreachable")


def _refusal(error: OAuthError) -> Exception:
    name = shown(error.error)
    if error.error in ("temporarily_unavailable", "server_error"):
        return TokenServerUnavailable(f"the token server issues no token at the moment ({name})")
    if error.error == "invalid_grant":
        return LoginRequired(f"the token server no longer accepts the login ({name}): log in again")
    if error.error in ("access_denied", "expired_token"):
        return LoginRequired(f"the login was declined or came too late ({name}): log in again")
    reasons = {
        "invalid_client": "check AURA_OAUTH_CLIENT_ID and AURA_OAUTH_CLIENT_SECRET",
        "unauthorized_client": "the client is not allowed this kind of login: allow it at the provider",
        "unsupported_grant_type": "the server does not support this kind of login",
        "invalid_scope": "check AURA_OAUTH_SCOPE",
    }
    return TokenRefused(
        f"the token server refused the token ({name}): {reasons.get(error.error, 'check the AURA_OAUTH settings')}"
    )
