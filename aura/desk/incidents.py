"""Accepting and dismissing the major incidents that `pipelines.incidents` proposes."""

from __future__ import annotations

from actors.notify import notify
from aura.settings import PRIORITIES
from db import incidents, tickets, transaction
from db.new_tickets import NewTicket
from pipelines.triage import triage

#: Numbers of tickets that the description of the parent ticket lists.
LISTED = 100
#: The priority of the parent ticket is at least this.
LEAST_PRIORITY = PRIORITIES.index("high")
#: Title and description of the parent ticket, by language.
TEXTS = {
    "de": ("Großstörung: {title}", "Dieses Ticket steht für {count} Tickets: {numbers}"),
    "en": ("Major incident: {title}", "This ticket represents {count} tickets: {numbers}"),
}


def accept(number: int) -> int:
    """Create the ticket that represents a proposed incident, and start its triage. Returns its number.

    Its priority is high, or the highest of the incident's tickets. A later ticket that is more urgent than those of this
    moment notifies the desk by itself. Raises UnknownIncident, IncidentDecided.
    """
    with transaction() as session:
        incident = incidents.decide(session, number, "accepted")
        children = incidents.tickets_of(session, number)
        german = sum(child.language == "de" for child in children) * 2 > len(children)
        title, description = TEXTS["de" if german else "en"]
        urgencies = [PRIORITIES.index(child.priority) for child in children if child.priority]
        priority = PRIORITIES[max([LEAST_PRIORITY, *urgencies])]
        numbers = ", ".join(f"#{child.id}" for child in children[:LISTED])
        ticket = NewTicket(
            title=title.format(title=incident.title),
            description=description.format(count=len(children), numbers=numbers),
            priority=priority,
            external_id=f"incident-{number}",
        )
        [parent] = tickets.create(session, "aura", [(ticket, {"incident": number})])
        covered = PRIORITIES[max(urgencies)] if urgencies else None
        incidents.set_parent(session, number, parent, incident.category, priority, covered)
        triage.send(parent)
    return parent


def dismiss(number: int) -> None:
    """Dismiss a proposed incident; the same tickets are not proposed again. Raises UnknownIncident, IncidentDecided.

    Tickets of which only the requester was notified now notify their agents.
    """
    with transaction() as session:
        incidents.decide(session, number, "dismissed")
        for ticket in incidents.raise_versions(session, number):
            notify.send(ticket)
        incidents.release_tickets(session, number)
