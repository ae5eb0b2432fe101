"""Tokens of Google for Gmail, by google-auth: a service account with domain-wide delegation, or the refresh token of a login.

google-auth is Google's own client; it signs the assertion of a service account. Google allows no scope for mail with the
device flow, so a login uses the authorization code with PKCE (RFC 7636): the browser is sent to an address of this machine
that nobody serves, and the person copies that address.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

from aura.oauth.answer import Answer, Show, missing, required, shown
from aura.oauth.errors import LoginRequired, TokenRefused, TokenServerUnavailable
from aura.settings import Settings, SettingsError

SCOPE = "https://mail.google.com/"
TOKEN_URL = "https://oauth2.googleapis.com/token"
AUTHORIZATION_URL = "https://accounts.google.com/o/oauth2/v2/auth"
#: Address that the browser opens after the consent; Google allows any port of the loopback interface.
REDIRECT_URL = "http://127.0.0.1:53682/"
_CLIENT_ID = "it is the Client ID of an OAuth client of the type Desktop app"

#: What each error means for the administrator.
_REFUSALS = {
    "unauthorized_client": "the client is not allowed to use the scope: in the Admin console, at Domain-wide delegation, "
    "authorize the client ID of the service account for https://mail.google.com/",
    "invalid_client": "AURA_OAUTH_CLIENT_ID or AURA_OAUTH_CLIENT_SECRET is wrong",
    "deleted_client": "AURA_OAUTH_CLIENT_ID: the OAuth client was deleted",
    "disabled_client": "AURA_OAUTH_CLIENT_ID: the OAuth client is disabled",
    "invalid_scope": "AURA_OAUTH_SCOPE: invalid",
    "access_denied": "the account or its administrator denies access",
    "admin_policy_enforced": "a policy of the administrator blocks the application: trust it at API controls",
    "org_internal": "the application is internal to another organization",
}


def service_account(settings: Settings, mailbox: str) -> Answer:
    """Return a token for a mailbox of the Workspace, without a person."""
    try:
        from google.oauth2.service_account import Credentials
    except ImportError:
        raise missing("google-auth") from None
    key = _key(required(settings, "oauth_service_account", "create a key of the service account"))
    try:
        load: Any = Credentials.from_service_account_info  # it has no types
        credentials = load(key, scopes=_scopes(settings), subject=mailbox)
    except (ValueError, TypeError):  # the message may quote the key
        raise SettingsError("AURA_OAUTH_SERVICE_ACCOUNT: no JSON key of a service account") from None
    return _refresh(credentials, "AURA_OAUTH_SERVICE_ACCOUNT")


def refresh(settings: Settings, refresh_token: str) -> Answer:
    """Return a token of a login."""
    try:
        from google.oauth2.credentials import Credentials
    except ImportError:
        raise missing("google-auth") from None
    credentials = Credentials(  # type: ignore[no-untyped-call]  # it has no types
        None,
        refresh_token=refresh_token,
        token_uri=settings.oauth_token_url or TOKEN_URL,
        client_id=required(settings, "oauth_client_id", _CLIENT_ID),
        client_secret=required(settings, "oauth_client_secret", "it is shown beside the Client ID"),
    )
    return _refresh(credentials, "")


def code_login(settings: Settings, mailbox: str, show: Show, ask: Callable[[], str]) -> Answer:
    """Show a person where to allow access, and exchange the address that `ask` returns for tokens."""
    try:
        from authlib.integrations.base_client import OAuthError

        from aura.oauth.custom import client
    except ImportError:
        raise missing("authlib") from None
    required(settings, "oauth_client_id", _CLIENT_ID)
    session = client(settings, "client_secret_post", redirect_uri=REDIRECT_URL, code_challenge_method="S256")
    verifier = secrets.token_urlsafe(48)
    options = {"access_type": "offline", "prompt": "consent", "login_hint": mailbox, "code_verifier": verifier}
    session.scope = " ".join(_scopes(settings))
    url, state = session.create_authorization_url(AUTHORIZATION_URL, **options)
    show(url, "", 600.0)
    code = _code(ask(), state)
    try:
        token = session.fetch_token(
            settings.oauth_token_url or TOKEN_URL, grant_type="authorization_code", code=code, code_verifier=verifier
        )
    except OAuthError as error:
        raise _refusal(str(error.error), "", "") from None
    return Answer(token["access_token"], token.get("expires_in"), token.get("refresh_token", ""))


def _code(address: str, state: str) -> str:
    """Return the code of the address to which the browser was sent. Raises LoginRequired."""
    query = {name: values[0] for name, values in parse_qs(address.strip().partition("?")[2].partition("#")[0]).items()}
    if query.get("error"):
        raise LoginRequired(f"Google allowed no access: {shown(query['error'])}")
    if not query.get("code") or not secrets.compare_digest(query.get("state", "").encode(), state.encode()):
        raise LoginRequired(f"this is not the address that follows the consent; it begins with {REDIRECT_URL}?")
    return query["code"]


def _scopes(settings: Settings) -> list[str]:
    return settings.oauth_scope.split() or [SCOPE]


def _key(value: str) -> dict[str, Any]:
    """Return the key of a service account from its JSON text or its file. Raises SettingsError without any part of it."""
    try:
        text = value if value.lstrip().startswith("{") else Path(value).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "unreadable"
        raise SettingsError(f"AURA_OAUTH_SERVICE_ACCOUNT: the file cannot be read ({reason})") from None
    try:
        key = json.loads(text)
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, dict):
        raise SettingsError("AURA_OAUTH_SERVICE_ACCOUNT: no JSON key of a service account") from None
    return key


def _refresh(credentials: Any, key_setting: str) -> Answer:
    from google.auth import exceptions

    previous = credentials.refresh_token if not key_setting else ""
    try:
        credentials.refresh(_send)
    except exceptions.RefreshError as error:
        details = next((each for each in error.args if isinstance(each, dict)), {})
        raise _refusal(str(details.get("error", "")), str(details.get("error_description", "")), key_setting) from None
    except exceptions.GoogleAuthError as error:
        raise TokenServerUnavailable(f"Google does not answer: {type(error).__name__}") from None
    lifetime = (
        (credentials.expiry - datetime.now(UTC).replace(tzinfo=None)).total_seconds() if credentials.expiry else None
    )
    new = "" if key_setting or credentials.refresh_token == previous else credentials.refresh_token
    return Answer(credentials.token, lifetime, new)


def _send(url: str, method: str = "GET", body: Any = None, headers: Any = None, **_options: Any) -> SimpleNamespace:
    """Send a request of google-auth. Its own transport attaches requests and answers, with tokens, to debug logs."""
    from aura.oauth.http import TokenRequests

    with TokenRequests() as session:
        response = session.request(method, url, data=body, headers=headers)
        return SimpleNamespace(status=response.status_code, headers=response.headers, data=response.content)


def _refusal(code: str, description: str, key_setting: str) -> TokenRefused:
    name = shown(code or "no error code")
    if code == "invalid_grant" and key_setting:
        reason = "the mailbox is no user of the Workspace, or the key was deleted"
        if "timeframe" in description or "short-lived" in description:
            reason = "the clock of this machine is wrong"
        elif "signature" in description.lower():
            reason = f"{key_setting}: the key was deleted or belongs to another account"
        return TokenRefused(f"Google refused the token ({name}): {reason}")
    if code in ("invalid_grant", "invalid_rapt"):
        return LoginRequired(f"Google no longer accepts the login ({name}): log in again")
    return TokenRefused(f"Google refused the token ({name}): {_REFUSALS.get(code, 'look the code up at Google')}")
