"""A mailbox on Dovecot that is read with OAuth tokens, and a mail for it.

with TokenServer(dovecot.token_port) as tokens:
    mailbox = OAuthMailbox(dovecot, tokens)
    mailbox.deliver(mail_with_attachments())
    configure(**mailbox.environment())      # then: aura mail fetch --once
"""

from __future__ import annotations

import uuid
from email.message import EmailMessage

from tests.files import LOG, pdf, png
from tests.oauth_server import TokenServer
from tests.services import Dovecot

#: Width and height of the picture.
PICTURE_SIZE = (64, 48)


def mail_with_attachments(number: int = 1) -> bytes:
    """Return a mail with three attachments: a picture, a log and a PDF."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ada@example.com", "desk@example.com", f"The printer burns {number}"
    mail["Message-ID"] = f"<{number}@example.com>"
    mail.set_content("See the pictures.")
    mail.add_attachment(png(*PICTURE_SIZE), "image", "png", filename="fire.png")
    mail.add_attachment(LOG.decode(), cte="base64", filename="printer.log")
    mail.add_attachment(pdf("fire"), "application", "pdf", filename="Größe.pdf")
    return mail.as_bytes()


class OAuthMailbox:
    """A mailbox of its own, and the client that may open it."""

    def __init__(self, dovecot: Dovecot, tokens: TokenServer) -> None:
        self.dovecot, self.tokens = dovecot, tokens
        self.user = f"desk-{uuid.uuid4().hex[:8]}"
        self.client = tokens.add_client(self.user)
        self.url = dovecot.mailbox_url(self.user, password=False)

    def deliver(self, *mails: bytes) -> None:
        """Put mails into the inbox."""
        self.dovecot.deliver(self.user, {uuid.uuid4().hex: raw for raw in mails})

    def waiting(self) -> int:
        """Return the number of mails in the inbox."""
        return len(self.dovecot.folder(self.user))

    def environment(self, provider: str = "custom") -> dict[str, str]:
        """Return the variables that let Aura read the mailbox; SSL_CERT_FILE must name PEM of tests.receiver."""
        return {
            "AURA_IMAP_URL": self.url,
            "AURA_IMAP_OAUTH": provider,
            "AURA_OAUTH_CLIENT_ID": self.client.id,
            "AURA_OAUTH_CLIENT_SECRET": self.client.secret,
            "AURA_OAUTH_TOKEN_URL": self.tokens.token_url,
            "AURA_OAUTH_AUTHORITY": self.tokens.authority,
            "AURA_OAUTH_TENANT": "contoso",
        }
