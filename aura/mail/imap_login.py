"""Login to an IMAP server with an access token, by XOAUTH2 or OAUTHBEARER."""

from __future__ import annotations

import imaplib
from dataclasses import dataclass

from aura.oauth import sasl
from aura.settings import SettingsError

#: What to check when the server refuses a token that the provider has just issued.
CHECK = {
    "microsoft": "check that IMAP is enabled for the mailbox, and that the application may open it "
    "(New-ServicePrincipal, Add-MailboxPermission); changes take up to an hour",
    "google": "check that IMAP is enabled for the account, and that the token is for https://mail.google.com/",
    "custom": "check that the server knows the mailbox, and AURA_OAUTH_SCOPE",
}
#: Exchange logs in, and then refuses every command, when the mailbox does not belong to the token.
NOT_CONNECTED = "authenticated but not connected"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server refused the token: the status of its challenge, such as 401, and its reply."""

    status: str
    reply: str


def log_in(connection: imaplib.IMAP4, user: str, token: str, host: str, port: int) -> Refusal | None:
    """Log in; None is success. Raises SettingsError when the server takes no tokens, imaplib.IMAP4.abort when it hangs up."""
    mechanism = sasl.choose(
        [each.removeprefix("AUTH=") for each in connection.capabilities if each.startswith("AUTH=")]
    )
    if mechanism is None:
        raise SettingsError(f"AURA_IMAP_OAUTH: {host}:{port} offers neither XOAUTH2 nor OAUTHBEARER: use a password")
    responder = sasl.Responder(mechanism, user, token, host, port)
    try:
        connection.authenticate(mechanism, lambda challenge: responder(challenge).encode())
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, ValueError) as error:  # ValueError: the challenge is no Base64
        return Refusal(responder.refusal, str(error))
    return None
