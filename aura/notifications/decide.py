"""Notification decisions: who is notified of a ticket's event, on which channel, under which dedupe key.

Pure functions on plain values: no database, no current time, no settings. `actors.notify` loads the values and saves the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aura.notifications.quiet_hours import Preference
from aura.notifications.recipients import (
    DESK,
    TEAM_INBOX,
    URGENT,
    Agent,
    Recipient,
    Role,
    recipients,
    route,
    team_recipients,
    unique_recipients,
)
from aura.notifications.subscriptions import INCIDENT_PROPOSED, Subscription, SubscriptionTopic, rank, subscribers

#: Events that a ticket shares with its topic: the desk is not notified again when it was notified of the topic. Triage's
#: first notification is the most important one; every other event is about this ticket alone.
SHARED_EVENTS = ("ticket.received", "ticket.classified", "ticket.needs_review", "ticket.reclassified", "ticket.warned")
#: Events of which the requester is notified without an action of a person: our automatic answers.
AUTOMATIC_EVENTS = ("ticket.classified", "ticket.reclassified", "ticket.escalated")
#: The channel whose notifications stay in Aura.
IN_APP = "in_app"


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """The subscriptions, and the preferences by e-mail address or user name in lower case."""

    subscriptions: tuple[Subscription, ...] = ()
    preferences: Mapping[str, Preference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnnouncedTopic:
    """A ticket that announced the topic of other tickets: the original of a duplicate, or an accepted incident."""

    #: The priority that the desk knows of: the original's, or the highest of the incident's tickets at its confirmation. A more
    #: urgent ticket is not covered. Empty covers no ticket.
    priority: str
    #: The assignee of the original, or of the incident's parent ticket.
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class TicketState:
    """The columns of a ticket that a decision depends on."""

    id: int
    category: str = "Other"
    priority: str = "medium"
    requester: str = ""
    department: str = ""
    language: str = "en"
    assignee: str | None = None
    version: int = 1
    #: The version of the last notification; 0 before the first.
    notified_version: int = 0
    needs_review: bool = False
    #: The ticket that this one duplicates.
    original: AnnouncedTopic | None = None
    #: The accepted incident that the ticket belongs to; a proposed one is none.
    incident: AnnouncedTopic | None = None
    #: The requester gets no automatic answer: the mail came through a list, or asks for none.
    no_auto_reply: bool = False
    #: Triage notifies users in their in-app inbox only.
    silent: bool = False

    @property
    def announced(self) -> AnnouncedTopic | None:
        """The topic of which the desk was notified, if that covers this ticket.

        It covers no ticket that is more urgent, and none whose priority was raised to an urgent one.
        """
        if self.priority in URGENT and self.notified_version:
            return None
        topics = (self.original, self.incident if self.assignee is None else None)
        return next((each for each in topics if each is not None and rank(self.priority) <= rank(each.priority)), None)


@dataclass(frozen=True, slots=True)
class IncidentState:
    """The values of a proposed incident that its notifications depend on."""

    id: int
    category: str
    #: The highest priority of its tickets.
    priority: str
    language: str = "en"
    #: The agents to whom its tickets are assigned.
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """One message about one event to one recipient on one channel; `dedupe_key` identifies it for ever."""

    #: None for an event of an incident.
    ticket_id: int | None
    event: str
    channel: str
    recipient: str
    role: Role
    language: str
    priority: str
    dedupe_key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The assignee of a triaged ticket and its notifications; no notifications when its version was announced before."""

    assignee: Agent | None = None
    notifications: list[Notification] = field(default_factory=list)


def decide_triage(
    tickets: Iterable[TicketState], agents: Sequence[Agent], settings: NotificationSettings, team_address: str
) -> list[Decision]:
    """Return one decision for each triaged ticket, in order; an assignment adds to the agent's load for the next ones."""
    agents = list(agents)
    decisions: list[Decision] = []
    for ticket in tickets:
        if ticket.notified_version >= ticket.version:
            decisions.append(Decision())
            continue
        assignee, newly_assigned = find_agent(ticket.assignee, agents), False
        if ticket.assignee is None and ticket.announced is None:
            assignee = route(ticket.category, ticket.priority, agents)
            newly_assigned = assignee is not None
        if assignee is not None and newly_assigned:
            agents[agents.index(assignee)] = replace(assignee, load=assignee.load + 1)
        notifications = _triage_notifications(ticket, assignee, newly_assigned, agents, settings, team_address)
        decisions.append(Decision(assignee, notifications))
    return decisions


def _triage_notifications(
    ticket: TicketState,
    assignee: Agent | None,
    newly_assigned: bool,
    agents: Sequence[Agent],
    settings: NotificationSettings,
    team_address: str,
) -> list[Notification]:
    first = ticket.notified_version == 0
    topic = _topic(ticket, assignee, ticket.announced is not None)
    event, version = "ticket.classified" if first else "ticket.reclassified", str(ticket.version)
    audience = _audience(event, ticket, assignee, ticket.announced, agents, team_address)
    if ticket.silent and ticket.priority in URGENT:
        audience = [*audience, *_silent_team(audience, agents, ticket.language)]
    to = unique_recipients([*audience, *subscribers(event, topic, settings.subscriptions)])
    notifications = [_notification(ticket, event, version, each, settings) for each in to]
    subscribed = {
        "ticket.received": first,
        "ticket.assigned": newly_assigned,
        "ticket.needs_review": ticket.needs_review,
    }
    for event, happened in subscribed.items():
        if happened:
            to = unique_recipients(subscribers(event, topic, settings.subscriptions))
            notifications += [_notification(ticket, event, triage_version(ticket), each, settings) for each in to]
    return [each for each in notifications if each.channel == IN_APP or not ticket.silent]


def _silent_team(audience: Sequence[Recipient], agents: Sequence[Agent], language: str) -> list[Recipient]:
    """Return the team's inbox, where a silent ticket would notify no agent who is at work."""
    inboxes = {each.address for each in audience if each.role in DESK and each.channel == IN_APP}
    at_work = any(each.name in inboxes for each in agents if each.available)
    return [] if at_work else [Recipient(TEAM_INBOX, "team", IN_APP, language)]


def triage_version(ticket: TicketState) -> str:
    """Return the version of an event that triage itself raised, distinct from one that a person raised."""
    return f"{ticket.version}-triage"


def decide_event(
    ticket: TicketState,
    event: str,
    version: str,
    agents: Sequence[Agent],
    settings: NotificationSettings,
    team_address: str,
    roles: Sequence[Role] = (),
    participants: Sequence[str] = (),
) -> list[Notification]:
    """Return the notifications of an event; `roles` replace the event's own audience (see `recipients.AUDIENCE`).

    `participants` are the addresses of the role cc.
    """
    assignee = find_agent(ticket.assignee, agents)
    announced = ticket.announced if event in SHARED_EVENTS else None
    audience = _audience(event, ticket, assignee, announced, agents, team_address, roles, participants)
    topic = _topic(ticket, assignee, announced is not None)
    to = unique_recipients([*audience, *subscribers(event, topic, settings.subscriptions)])
    return [_notification(ticket, event, version, each, settings) for each in to]


def decide_proposal(incident: IncidentState, settings: NotificationSettings, team_address: str) -> list[Notification]:
    """Return the notifications of a proposed incident: the team, the assignees of its tickets, and subscribers."""
    topic = SubscriptionTopic(incident.category, incident.priority, "", "", incident.language)
    watchers = [Recipient(name, "agent", IN_APP, incident.language) for name in incident.assignees]
    to = unique_recipients(
        [
            *team_recipients(team_address, incident.language),
            *watchers,
            *subscribers(INCIDENT_PROPOSED, topic, settings.subscriptions),
        ]
    )
    return [
        Notification(
            ticket_id=None,
            event=INCIDENT_PROPOSED,
            channel=each.channel,
            recipient=each.address,
            role=each.role,
            language=_language(each, settings),
            priority=incident.priority,
            dedupe_key=f"incident-{incident.id}:proposed:{each.channel}:{each.address}",
        )
        for each in to
    ]


def find_agent(name: str | None, agents: Iterable[Agent]) -> Agent | None:
    """Return the agent of that name; an unknown name is an agent without an e-mail address, who has an inbox."""
    if not name:
        return None
    return next((agent for agent in agents if agent.name == name), Agent(name))


def _audience(
    event: str,
    ticket: TicketState,
    assignee: Agent | None,
    announced: AnnouncedTopic | None,
    agents: Sequence[Agent],
    team_address: str,
    roles: Sequence[Role] = (),
    participants: Sequence[str] = (),
) -> list[Recipient]:
    watcher = None
    if announced is not None:
        watcher = next((each for each in agents if each.name == announced.assignee and each.available), None)
    found = recipients(
        event,
        requester=ticket.requester,
        language=ticket.language,
        assignee=assignee,
        team_address=team_address,
        priority=ticket.priority,
        duplicate=announced is not None,
        watcher=watcher,
        roles=roles,
        participants=participants,
    )
    if ticket.no_auto_reply and event in AUTOMATIC_EVENTS:
        return [each for each in found if each.role != "requester"]
    return found


def _topic(ticket: TicketState, assignee: Agent | None, announced: bool) -> SubscriptionTopic:
    team = assignee.team if assignee else ""
    return SubscriptionTopic(ticket.category, ticket.priority, ticket.department, team, ticket.language, announced)


def _notification(
    ticket: TicketState, event: str, version: str, recipient: Recipient, settings: NotificationSettings
) -> Notification:
    return Notification(
        ticket_id=ticket.id,
        event=event,
        channel=recipient.channel,
        recipient=recipient.address,
        role=recipient.role,
        language=_language(recipient, settings),
        priority=ticket.priority,
        dedupe_key=f"{ticket.id}:{event}:{version}:{recipient.channel}:{recipient.address}",
    )


def _language(recipient: Recipient, settings: NotificationSettings) -> str:
    preference = settings.preferences.get(recipient.address.lower())
    return (preference.language if preference else "") or recipient.language
