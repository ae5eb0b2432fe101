"""Recipients: the assignee of a ticket, and the audience of each event with its channels.

Pure functions on plain values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from aura.notifications.addresses import comparable
from aura.notifications.sanitize import is_email, one_line

Role = Literal["requester", "cc", "agent", "team", "subscriber"]
ROLES: tuple[Role, ...] = get_args(Role)
#: Who reads a text: the desk alone, or also the requester and the people in Cc.
Visibility = Literal["internal", "public"]

#: The roles that a public reply of an agent notifies: the requester, and the people in Cc (`ticket_participants`).
PUBLIC_REPLY: tuple[Role, ...] = ("requester", "cc")

#: The roles of people at the desk. A subscriber may be anybody.
DESK: tuple[Role, ...] = ("agent", "team")

#: The in-app inbox of the team.
TEAM_INBOX = "service-desk"

#: The roles that each event notifies without a subscription. An empty one notifies subscribers alone.
AUDIENCE: dict[str, tuple[Role, ...]] = {
    "ticket.received": (),
    "ticket.classified": ("agent", "requester"),
    "ticket.assigned": ("agent",),
    "ticket.escalated": ("agent", "team", "requester"),
    "ticket.warned": ("agent",),
    "ticket.needs_review": (),
    "ticket.reclassified": ("agent", "requester"),
    "ticket.resolved": ("requester",),
    "ticket.reopened": ("agent",),
    # the one of them who is not the author
    "ticket.commented": ("agent", "requester"),
    "ticket.dead_lettered": ("team",),
}

#: Priorities that notify an agent by e-mail too, besides in-app.
URGENT = ("high", "critical")


@dataclass(frozen=True, slots=True)
class Agent:
    """A person who solves tickets; `skills` are categories, `load` and `capacity` count open tickets."""

    name: str
    email: str = ""
    skills: tuple[str, ...] = ()
    team: str = ""
    capacity: int = 10
    load: int = 0
    available: bool = True


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient; `address` is an e-mail address, the user name for in-app, or the name of an endpoint."""

    address: str
    role: Role
    channel: str
    language: str


def route(category: str, priority: str, agents: Sequence[Agent]) -> Agent | None:
    """Return the skilled agent with the lowest load for their capacity; None when no agent fits.

    Only a critical ticket is assigned to an agent who is away or at capacity, and only when no other skilled agent is
    available. Equal agents are ordered by name, so the result does not depend on the order of `agents`.
    """
    skilled = [agent for agent in agents if category.casefold() in map(str.casefold, agent.skills)]
    fitting = [agent for agent in skilled if agent.available and agent.load < agent.capacity]
    if not fitting and priority == "critical":
        fitting = skilled
    return min(fitting, key=_preference, default=None)


def _preference(agent: Agent) -> tuple[bool, float, int, str, str]:
    ratio = agent.load / agent.capacity if agent.capacity > 0 else float("inf")
    return (not agent.available, ratio, agent.load, agent.name, agent.email)


def recipients(
    event: str,
    *,
    requester: str,
    language: str,
    assignee: Agent | None,
    team_address: str,
    priority: str,
    duplicate: bool,
    roles: Sequence[Role] = (),
    participants: Sequence[str] = (),
    watcher: Agent | None = None,
) -> list[Recipient]:
    """Return the recipients of an event without subscriptions, those who must act first (see `AUDIENCE`, or `roles`).

    The agent is notified in-app, for high and critical priorities by e-mail too. The team is notified by e-mail when there is
    no agent, when the agent of an urgent ticket is away or has no e-mail address, and when there is no other recipient. A
    duplicate notifies the requester, and when it is urgent its assignee or the `watcher` of the original in-app, or else the
    team. Only one plain address becomes an e-mail recipient.
    """
    audience = roles or AUDIENCE[event]
    if not audience:
        return []
    to: list[Recipient] = []
    [team] = team_recipients(team_address, language)
    urgent = priority in URGENT
    if "agent" in audience and assignee is not None and not duplicate:
        to.append(Recipient(assignee.name, "agent", "in_app", language))
        if urgent and is_email(assignee.email):
            to.append(Recipient(assignee.email, "agent", "email", language))
    if not duplicate and ("team" in audience or ("agent" in audience and not _is_reachable(assignee, urgent))):
        to.append(team)
    if duplicate and urgent and "agent" in audience:
        desk = assignee if _is_reachable(assignee, urgent) else watcher
        to.append(Recipient(desk.name, "agent", "in_app", language) if desk is not None else team)
    person = _recipient(requester, "requester", language) if "requester" in audience else None
    if person is not None:
        to.append(person)
    if "cc" in audience:
        to += [Recipient(address, "cc", "email", language) for address in participants if is_email(address)]
    return unique_recipients(to or [team])


def _is_reachable(assignee: Agent | None, urgent: bool) -> bool:
    """Return whether to notify the assignee is enough: of an urgent ticket one who is at work and has an e-mail address."""
    return assignee is not None and (not urgent or (assignee.available and is_email(assignee.email)))


def team_recipients(team_address: str, language: str) -> list[Recipient]:
    """Return the team's address, or its in-app inbox when there is no valid one."""
    return [_recipient(team_address, "team", language) or Recipient(TEAM_INBOX, "team", "in_app", language)]


def unique_recipients(recipients: Iterable[Recipient]) -> list[Recipient]:
    """Return the recipients without repeated addresses of the same channel; the first one counts.

    So an agent who is also the requester is notified as the agent. Spellings of an address that differ in case, or in the
    form of an internationalized domain, are one.
    """
    unique: dict[tuple[str, str], Recipient] = {}
    for each in recipients:
        unique.setdefault((each.channel, _identity(each.address)), each)
    return list(unique.values())


def _identity(address: str) -> str:
    return comparable(address) if "@" in address else address.casefold()


def is_user(name: str) -> bool:
    """Return whether the text is a user name: one clean line without @."""
    # a cleaned name could be the name of another user
    return bool(name) and "@" not in name and name == one_line(name, 254)


def mail_address(person: str) -> str:
    """Return the address to which mails to a requester go; "" for a requester without one."""
    found = _recipient(person, "requester", "")
    return found.address if found is not None and found.channel == "email" else ""


def _recipient(person: str, role: Role, language: str) -> Recipient | None:
    """Return the recipient of an address or user name; None for any other text."""
    person = person.strip(" ")
    # "Ann Lee <ann@example.com>", as mail programs and exports write it
    named = re.fullmatch(r"(?:\"[^\"<>@\r\n]*\"|[^\"<>@,;\r\n]*) *<([^<>]*)>", person)
    address = named[1] if named else person
    if is_email(address.removesuffix(".")):  # the dot of the root of domain names
        return Recipient(address.removesuffix("."), role, "email", language)
    return Recipient(address, role, "in_app", language) if is_user(address) else None
