"""Recognises automatic mail, which becomes no ticket: tickets notify their requesters, and the mails would loop.

Uses the headers of RFC 3834 and of common mail programs. Automatic mail without such headers is stopped by the limit of
mails per sender and hour (AURA_MAIL_SENDER_LIMIT).
"""

from __future__ import annotations

import re

from aura.mail.parse import ParsedMail

OWN_MAIL = "own mail of Aura"

_BULK_PRECEDENCES = ("bulk", "junk", "list", "auto_reply")
_LIST_HEADERS = ("list-id", "list-unsubscribe", "list-post", "list-help")
_AUTO_REPLY_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")
_DAEMON = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon)@", re.IGNORECASE)


def automatic_reason(mail: ParsedMail, own_address: str) -> str:
    """Return why the mail is automatic, or "" when a person may have written it."""
    if mail.header("x-aura") is not None or mail.sender == own_address.lower():
        return OWN_MAIL
    if mail.header("return-path") is not None and (mail.header("return-path") or "").strip() in ("", "<>"):
        return "bounce: empty Return-Path"
    if mail.content_type == "multipart/report" or _DAEMON.match(mail.sender):
        return "report of a mail server"
    # the keyword may be followed by comments and parameters
    submitted = _keyword(mail.header("auto-submitted"))
    if submitted not in ("", "no"):
        return f"automatic mail: Auto-Submitted: {submitted}"
    if (precedence := _keyword(mail.header("precedence"))) in _BULK_PRECEDENCES:
        return f"automatic mail: Precedence: {precedence}"
    if name := next((name for name in _LIST_HEADERS if mail.header(name) is not None), ""):
        return f"mailing list: {name.title()}"
    if _keyword(mail.header("x-auto-response-suppress")) not in ("", "none"):
        return "automatic mail: X-Auto-Response-Suppress"
    if name := next((name for name in _AUTO_REPLY_HEADERS if _keyword(mail.header(name)) not in ("", "no")), ""):
        return f"automatic mail: {name.title()}"
    return ""


def _keyword(value: str | None) -> str:
    found = re.match(r"[\w-]{1,40}", (value or "").strip().lower())
    return found[0] if found else ""
