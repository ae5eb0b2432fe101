"""The MIME form of a message: headers, conversation, plain text beside HTML."""

from __future__ import annotations

import re
from email.header import Header
from email.headerregistry import HeaderRegistry, MessageIDHeader, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import formataddr, formatdate, parseaddr
from functools import lru_cache
from typing import Any

from aura.notifications.channels.base import OutboundMessage
from aura.notifications.sanitize import one_line


class _Subject(UniqueUnstructuredHeader):
    """A subject that is encoded exactly as written.

    Python's own class decodes encoded words, line breaks included (header injection), and loses blanks where it folds.
    """

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        kwds["parse_tree"], kwds["decoded"] = cls.value_parser(""), value

    def fold(self, *, policy: EmailPolicy) -> str:
        text = str(self)
        if not text.isascii() or "=?" in text:
            text = Header(text, "utf-8", header_name="Subject").encode(linesep=policy.linesep)
        return f"Subject: {text}{policy.linesep}"


class _Headers(HeaderRegistry):
    """Caches headers and their classes, which took most of the time of composing a mail."""

    @lru_cache(maxsize=1000)  # noqa: B019  # the process has one registry
    def __call__(self, name: str, value: str) -> Any:
        return super().__call__(name, value)

    @lru_cache(maxsize=100)  # noqa: B019
    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name)


_headers = _Headers()
# by default Python would fold and encode long ids in the latter two
for _name, _kind in (("subject", _Subject), ("in-reply-to", MessageIDHeader), ("references", MessageIDHeader)):
    _headers.map_to_type(_name, _kind)  # type: ignore[arg-type]  # typeshed wants what the registry itself mixes in
_policy = SMTP.clone(header_factory=_headers)


def compose(message: OutboundMessage, sender: str) -> EmailMessage:
    """Return the message as a mail from `sender`, a name and an address such as `Aura <aura@example.com>`.

    The Message-ID depends on the message's id alone, so every attempt has the same one. All mails of a ticket refer to
    `<ticket-17@domain>`, so mail programs show them as one conversation.
    """
    domain = sender.rpartition("@")[2].rstrip(">")
    mail = EmailMessage(policy=_policy)
    mail["From"] = sender
    mail["To"] = message.recipient
    mail["Subject"] = one_line(message.subject, 250)
    mail["Date"] = formatdate(usegmt=True)
    identifier = re.sub(r"[^A-Za-z0-9.-]", "", message.id)
    mail["Message-ID"] = f"<{identifier}@{domain}>"
    if message.ticket_id:
        mail["In-Reply-To"] = mail["References"] = f"<ticket-{message.ticket_id}@{domain}>"
        # mail programs repeat the name in the To of a reply, where it names the ticket too
        mail["Reply-To"] = formataddr((f"Aura #{message.ticket_id}", parseaddr(sender)[1]))
    # ask for no automatic replies, which Aura would answer
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    # identifies Aura's own mail when it is returned, also when a server has changed the Message-ID
    mail["X-Aura"] = f"notification {identifier}"
    mail.set_content(_encodable(message.text))
    if message.html:
        mail.add_alternative(_encodable(message.html), subtype="html")
    return mail


def _encodable(text: str) -> str:
    """Return the text without NUL bytes and lone surrogates, which no mail can contain."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
