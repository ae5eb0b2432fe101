"""Aura itself; its worker command is `dramatiq actors`, and sending is part of the transaction that stores the ticket."""

from __future__ import annotations

from pipelines import triage


def send(ids: list[int]) -> None:
    """Enqueue the triage of each ticket, in the caller's transaction."""
    triage.send_many(ids)
