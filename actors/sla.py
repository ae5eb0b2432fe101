"""SLA: the resolution target of a ticket by its priority, and the time of the warning before it.

The target counts business time from the creation of the ticket. It pauses while the ticket is pending, and from when it is
resolved or closed until it is reopened. This module declares no actor, so every step can import it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from actors.business_time import Calendar, calendar
from aura.settings import get_settings
from db.ticket_actions import LockedTicket
from db.tickets import SLA_RUNNING

#: The SLA states of a ticket.
IN_TIME, WARNED, BREACHED = "", "warned", "breached"


class Target(NamedTuple):
    """The times of the resolution target and of the warning; None for a priority without a target."""

    due_at: datetime | None
    warn_at: datetime | None

    def next_at(self, state: str) -> datetime | None:
        """Return the time of the next SLA check."""
        return {IN_TIME: self.warn_at, WARNED: self.due_at}.get(state)


def target_of(priority: str | None, created_at: datetime, paused_seconds: float) -> Target:
    """Return the target of a ticket that was created then and has been paused for so many business seconds."""
    settings = get_settings()
    seconds = dict(settings.sla).get(priority or "")
    if seconds is None:
        return Target(None, None)
    hours = business_hours()
    due, warn = (hours.after(created_at, part * seconds + paused_seconds) for part in (1.0, settings.sla_warn_at))
    return Target(due, warn)


def business_hours() -> Calendar:
    """Return the calendar of the settings."""
    settings = get_settings()
    return calendar(settings.business_hours, settings.holidays, settings.timezone)


def wall_time(moment: datetime) -> str:
    """Return a moment as local time in the time zone of AURA_TIMEZONE."""
    return f"{moment.astimezone(business_hours().zone):%Y-%m-%d %H:%M %Z}"


def after_status_change(ticket: LockedTicket, status: str) -> dict[str, Any]:
    """Return the columns that change with the status: the target pauses or resumes."""
    ran, runs = ticket.status in SLA_RUNNING, status in SLA_RUNNING
    if ran and not runs:
        # a resolved ticket keeps its target for reports
        return {"paused_since": ticket.now, "sla_next_at": None} | ({"due_at": None} if status == "pending" else {})
    if runs and not ran:
        since = ticket.paused_since or ticket.resolved_at or ticket.now
        waited = ticket.paused_seconds + business_hours().between(since, ticket.now)
        target = target_of(ticket.priority if ticket.classified_at else None, ticket.created_at, waited)
        return {
            "paused_since": None,
            "paused_seconds": waited,
            "due_at": target.due_at,
            "sla_next_at": target.next_at(ticket.sla_state),
        }
    return {}


def retargeted(ticket: LockedTicket) -> dict[str, Any]:
    """Return the columns of the target for the present priority."""
    if ticket.status not in SLA_RUNNING:
        return {"sla_state": IN_TIME}
    target = target_of(ticket.priority, ticket.created_at, ticket.paused_seconds)
    return {"sla_state": IN_TIME, "due_at": target.due_at, "sla_next_at": target.warn_at}
