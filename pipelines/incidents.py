"""Major incidents: a burst of similar tickets of different people within minutes is proposed as one matter.

1. Every minute the clock sweeps the tickets of the last AURA_INCIDENT_MINUTES, oldest first.
2. Each joins the group that it has most words in common with, or begins one. Time grows with the tickets, not with their
   square: a group is known by its words, and a ticket is compared with a few groups.
3. A group of an incident makes that incident grow. Another one is proposed when AURA_INCIDENT_TICKETS people are in it,
   unless so many report the like at any time.
   From then on only the requester of a ticket that joins is told (`actors.notify.notify`), instead of paging agents.
4. A person accepts it, and one ticket stands for all; or dismisses it, and the same tickets are not proposed again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain

import structlog

from actors.notify import notify
from aura.ai.text.clean import clean_line
from aura.ai.text.masking import mask
from aura.settings import PRIORITIES, get_settings
from db import incidents, tickets, transaction
from db.incidents import SIMILAR, RecentTicket
from db.incidents import TITLE_TERMS as WORDS
from db.new_tickets import NewTicket
from db.similar import extract_terms
from pipelines.triage import triage

logger = structlog.get_logger("aura.incidents")

#: Groups of one word that a ticket is compared with, the newest.
COMPARED = 50
#: How many times as many as usual make a burst, and the share of all fresh tickets that it must be in a flood of them.
UNUSUAL, STANDS_OUT = 3.0, 0.02
TITLE = 120


@dataclass(slots=True)
class Group:
    """Tickets with words in common."""

    incident_id: int | None = None
    members: list[RecentTicket] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, report: RecentTicket, words: Sequence[str]) -> None:
        self.members.append(report)
        self.counts.update(words)

    def likeness(self, words: Sequence[str]) -> float:
        """Return 0 to 1: how many of the words the members have, on average, of as many as both have."""
        if not words or not self.counts:
            return 0.0
        size = len(self.members)
        shared = sum(self.counts[word] for word in words) / size
        return shared / min(len(words), self.counts.total() / size)

    @property
    def people(self) -> int:
        return len({each.requester.casefold() for each in self.members})


def propose_incidents() -> int:
    """Look at the newest tickets once. Returns how many incidents were proposed or grew."""
    settings = get_settings()
    with transaction() as session:
        incidents.lock_detection(session)
        pool = incidents.recent_tickets(session, settings.incident_minutes)
        fresh = [each for each in pool if each.fresh]
        if len(fresh) < 2:
            return 0
        known = incidents.recent_incidents(session, settings.incident_minutes)
        state = {each.id: each.state for each in known}
        groups = _grouped(fresh)
        least = max(settings.incident_tickets, STANDS_OUT * len(fresh))
        changed = 0
        for group in groups:
            new = [each for each in group.members if each.incident_id is None]
            if group.incident_id is not None:
                if new and group.incident_id in state:
                    incidents.add_tickets(session, group.incident_id, new)
                    changed += 1
                continue
            burst = _not_dismissed(group, [each for each in known if each.state == "dismissed"])
            if burst.people >= least and burst.people >= UNUSUAL * _usual(burst, pool, settings.incident_minutes):
                category = Counter(each.category or "Other" for each in burst.members).most_common(1)[0][0]
                number = incidents.propose(session, _matter(burst), category, burst.members)
                logger.warning(
                    "a burst of similar tickets may be one incident", incident=number, tickets=len(burst.members)
                )
                changed += 1
    return changed


def accept(number: int) -> int:
    """Make one ticket stand for all of a proposed incident's, and start its journey. Returns that ticket.

    Its priority is high, or that of the most urgent one of them. Raises UnknownIncident or IncidentDecided.
    """
    with transaction() as session:
        incident = incidents.decide(session, number, "accepted")
        children = incidents.tickets_of(session, number)
        german = sum(child.language == "de" for child in children) * 2 > len(children)
        urgent = max(chain([PRIORITIES.index("high")], (PRIORITIES.index(c.priority) for c in children if c.priority)))
        named = ", ".join(f"#{child.id}" for child in children[:100])
        title, stands_for = (
            ("Großstörung", "Dieses Ticket steht für") if german else ("Major incident", "This stands for")
        )
        submission = NewTicket(
            title=f"{title}: {incident.title}",
            description=f"{stands_for} {len(children)} Tickets: {named}",
            priority=PRIORITIES[urgent],
            external_id=f"incident-{number}",
        )
        [parent] = tickets.create(session, "aura", [(submission, {"incident": number})])
        incidents.set_parent(session, number, parent, incident.category, PRIORITIES[urgent])
        triage.send(parent)
    return parent


def dismiss(number: int) -> None:
    """Free the tickets of a proposed incident; they are not proposed again. Raises UnknownIncident or IncidentDecided.

    People are told now of those that only their requesters were told about.
    """
    with transaction() as session:
        incidents.decide(session, number, "dismissed")
        for ticket in incidents.raise_versions(session, number):
            notify.send(ticket)
        incidents.release_tickets(session, number)


def _words(report: RecentTicket) -> list[str]:
    return extract_terms(report.title, WORDS) or extract_terms(report.description, WORDS)


def _grouped(fresh: Iterable[RecentTicket]) -> list[Group]:
    """Put each ticket to those it is like; the tickets of an incident are one group from the beginning."""
    groups: list[Group] = []
    by_word: defaultdict[str, list[Group]] = defaultdict(list)
    by_incident: dict[int, Group] = {}

    def put(report: RecentTicket, words: list[str], group: Group) -> None:
        for word in words:
            if word not in group.counts:
                by_word[word].append(group)
        group.add(report, words)

    for report in sorted(fresh, key=lambda each: (each.incident_id is None, each.id)):
        words = _words(report)
        if report.incident_id is not None:
            if report.incident_id not in by_incident:
                by_incident[report.incident_id] = Group(report.incident_id)
                groups.append(by_incident[report.incident_id])
            put(report, words, by_incident[report.incident_id])
            continue
        near = {id(group): group for word in words for group in by_word[word][-COMPARED:]}
        best = max(near.values(), key=lambda group: group.likeness(words), default=None)
        if best is None or best.likeness(words) < SIMILAR:
            best = Group()
            groups.append(best)
        put(report, words, best)
    return groups


def _not_dismissed(group: Group, dismissed: Iterable[incidents.RecentIncident]) -> Group:
    """Return the group without the tickets that were there when somebody said that this matter is no incident."""
    until = [each.last_ticket_at for each in dismissed if group.likeness(extract_terms(each.title, WORDS)) >= SIMILAR]
    if not until:
        return group
    kept = Group()
    for each in group.members:
        if each.created_at > max(until):
            kept.add(each, _words(each))
    return kept


def _usual(group: Group, pool: Sequence[RecentTicket], minutes: float) -> float:
    """Return how many tickets like these came in as many minutes before."""
    start = pool[-1].created_at - timedelta(minutes=minutes)
    before = [each for each in pool if each.created_at < start]
    if not before:
        return 0.0
    alike = sum(group.likeness(_words(each)) >= SIMILAR for each in before)
    spans = (start - before[0].created_at) / timedelta(minutes=minutes)
    return alike / max(spans, 1.0)


def _matter(group: Group) -> str:
    """Return the title that says best what the group is about, masked: more people will read it."""
    titled = [each for each in group.members if extract_terms(each.title, WORDS)]
    if not titled:
        return clean_line(mask(group.members[0].description).text, TITLE)
    central = max(titled, key=lambda each: (group.likeness(_words(each)), -each.id))
    return clean_line(mask(central.title).text, TITLE)
