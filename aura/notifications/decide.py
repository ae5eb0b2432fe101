"""Notification decisions: who is notified of a ticket's event, on which channel, under which dedupe key.

Pure functions on plain values: no database, no current time, no settings. `actors.notify` loads the values and saves the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aura.notifications.quiet_hours import Preference
from aura.notifications.recipients import Agent, Recipient, Role, recipients, route, unique_recipients
from aura.notifications.subscriptions import Subscription, SubscriptionTopic, subscribers

#: Events of one ticket alone: they are announced also when the topic that it shares with other tickets was announced.
SINGLE_TICKET_EVENTS = ("ticket.dead_lettered", "ticket.assigned", "ticket.commented")
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
    duplicate: bool = False
    in_incident: bool = False
    #: The requester gets no automatic answer: the mail came through a list, or asks for none.
    no_auto_reply: bool = False
    #: Triage notifies users in their in-app inbox only.
    silent: bool = False

    @property
    def topic_announced(self) -> bool:
        """Whether another ticket of the same topic was announced: the original of a duplicate, or an incident."""
        return self.duplicate or (self.in_incident and self.assignee is None)


@dataclass(frozen=True, slots=True)
class Notification:
    """One message about one event to one recipient on one channel; `dedupe_key` identifies it for ever."""

    ticket_id: int
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
        if ticket.assignee is None and not ticket.topic_announced:
            assignee = route(ticket.category, ticket.priority, agents)
            newly_assigned = assignee is not None
        if assignee is not None and newly_assigned:
            agents[agents.index(assignee)] = replace(assignee, load=assignee.load + 1)
        notifications = _triage_notifications(ticket, assignee, newly_assigned, settings, team_address)
        decisions.append(Decision(assignee, notifications))
    return decisions


def _triage_notifications(
    ticket: TicketState,
    assignee: Agent | None,
    newly_assigned: bool,
    settings: NotificationSettings,
    team_address: str,
) -> list[Notification]:
    first = ticket.notified_version == 0
    topic = _topic(ticket, assignee, ticket.topic_announced)
    event, version = "ticket.classified" if first else "ticket.reclassified", str(ticket.version)
    audience = _audience(event, ticket, assignee, ticket.topic_announced, team_address)
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
    announced = ticket.topic_announced and event not in SINGLE_TICKET_EVENTS
    audience = _audience(event, ticket, assignee, announced, team_address, roles, participants)
    to = unique_recipients(
        [*audience, *subscribers(event, _topic(ticket, assignee, announced), settings.subscriptions)]
    )
    return [_notification(ticket, event, version, each, settings) for each in to]


def find_agent(name: str | None, agents: Iterable[Agent]) -> Agent | None:
    """Return the agent of that name; an unknown name is an agent without an e-mail address, who has an inbox."""
    if not name:
        return None
    return next((agent for agent in agents if agent.name == name), Agent(name))


def _audience(
    event: str,
    ticket: TicketState,
    assignee: Agent | None,
    announced: bool,
    team_address: str,
    roles: Sequence[Role] = (),
    participants: Sequence[str] = (),
) -> list[Recipient]:
    found = recipients(
        event,
        requester=ticket.requester,
        language=ticket.language,
        assignee=assignee,
        team_address=team_address,
        priority=ticket.priority,
        duplicate=announced,
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
    preference = settings.preferences.get(recipient.address.lower())
    return Notification(
        ticket_id=ticket.id,
        event=event,
        channel=recipient.channel,
        recipient=recipient.address,
        role=recipient.role,
        language=(preference.language if preference else "") or recipient.language,
        priority=ticket.priority,
        dedupe_key=f"{ticket.id}:{event}:{version}:{recipient.channel}:{recipient.address}",
    )
