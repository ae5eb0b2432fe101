"""Property: somebody at the desk is notified of each urgent ticket, whatever other tickets contain and people do.

Histories of tickets, duplicates, proposals, confirmations, dismissals, corrections, escalations, preferences and digests run
on the pure functions. `make check` runs 20 of them; CHAOS_HISTORIES=10000 makes it longer.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aura.notifications import Agent, DigestItem, Preference, Subscription, digest_policy, quiet_hours, render_digest
from aura.notifications.decide import (
    AnnouncedTopic,
    Notification,
    NotificationSettings,
    TicketState,
    decide_event,
    decide_triage,
)
from aura.settings import PRIORITIES

URGENT = ("high", "critical")
CATEGORIES = ("Network", "Email")
TOPICS = ("vpn", "mail")
PEOPLE = ("ada@example.com", "bob@example.com", "desk@example.com", "ann@example.com", "ann", "", "not an address,")
TEAMS = ("desk@example.com", "helpdesk", "", "no address at all,")
#: Seconds that a storm may delay a notification.
STORM = 60.0

AGENTS = st.lists(
    st.builds(
        Agent,
        name=st.sampled_from(["ann", "ben", "cleo"]),
        email=st.sampled_from(["", "ann@example.com", "ben@example.com", "not an address"]),
        skills=st.sampled_from([(), ("Network",), CATEGORIES]),
        capacity=st.integers(0, 2),
        available=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda agent: agent.name,
)
PREFERENCES = st.dictionaries(
    st.sampled_from(["desk@example.com", "helpdesk", "ann", "ann@example.com", "ben@example.com"]),
    st.sampled_from(
        [
            Preference(quiet_from="00:00", quiet_to="23:59"),
            Preference(quiet_from="20:00", quiet_to="08:00", digest="daily"),
            Preference(digest="hourly"),
            Preference(digest="daily", digest_at="06:00"),
        ]
    ),
)
SUBSCRIPTIONS = st.lists(
    st.sampled_from([Subscription("boss", "in_app"), Subscription("x@elsewhere.example", "email", priority="high")])
)
PRIORITY, NUMBER = st.sampled_from(PRIORITIES), st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"),
            st.sampled_from(TOPICS),
            st.sampled_from(PEOPLE),
            PRIORITY,
            st.sampled_from(CATEGORIES),
            st.booleans(),
            st.booleans(),
        ),
        st.tuples(st.sampled_from(["propose", "accept", "dismiss"]), st.sampled_from(TOPICS)),
        st.tuples(st.just("correct"), NUMBER, PRIORITY),
        st.tuples(st.sampled_from(["escalate", "reopen", "dead_letter", "assign", "resolve"]), NUMBER),
        st.tuples(st.just("away"), st.integers(0, 2)),
        st.tuples(st.just("prefer"), st.sampled_from(["desk@example.com", "ann@example.com"]), st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from([1, 45, 3_600, 30_000])),
    ),
    min_size=1,
    max_size=25,
)


@dataclass
class Ticket:
    state: TicketState
    topic: str
    #: The incident that it belongs to, and the ticket that it duplicates.
    incident: str = ""
    original: int | None = None
    resolved: bool = False


@dataclass
class Delayed:
    """A delayed notification, as the digest reads it."""

    event: str
    role: str
    data: dict[str, Any]
    ticket_id: int
    recipient: str
    until: datetime


@dataclass
class World:
    """Tickets, incidents and delayed notifications, as the database holds them."""

    agents: list[Agent]
    preferences: dict[str, Preference]
    subscriptions: Sequence[Subscription]
    team: str
    limit: int
    now: datetime = datetime(2026, 6, 1, 19, 59, 30, tzinfo=UTC)
    tickets: list[Ticket] = field(default_factory=list)
    #: The priority that the incident of a topic covers; None while it is only proposed.
    incidents: dict[str, str | None] = field(default_factory=dict)
    delayed: list[Delayed] = field(default_factory=list)
    recent: list[tuple[datetime, str, str]] = field(default_factory=list)

    @property
    def settings(self) -> NotificationSettings:
        return NotificationSettings(tuple(self.subscriptions), self.preferences)

    def state(self, ticket: Ticket) -> TicketState:
        original, incident = None, None
        if ticket.original is not None:
            known = self.tickets[ticket.original].state
            original = AnnouncedTopic(known.priority, known.assignee or "")
        if covered := self.incidents.get(ticket.incident):
            incident = AnnouncedTopic(covered)
        return replace(ticket.state, original=original, incident=incident)

    def triage(self, ticket: Ticket) -> None:
        state = self.state(ticket)
        [decision] = decide_triage([state], self.agents, self.settings, self.team)
        ticket.state = replace(
            state,
            notified_version=state.version,
            assignee=decision.assignee.name if decision.assignee else state.assignee,
        )
        self.deliver(state, ("ticket.classified", "ticket.reclassified"), decision.notifications)

    def announce(self, ticket: Ticket, event: str) -> None:
        found = decide_event(self.state(ticket), event, "1", self.agents, self.settings, self.team)
        self.deliver(ticket.state, (event,), found)

    def deliver(self, state: TicketState, events: Sequence[str], notifications: list[Notification]) -> None:
        since = self.now - timedelta(seconds=STORM)
        counts = Counter((channel, recipient) for at, channel, recipient in self.recent if at > since)
        delays = digest_policy.delays(notifications, self.preferences, counts, self.limit, self.now)
        self.recent += [(self.now, each.channel, each.recipient) for each in notifications]
        for each, until in delays.items():
            facts = {"priority": each.priority}
            self.delayed.append(Delayed(each.event, each.role, facts, each.ticket_id or 0, each.recipient, until))
        if state.priority in URGENT:
            soon = self.now + timedelta(seconds=STORM)
            notified = [each for each in notifications if each.event in events and delays.get(each, self.now) <= soon]
            assert any(map(self.is_desk, notified)), (
                f"nobody at the desk is notified of {state}: {notifications}, {delays}"
            )

    def is_desk(self, notification: Notification) -> bool:
        """Return whether the notification reaches the team, or an agent who is at work."""
        at_work = {name for each in self.agents if each.available for name in (each.name, each.email)}
        return notification.role == "team" or (notification.role == "agent" and notification.recipient in at_work)

    def run_digests(self) -> None:
        due = [each for each in self.delayed if each.until <= self.now]
        for recipient in {each.recipient for each in due}:
            own = [each for each in due if each.recipient == recipient]
            preference = self.preferences.get(recipient)
            deliver, delay, until = digest_policy.split_due(own, preference, self.now)
            for each in delay:
                assert until is not None
                each.until = until
                urgent = each.role in ("agent", "team") and each.data["priority"] in URGENT
                assert not urgent, f"a due notification of an urgent ticket is delayed again: {each}"
            items = [DigestItem(each.event, each.ticket_id, "T", "Network", each.data["priority"]) for each in deliver]
            if len(items) > 1:
                text = render_digest(items, "en", "https://aura.example.com").text
                assert all(f"#{each.ticket_id} T" in text for each in items if each.priority in URGENT)
            self.delayed = [each for each in self.delayed if each not in deliver]


def act(world: World, step: tuple[Any, ...]) -> None:
    match step:
        case ("create", topic, requester, priority, category, silent, no_auto_reply):
            same = (
                number
                for number, each in enumerate(world.tickets)
                if requester and (each.topic, each.state.requester) == (topic, requester) and not each.resolved
            )
            number = len(world.tickets) + 1
            state = TicketState(number, category, priority, requester, silent=silent, no_auto_reply=no_auto_reply)
            incident = topic if topic in world.incidents else ""
            world.tickets.append(Ticket(state, topic, incident, next(same, None)))
            world.triage(world.tickets[-1])
        case ("propose", topic):
            world.incidents.setdefault(topic, None)
            for each in world.tickets:
                each.incident = topic if each.topic == topic else each.incident
        case ("accept", topic) if world.incidents.get(topic, "") is None:
            ranks = [PRIORITIES.index(each.state.priority) for each in world.tickets if each.incident == topic]
            world.incidents[topic] = PRIORITIES[max(ranks)] if ranks else None
        case ("dismiss", topic) if world.incidents.get(topic, "") is None:
            del world.incidents[topic]
            for each in world.tickets:
                each.incident = "" if each.incident == topic else each.incident
        case ("away", number) if number < len(world.agents):
            agent = world.agents[number]
            world.agents[number] = replace(agent, available=not agent.available)
        case ("prefer", name, quiet):
            world.preferences.pop(name, None)
            if quiet:
                world.preferences[name] = Preference(quiet_from="00:00", quiet_to="23:59")
            for each in world.delayed:  # as `db.digests.reschedule`
                if each.recipient == name and each.until > world.now + timedelta(seconds=STORM):
                    preference = world.preferences.get(name)
                    each.until = (quiet_hours.delay_until(preference, world.now) if preference else None) or world.now
        case ("wait", seconds):
            world.now += timedelta(seconds=seconds)
            world.run_digests()
        case (kind, int(number), *more) if number < len(world.tickets):
            of_ticket(world, world.tickets[number], kind, *more)


def of_ticket(world: World, ticket: Ticket, kind: str, priority: str = "") -> None:
    match kind:
        case "correct" if priority != ticket.state.priority:
            ticket.state = replace(ticket.state, priority=priority, version=ticket.state.version + 1)
            world.triage(ticket)
        case "escalate" | "reopen" | "dead_letter":
            events = {
                "escalate": "ticket.escalated",
                "reopen": "ticket.reopened",
                "dead_letter": "ticket.dead_lettered",
            }
            world.announce(ticket, events[kind])
        case "assign":
            ticket.state = replace(ticket.state, assignee="" if ticket.state.assignee else "eve")
            world.announce(ticket, "ticket.assigned")
        case "resolve":
            ticket.resolved = not ticket.resolved


@given(AGENTS, PREFERENCES, SUBSCRIPTIONS, st.sampled_from(TEAMS), st.sampled_from([0, 1, 3]), STEPS)
@settings(max_examples=int(os.environ.get("CHAOS_HISTORIES", "0")) or settings.default.max_examples)
def test_an_urgent_ticket_notifies_the_desk(
    agents: list[Agent],
    preferences: dict[str, Preference],
    subscriptions: list[Subscription],
    team: str,
    limit: int,
    steps: list[tuple[Any, ...]],
):
    world = World(list(agents), dict(preferences), subscriptions, team, limit)
    for step in steps:
        act(world, step)
