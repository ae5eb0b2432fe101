"""Tokens of Microsoft Entra ID for Exchange Online, by msal: client credentials, device code and refresh token.

msal is Microsoft's own client. It finds the endpoints of a tenant, also of national clouds, and polls for the device code.
Each call makes a new application: msal's cache would return a token again that the mail server has just refused.
"""

from __future__ import annotations

from typing import Any

from aura.oauth.answer import Answer, Show, missing, required, shown
from aura.oauth.errors import LoginRequired, TokenRefused, TokenServerUnavailable
from aura.settings import Settings

#: Scope of client credentials, and of a login for IMAP and SMTP.
APPLICATION_SCOPE = "https://outlook.office365.com/.default"
LOGIN_SCOPES = ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
_CLIENT_ID = "it is the Application (client) ID on the overview page of the app registration"

#: What each error code of Entra (AADSTS) means for the administrator.
_REFUSALS = {
    700016: "AURA_OAUTH_CLIENT_ID: the tenant has no such application; check it and AURA_OAUTH_TENANT",
    7000215: "AURA_OAUTH_CLIENT_SECRET: invalid; copy the secret's Value, not its Secret ID",
    7000222: "AURA_OAUTH_CLIENT_SECRET: expired; create a new one at Certificates & secrets",
    7000216: "AURA_OAUTH_CLIENT_SECRET: missing or empty",
    7000218: "the application is no public client: set Allow public client flows to Yes at Authentication",
    7000229: "the application has no service principal in the tenant: an administrator must grant admin consent",
    7000112: "the application is disabled: enable it at Enterprise applications",
    65001: "consent is missing: an administrator must select Grant admin consent at API permissions",
    650052: "the tenant has no subscription for Exchange Online",
    90002: "AURA_OAUTH_TENANT: no such tenant",
    900021: "AURA_OAUTH_TENANT: no valid ID or domain of a tenant",
    900023: "AURA_OAUTH_TENANT: no valid ID or domain of a tenant",
    90072: "the account belongs to another tenant than AURA_OAUTH_TENANT",
    50020: "the account belongs to another tenant than AURA_OAUTH_TENANT",
    50194: "AURA_OAUTH_TENANT: not set, and the application is for a single tenant",
    50034: "the tenant has no such account",
    50057: "the account is disabled",
    50105: "the account is not assigned to the application: assign it at Enterprise applications, Users and groups",
    53003: "a Conditional Access policy blocks the application",
    500011: "AURA_OAUTH_SCOPE: the tenant does not know the resource; it needs Exchange Online",
    1002012: "AURA_OAUTH_SCOPE: with AURA_OAUTH_CLIENT_SECRET it must end with /.default",
    70011: "AURA_OAUTH_SCOPE: invalid",
}
#: Codes after which a person must log in again: expired, revoked, password changed, second factor wanted.
_LOGIN_AGAIN = frozenset(
    (50055, 50076, 50078, 50079, 50089, 50132, 50133, 50158, 50173, 70000, 70008, 70043, 70044, 700003, 700082, 700084)
)
#: Codes of outages on Microsoft's side.
_TEMPORARY = frozenset((90033, 90036, 50196, 130004, 20012, 240002, 16000))


def client_credentials(settings: Settings) -> Answer:
    """Return a token for the application itself, without a person."""
    required(settings, "oauth_tenant", "client credentials need the Directory (tenant) ID")
    application = _application(
        settings, required(settings, "oauth_client_secret", "create one at Certificates & secrets")
    )
    return _answer(application.acquire_token_for_client(_scopes(settings, (APPLICATION_SCOPE,))))


def refresh(settings: Settings, refresh_token: str) -> Answer:
    """Return a token, and the next refresh token, of a login."""
    return _answer(_login_application(settings).acquire_token_by_refresh_token(refresh_token, _scopes(settings)))


def device_login(settings: Settings, show: Show) -> Answer:
    """Wait until a person has entered the code that `show` receives, and return the tokens. Blocks for up to 15 minutes."""
    application = _login_application(settings)
    flow = application.initiate_device_flow(_scopes(settings))
    if "user_code" not in flow:
        return _answer(flow)
    show(str(flow["verification_uri"]), str(flow["user_code"]), float(flow["expires_in"]))
    return _answer(application.acquire_token_by_device_flow(flow))


def _scopes(settings: Settings, otherwise: tuple[str, ...] = LOGIN_SCOPES) -> list[str]:
    # msal adds the reserved scopes itself, and refuses them as arguments
    reserved = ("offline_access", "openid", "profile")
    return [each for each in settings.oauth_scope.split() if each not in reserved] or list(otherwise)


def _login_application(settings: Settings) -> Any:
    secret = settings.oauth_client_secret
    return _application(settings, secret.get_secret_value() if secret else "")


def _application(settings: Settings, secret: str) -> Any:
    try:
        import msal
    except ImportError:
        raise missing("msal") from None
    from aura.oauth.http import TokenRequests

    client_id = required(settings, "oauth_client_id", _CLIENT_ID)
    options = {
        "authority": f"{settings.oauth_authority}/{settings.oauth_tenant or 'organizations'}",
        "http_client": TokenRequests(),
        # the authority is a setting, which needs no confirmation by login.microsoftonline.com
        "instance_discovery": False,
    }
    try:
        if secret:
            return msal.ConfidentialClientApplication(client_id, client_credential=secret, **options)
        return msal.PublicClientApplication(client_id, **options)
    except (ValueError, KeyError):
        raise TokenRefused(
            f"AURA_OAUTH_TENANT: {settings.oauth_authority} has no tenant {settings.oauth_tenant or 'organizations'}"
        ) from None


def _answer(result: dict[str, Any]) -> Answer:
    """Return the tokens of a result. Raises the error that it describes."""
    if "access_token" in result:
        return Answer(result["access_token"], result.get("expires_in"), result.get("refresh_token", ""))
    codes = [code for code in result.get("error_codes") or () if isinstance(code, int)]
    name = f"AADSTS{codes[0]}" if codes else shown(result.get("error"))
    if _TEMPORARY.intersection(codes) or result.get("error") in ("temporarily_unavailable", "server_error"):
        raise TokenServerUnavailable(f"Microsoft issues no token at the moment ({name})")
    if _LOGIN_AGAIN.intersection(codes) or (not codes and result.get("error") == "invalid_grant"):
        raise LoginRequired(f"Microsoft no longer accepts the login ({name}): log in again")
    if result.get("error") in ("authorization_declined", "access_denied"):
        raise LoginRequired(f"the login was declined ({name})")
    if result.get("error") in ("authorization_pending", "expired_token", "code_expired"):
        raise LoginRequired("nobody entered the code in time: log in again")
    reason = next(
        (_REFUSALS[code] for code in codes if code in _REFUSALS), "look the code up in Microsoft's list of errors"
    )
    raise TokenRefused(f"Microsoft refused the token ({name}): {reason}")
