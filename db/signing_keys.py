"""Signing keys of this installation, shared by all processes. The first use of a key makes it."""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.database import transaction
from db.models import SigningKey
from db.statements import upsert

#: The key of the links that end subscriptions. Its removal makes all of them invalid.
UNSUBSCRIBE = "unsubscribe"
#: The key of the cookies by which a login recognises a device, and of logins that wait for their second factor.
LOGIN = "login"
#: The key of reply tokens. After its removal no reply to an earlier mail becomes a comment.
REPLY = "reply"


def get(session: Session, name: str) -> bytes:
    """Return the key of a purpose; the first process that needs it makes it."""
    wanted = select(SigningKey.secret).where(SigningKey.name == name)
    secret = session.scalar(wanted)
    if secret is None:
        with transaction() as writing:
            new = upsert(writing, SigningKey).values(name=name, secret=secrets.token_hex(32))
            writing.execute(new.on_conflict_do_nothing())
            secret = writing.scalars(wanted).one()
    return secret.encode()
