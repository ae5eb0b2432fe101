"""How a notice looks as a mail: headers, conversation, plain text beside HTML."""

from __future__ import annotations

import re
from email.header import Header
from email.headerregistry import HeaderRegistry, MessageIDHeader, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import formataddr, formatdate, parseaddr
from functools import lru_cache
from typing import Any

from aura.notifications.channels import OutboundMessage
from aura.notifications.sanitize import one_line


class _Subject(UniqueUnstructuredHeader):
    """A subject that arrives as it was written.

    Python's own one decodes what already looks encoded, line breaks included (a way to add headers), and loses blanks
    where it folds.
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
    """Makes no header and no header's class twice, which was most of what a mail cost: many are the same in every mail."""

    @lru_cache(maxsize=1000)  # noqa: B019  # there is one registry, and it lives as long as the process
    def __call__(self, name: str, value: str) -> Any:
        return super().__call__(name, value)

    @lru_cache(maxsize=100)  # noqa: B019
    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name)


_headers = _Headers()
# Python takes only Message-ID for an id, and would fold and encode a long one in the other two
for _name, _kind in (("subject", _Subject), ("in-reply-to", MessageIDHeader), ("references", MessageIDHeader)):
    _headers.map_to_type(_name, _kind)  # type: ignore[arg-type]  # typeshed wants what the registry itself mixes in
_policy = SMTP.clone(header_factory=_headers)


def compose(notice: OutboundMessage, sender: str) -> EmailMessage:
    """Return the notice as a mail from ``sender``, a name and an address such as ``Aura <aura@example.com>``.

    The Message-ID depends on the notice's id alone, so every try carries the same one. All mails of one ticket refer to
    ``<ticket-17@domain>``, a message that never was, under which mail programs show them as one conversation.
    """
    domain = sender.rpartition("@")[2].rstrip(">")
    message = EmailMessage(policy=_policy)
    message["From"] = sender
    message["To"] = notice.recipient
    message["Subject"] = one_line(notice.subject, 250)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9.-]', '', notice.id)}@{domain}>"
    if notice.ticket_id:
        message["In-Reply-To"] = message["References"] = f"<ticket-{notice.ticket_id}@{domain}>"
        # people's programs repeat the name in the To of their reply, where it tells the ticket as well
        message["Reply-To"] = formataddr((f"Aura #{notice.ticket_id}", parseaddr(sender)[1]))
    # Both ask the other side's robots for silence, or two of them talk for ever
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    # by which we know it when it comes back, whatever Message-ID a server on the way gave it
    message["X-Aura"] = "notice"
    message.set_content(_encodable(notice.text))
    if notice.html:
        message.add_alternative(_encodable(notice.html), subtype="html")
    return message


def _encodable(text: str) -> str:
    """Return the text without NUL bytes and lone surrogates, which no mail can carry."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
