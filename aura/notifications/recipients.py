"""Who wants to know: which agent a ticket goes to, and who is told about it on which channel.

Pure rules on plain values: the caller reads agents and ticket, and stores what comes back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aura.notifications.sanitize import is_email, one_line

Role = Literal["requester", "agent", "team", "subscriber"]

#: Who is told of each event without having asked. Of some only subscribers hear, or everybody would be told twice.
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
    # the one of them who did not write it
    "ticket.commented": ("agent", "requester"),
    "ticket.dead_lettered": ("team",),
}

#: Priorities that an agent is also told by e-mail; in-app can wait for the next look at the screen.
URGENT = ("high", "critical")


@dataclass(frozen=True, slots=True)
class Agent:
    """A person who solves tickets; ``skills`` are categories, ``load`` and ``capacity`` count open tickets."""

    name: str
    email: str = ""
    skills: tuple[str, ...] = ()
    team: str = ""
    capacity: int = 10
    load: int = 0
    available: bool = True


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom to tell, as what, and how; ``address`` is an e-mail address, the user name for in-app, or an endpoint."""

    address: str
    role: Role
    channel: str
    language: str


def route(category: str, priority: str, agents: Sequence[Agent]) -> Agent | None:
    """Return the agent who takes the ticket: skilled, and the least busy for their capacity; None when nobody fits.

    Only a critical ticket may go to somebody who is full or away, and only when no free skilled agent is there.
    Equal agents are told apart by name, so the answer never depends on their order.
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
) -> list[Recipient]:
    """Return who is told about the event without having asked, those who must act first (see `AUDIENCE`, or else `roles`).

    The agent hears in-app, for high and critical by e-mail too. The team hears by e-mail when there is no agent to hear,
    when the agent cannot be mailed about an urgent ticket, and when nobody else is left, so that nothing goes nowhere.
    Only the requester hears of a duplicate. Only what is one plain address becomes an e-mail recipient.
    """
    audience = roles or AUDIENCE[event]
    if not audience:
        return []
    told: list[Recipient] = []
    team = _reach(team_address, "team", language) or Recipient("service-desk", "team", "in_app", language)
    if "agent" in audience and assignee is not None and not duplicate:
        told.append(Recipient(assignee.name, "agent", "in_app", language))
        if priority in URGENT and is_email(assignee.email):
            told.append(Recipient(assignee.email, "agent", "email", language))
    unheard = "agent" in audience and (assignee is None or (priority in URGENT and not is_email(assignee.email)))
    if not duplicate and (unheard or "team" in audience):
        told.append(team)
    person = _reach(requester, "requester", language) if "requester" in audience else None
    if person is not None:
        told.append(person)
    return once(told or [team])


def once(told: Iterable[Recipient]) -> list[Recipient]:
    """Return the recipients without those who are named before on the same channel.

    The first mention wins: an agent who reported the ticket is asked to act, not thanked for reporting.
    """
    unique: dict[tuple[str, str], Recipient] = {}
    for one in told:
        unique.setdefault((one.channel, one.address.casefold()), one)
    return list(unique.values())


def is_user(name: str) -> bool:
    """Return whether the text is a user name: one clean line that no mail program would take for an address."""
    # a name that had to be cleaned could turn out to be somebody else's
    return bool(name) and "@" not in name and name == one_line(name, 254)


def _reach(person: str, role: Role, language: str) -> Recipient | None:
    """Return how to reach a person, or None for text that is neither an address nor a user name."""
    person = person.strip(" ")
    # "Ann Lee <ann@example.com>", as mail programs and exports write it
    named = re.fullmatch(r"[^<>@,;\r\n]*<([^<>]*)>", person)
    address = named[1] if named else person
    if is_email(address):
        return Recipient(address, role, "email", language)
    return Recipient(address, role, "in_app", language) if is_user(address) else None
