"""Unsubscribe by mail: the `mailto:` of List-Unsubscribe, for installations without https, which one click needs."""

from __future__ import annotations

import re

from aura.desk.unsubscribe import unsubscribe
from aura.mail.parse import ParsedMail
from aura.notifications.unsubscribe import SUBJECT, InvalidToken

_SUBJECT = re.compile(rf"\s*{SUBJECT} ([\w-]{{20,800}})\s*", re.ASCII | re.IGNORECASE)


def unsubscribed(mail: ParsedMail) -> str:
    """End what the token in the subject names, and return the reason to ignore the mail; "" for any other mail.

    The token proves that the sender received the mail that names it, so the sender's address does not matter.
    """
    found = _SUBJECT.fullmatch(mail.subject)
    if found is None:
        return ""
    try:
        what = unsubscribe(found[1])
    except InvalidToken:
        return ""
    return f"unsubscribed {what.address}"
