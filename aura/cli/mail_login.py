"""`aura mail login` and `aura mail logout`: access to the mailbox by an OAuth login of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from aura.cli.database import ready_database
from aura.cli.output import err, note
from aura.errors import ConfigurationError, Conflict, NotFound

if TYPE_CHECKING:
    from aura.oauth.logins import Logins
    from aura.settings import Settings


SmtpOption = Annotated[bool, typer.Option("--smtp", help="The mailbox of SMTP_URL instead of AURA_IMAP_URL.")]


def login(smtp: SmtpOption = False) -> None:
    """Log in to the mailbox at Microsoft, Google or a custom OAuth provider, and store the login, encrypted, for all processes.

    Shows an address, and a code to enter there, and waits. Afterwards `aura doctor` checks the mailbox.

    Example: aura mail login
    """
    from aura.oauth import grants
    from aura.settings import get_settings

    settings = get_settings()
    logins = _logins(settings, smtp)
    logins.check_key()
    grant = grants.make_grant(logins.provider, logins.mailbox, settings)
    if grant.name != grants.LOGIN:
        raise Conflict(f"no login is needed: the settings obtain tokens by {grant.name}")
    module = grants.import_provider(logins.provider)
    with ready_database():
        if logins.provider == "google":
            answer = module.code_login(settings, logins.mailbox, _show, lambda: typer.prompt("Address", err=True))
        else:
            answer = module.device_login(settings, _show)
        if not answer.refresh_token:
            raise ConfigurationError("the provider issued no refresh token: AURA_OAUTH_SCOPE may need offline_access")
        logins.save(answer.refresh_token)
    note(f"Stored the login of {logins.mailbox} at {logins.provider}.")


def logout(smtp: SmtpOption = False) -> None:
    """Delete the stored login of the mailbox. The provider's pages of connected applications revoke it there.

    Example: aura mail logout
    """
    from aura.settings import get_settings

    logins = _logins(get_settings(), smtp)
    with ready_database():
        if not logins.remove():
            raise NotFound(f"no login of {logins.mailbox} at {logins.provider} is stored")
    note(f"Deleted the login of {logins.mailbox} at {logins.provider}.")


def _logins(settings: Settings, smtp: bool) -> Logins:
    """Return the stored login of AURA_IMAP_URL or SMTP_URL. Raises ConfigurationError unless that uses OAuth."""
    from aura.oauth.logins import Logins

    url, provider = (settings.smtp_url, settings.smtp_oauth) if smtp else (settings.imap_url, settings.imap_oauth)
    if url is None or provider is None:
        names = ("AURA_SMTP_OAUTH", "SMTP_URL") if smtp else ("AURA_IMAP_OAUTH", "AURA_IMAP_URL")
        raise ConfigurationError(
            f"{names[0]}: not set; set it to microsoft, google or custom, and {names[1]} to a URL with the mailbox as user"
        )
    return Logins(provider, unquote(urlsplit(url.get_secret_value()).username or "").lower(), settings)


def _show(url: str, code: str, seconds: float) -> None:
    """Print where to log in; this is no data, so it goes to stderr."""
    if code:
        note(f"Open {url} and enter the code {code} within {seconds / 60:.0f} minutes. Log in as the mailbox.")
        return
    note("Open this address, and allow access as the mailbox:")
    err.print(url, markup=False, highlight=False, soft_wrap=True)
    note("The browser then shows an address that it cannot open and that begins with http://127.0.0.1. Paste it here.")
