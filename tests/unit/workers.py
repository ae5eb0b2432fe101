"""Workers and a relay that beat."""

from __future__ import annotations

from db import transaction, workers

A, B, RELAY = "a" * 32, "b" * 32, "c" * 32


def beat(worker: str, name: str, kind: str = "worker") -> bool:
    with transaction() as session:
        return workers.beat(session, worker, name, kind).drains
