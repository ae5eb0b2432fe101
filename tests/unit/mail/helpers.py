"""Reply tokens and headers of mails that answer a mail of Aura."""

from __future__ import annotations

from aura.notifications.reply_tokens import make_token
from db import signing_keys, transaction


def token(ticket_id: int, recipient: str) -> str:
    """Return the reply token of a recipient."""
    with transaction() as session:
        return make_token(signing_keys.get(session, signing_keys.REPLY), ticket_id, recipient)


def answering(ticket_id: int = 1, recipient: str = "ada@example.com") -> dict[str, str]:
    """Return the headers of a reply to a mail that Aura sent to a recipient, with _ for -."""
    return {"In_Reply_To": f"<ticket-{token(ticket_id, recipient)}@localhost>"}
