"""Signing keys of this installation, shared by all processes. The migration makes them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import SigningKey

#: The key of the links that end subscriptions. Its removal makes all of them invalid.
UNSUBSCRIBE = "unsubscribe"


def find(session: Session, name: str) -> bytes:
    """Return a key; empty when there is none."""
    secret = session.scalar(select(SigningKey.secret).where(SigningKey.name == name))
    return secret.encode() if secret else b""
