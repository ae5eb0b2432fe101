"""Which mails no person wrote: answering them, or making tickets of them, is how two machines talk for ever.

By what RFC 3834 and the habits of mail programs say in headers alone; a robot that says nothing of it meets the limit of
mails an hour (AURA_MAIL_SENDER_LIMIT).
"""

from __future__ import annotations

import re

from aura.mail.parse import ParsedMail

_BULK = ("bulk", "junk", "list", "auto_reply")
_LISTS = ("list-id", "list-unsubscribe", "list-post", "list-help")
_ROBOTS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")
_DAEMON = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon)@", re.IGNORECASE)


def why(letter: ParsedMail, own_address: str) -> str:
    """Return why no person wrote this, as far as the mail itself tells; empty when one may have."""
    if letter.header("x-aura") is not None or letter.sender == own_address.lower():
        return "it is our own mail that came back"
    if letter.header("return-path") is not None and (letter.header("return-path") or "").strip() in ("", "<>"):
        return "it is a bounce: its return path is empty"
    if letter.content_type == "multipart/report" or _DAEMON.match(letter.sender):
        return "it is a report of a mail server"
    # comments and parameters may follow the word
    submitted = _word(letter.header("auto-submitted"))
    if submitted not in ("", "no"):
        return f"a machine sent it: Auto-Submitted: {submitted}"
    if (precedence := _word(letter.header("precedence"))) in _BULK:
        return f"a machine sent it: Precedence: {precedence}"
    if name := next((name for name in _LISTS if letter.header(name) is not None), ""):
        return f"it came by a mailing list: {name.title()}"
    if _word(letter.header("x-auto-response-suppress")) not in ("", "none"):
        return "a machine sent it: X-Auto-Response-Suppress"
    if name := next((name for name in _ROBOTS if _word(letter.header(name)) not in ("", "no")), ""):
        return f"a machine sent it: {name.title()}"
    return ""


def _word(value: str | None) -> str:
    found = re.match(r"[\w-]{1,40}", (value or "").strip().lower())
    return found[0] if found else ""
