"""The MIME form of a message: headers, conversation, plain text beside HTML."""

from __future__ import annotations

import re
from email.header import Header
from email.headerregistry import HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import formataddr, formatdate, parseaddr
from functools import lru_cache
from typing import Any

from aura.notifications.channels.base import OutboundMessage
from aura.notifications.reply_tokens import plus_address
from aura.notifications.sanitize import one_line
from aura.notifications.unsubscribe import SUBJECT


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


class _MessageIds(UniqueUnstructuredHeader):
    """Message-IDs, one on each line: Python's own class encodes long ones, folds within them and before the first."""

    name: str  # of the class that the registry mixes in

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        kwds["parse_tree"], kwds["decoded"] = cls.value_parser(""), value

    def fold(self, *, policy: EmailPolicy) -> str:
        return f"{self.name}: {f'{policy.linesep} '.join(str(self).split())}{policy.linesep}"


class _Headers(HeaderRegistry):
    """Caches headers and their classes, which took most of the time of composing a mail."""

    @lru_cache(maxsize=1000)  # noqa: B019  # the process has one registry
    def __call__(self, name: str, value: str) -> Any:
        return super().__call__(name, value)

    @lru_cache(maxsize=100)  # noqa: B019
    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name)


_headers = _Headers()
for _name, _kind in (
    ("subject", _Subject),
    *((name, _MessageIds) for name in ("message-id", "in-reply-to", "references", "list-unsubscribe")),
):
    _headers.map_to_type(_name, _kind)  # type: ignore[arg-type]  # typeshed wants what the registry itself mixes in
# 7bit: a body with other bytes needs a server with 8BITMIME (RFC 6152), and every server after it
_policy = SMTP.clone(header_factory=_headers, cte_type="7bit")


#: Message-IDs of the recipient's mails in References: the first, which began the conversation, and the newest.
MAX_REFERENCES = 20
#: A Message-ID that can stand in a header; any other is left out.
_ID = re.compile(r"[!-;=?-~]{1,250}")


def compose(message: OutboundMessage, sender: str, address: str = "", plus_addresses: bool = False) -> EmailMessage:
    """Return the message as a mail from `sender`, a name and an address such as `Aura <aura@example.com>`.

    The Message-ID depends on the message's id alone, so every attempt has the same one. A mail answers the newest mail of
    its recipient about the ticket. All mails of a ticket to a recipient also refer to `<ticket-17@domain>`, and to one with
    the reply token, so mail programs show them as one conversation, and a reply proves that its sender received them: some
    programs keep In-Reply-To alone, and some servers replace the Message-ID. With `plus_addresses` the Reply-To carries the
    token, too. `address` replaces the recipient's, such as by one in ASCII.
    """
    domain = sender.rpartition("@")[2].rstrip(">")
    mail = EmailMessage(policy=_policy)
    mail["From"] = sender
    mail["To"] = address or message.recipient
    mail["Subject"] = one_line(message.subject, 250)
    mail["Date"] = formatdate(usegmt=True)
    identifier = re.sub(r"[^A-Za-z0-9.-]", "", message.id)
    token = message.reply_token
    mail["Message-ID"] = f"<{identifier}{'.' if token else ''}{token}@{domain}>"
    if message.ticket_id:
        answered = [f"<{each}>" for each in message.references if _ID.fullmatch(each)]
        answered = answered[:1] + answered[1:][-(MAX_REFERENCES - 1) :]
        conversation = [f"<ticket-{message.ticket_id}@{domain}>"]
        if token:
            conversation.append(f"<ticket-{token}@{domain}>")
        mail["In-Reply-To"] = answered[-1] if answered else conversation[-1]
        # the newest is the last, which mail programs take for the parent
        mail["References"] = " ".join([*conversation, *answered])
        # mail programs repeat the name in the To of a reply, where it names the ticket too
        own = parseaddr(sender)[1]
        reply_to = plus_address(own, token) if token and plus_addresses else own
        mail["Reply-To"] = formataddr((f"Aura #{message.ticket_id}", reply_to))
    if message.unsubscribe:
        if message.unsubscribe.startswith("https://"):  # RFC 8058, section 3.1
            mail["List-Unsubscribe"] = f"<{message.unsubscribe}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        else:
            token = message.unsubscribe.rpartition("/")[2]
            by_mail = f"<mailto:{parseaddr(sender)[1]}?subject={SUBJECT}%20{token}>"
            mail["List-Unsubscribe"] = f"{by_mail}, <{message.unsubscribe}>"
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
