"""Sample data of the demo: tickets, agents, subscriptions."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
TICKETS = _FOLDER / "tickets.csv"
AGENTS = _FOLDER / "agents.csv"
