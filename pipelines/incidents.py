"""Incident sweep: proposes a major incident when similar tickets of several people arrive within minutes.

1. Every minute the scheduler sweeps the tickets of the last AURA_INCIDENT_MINUTES, the oldest first.
2. Each ticket joins the most similar group, or begins one. The time is linear in the number of tickets: an index of words
   limits the groups that a ticket is compared with.
3. A group that belongs to an incident adds its tickets to it. Another group is proposed when AURA_INCIDENT_TICKETS people
   are in it, unless as many similar tickets usually arrive in that time.
   The team is notified once of the proposal (`actors.proposals`), which changes no notification of a ticket.
4. A person accepts or dismisses the proposal (`aura.desk.incidents`). From its acceptance on, a ticket that joins and is not
   more urgent than its tickets notifies its requester only (`actors.notify.notify`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from actors.proposals import announce_proposals
from aura.ai.text.clean import clean_line
from aura.ai.text.content import content
from aura.ai.text.masking import mask
from aura.settings import Settings, get_settings
from db import incidents, transaction
from db.incidents import SIMILAR, TITLE_TERMS, RecentTicket
from db.similar import extract_terms

logger = structlog.get_logger("aura.incidents")

#: Groups per word that a ticket is compared with, the newest.
COMPARED = 50
#: A burst has at least UNUSUAL times the usual number of similar tickets, and this share of all recent tickets.
UNUSUAL, SHARE = 3.0, 0.02
TITLE_LIMIT = 120


@dataclass(slots=True)
class Group:
    """Similar tickets: they have words in common."""

    incident_id: int | None = None
    members: list[RecentTicket] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, report: RecentTicket, words: Sequence[str]) -> None:
        self.members.append(report)
        self.counts.update(words)

    def similarity(self, words: Sequence[str]) -> float:
        """Return 0 to 1: the average share of words that a member has in common with these."""
        if not words or not self.counts:
            return 0.0
        size = len(self.members)
        shared = sum(self.counts[word] for word in words) / size
        return shared / min(len(words), self.counts.total() / size)

    @property
    def people(self) -> int:
        return len({each.requester.casefold() for each in self.members})


def propose_incidents() -> int:
    """Sweep the recent tickets once. Returns how many incidents were proposed or grew."""
    settings = get_settings()
    with transaction() as session:
        incidents.lock_detection(session)
        changed = _sweep(session, settings)
        # also those that a process of an earlier version proposed
        announce_proposals(session)
    return changed


def _sweep(session: Session, settings: Settings) -> int:
    pool = incidents.recent_tickets(session, settings.incident_minutes)
    recent = [each for each in pool if each.fresh]
    if len(recent) < 2:
        return 0
    proposals = incidents.recent_incidents(session, settings.incident_minutes)
    proposal_ids = {each.id for each in proposals}
    dismissed = [each for each in proposals if each.state == "dismissed"]
    threshold = max(settings.incident_tickets, SHARE * len(recent))
    changed = 0
    for group in _grouped(recent):
        if group.incident_id is not None:
            new = [each for each in group.members if each.incident_id is None]
            if new and group.incident_id in proposal_ids:
                incidents.add_tickets(session, group.incident_id, new)
                changed += 1
            continue
        burst = _without_dismissed(group, dismissed)
        if burst.people >= threshold and burst.people >= UNUSUAL * _usual(burst, pool, settings.incident_minutes):
            category = Counter(each.category or "Other" for each in burst.members).most_common(1)[0][0]
            number = incidents.propose(session, _title(burst), category, burst.members)
            logger.warning("incident proposed", incident=number, tickets=len(burst.members))
            changed += 1
    return changed


def _words(report: RecentTicket) -> list[str]:
    parts = content(report.title, report.description)
    return extract_terms(parts.title, TITLE_TERMS) or extract_terms(parts.description, TITLE_TERMS)


def _grouped(recent: Iterable[RecentTicket]) -> list[Group]:
    """Group similar tickets; the tickets of an incident are one group from the beginning."""
    groups: list[Group] = []
    by_word: defaultdict[str, list[Group]] = defaultdict(list)
    by_incident: dict[int, Group] = {}

    def new_group(incident_id: int | None = None) -> Group:
        groups.append(Group(incident_id))
        return groups[-1]

    def most_similar(words: list[str]) -> Group | None:
        candidates = {id(group): group for word in words for group in by_word[word][-COMPARED:]}
        best = max(candidates.values(), key=lambda group: group.similarity(words), default=None)
        return best if best is not None and best.similarity(words) >= SIMILAR else None

    for report in sorted(recent, key=lambda each: (each.incident_id is None, each.id)):
        words = _words(report)
        if report.incident_id is None:
            group = most_similar(words) or new_group()
        else:
            if report.incident_id not in by_incident:
                by_incident[report.incident_id] = new_group(report.incident_id)
            group = by_incident[report.incident_id]
        for word in words:
            if word not in group.counts:
                by_word[word].append(group)
        group.add(report, words)
    return groups


def _without_dismissed(group: Group, dismissed: Iterable[incidents.RecentIncident]) -> Group:
    """Return the group without the tickets that arrived before a person dismissed a similar proposal."""
    until = [
        each.last_ticket_at for each in dismissed if group.similarity(extract_terms(each.title, TITLE_TERMS)) >= SIMILAR
    ]
    if not until:
        return group
    rest = Group()
    for each in group.members:
        if each.created_at > max(until):
            rest.add(each, _words(each))
    return rest


def _usual(group: Group, pool: Sequence[RecentTicket], minutes: float) -> float:
    """Return how many similar tickets arrived in a period of this length before, on average."""
    start = pool[-1].created_at - timedelta(minutes=minutes)
    before = [each for each in pool if each.created_at < start]
    if not before:
        return 0.0
    similar = sum(group.similarity(_words(each)) >= SIMILAR for each in before)
    periods = (start - before[0].created_at) / timedelta(minutes=minutes)
    return similar / max(periods, 1.0)


def _title(group: Group) -> str:
    """Return the most typical title of the group, masked because more people read it."""
    titled = [each for each in group.members if extract_terms(each.title, TITLE_TERMS)]
    if not titled:
        return clean_line(mask(group.members[0].description).text, TITLE_LIMIT)
    central = max(titled, key=lambda each: (group.similarity(_words(each)), -each.id))
    return clean_line(mask(central.title).text, TITLE_LIMIT)
