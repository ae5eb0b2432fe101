"""A mailbox on Dovecot that is read with OAuth tokens, and a mail for it.

with TokenServer(dovecot.token_port) as tokens:
    mailbox = OAuthMailbox(dovecot, tokens)
    mailbox.deliver(mail_with_attachments())
    configure(**mailbox.environment())      # then: aura mail fetch --once
"""

from __future__ import annotations

import struct
import uuid
import zlib
from email.message import EmailMessage

from tests.oauth_server import TokenServer
from tests.services import Dovecot


def mail_with_attachments(number: int = 1) -> bytes:
    """Return a mail with three attachments."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ada@example.com", "desk@example.com", f"The printer burns {number}"
    mail["Message-ID"] = f"<{number}@example.com>"
    mail.set_content("See the pictures.")
    mail.add_attachment(picture(), "image", "png", filename="fire.png")
    mail.add_attachment("12:00 smoke\n12:01 fire\n", filename="printer.log")
    mail.add_attachment(b"%PDF-1.4\n%\xe2\xe3", "application", "pdf", filename="Größe.pdf")
    return mail.as_bytes()


def picture(width: int = 64, height: int = 48) -> bytes:
    """Return a red picture, as a PNG that browsers show."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\xff\x20\x20" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


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
