"""Recipients: the agent of a ticket, and the people who are notified of an event."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from aura.notifications import PUBLIC_REPLY, Agent, Recipient, is_email, route
from aura.notifications.recipients import AUDIENCE, recipients

ANN = Agent("ann", "ann@example.com", skills=("Network", "Email"), capacity=10, load=5)
BOB = Agent("bob", "bob@example.com", skills=("Network",), capacity=4, load=1)
EVE = Agent("eve", "eve@example.com", skills=("Hardware",), capacity=10, load=0)
DESK = "desk@example.com"


def addressed(**changes: Any) -> list[tuple[str, str, str]]:
    facts: dict[str, Any] = {
        "event": "ticket.classified",
        "requester": "joe@example.com",
        "language": "en",
        "assignee": BOB,
        "team_address": DESK,
        "priority": "medium",
        "duplicate": False,
    } | changes
    return [(one.role, one.channel, one.address) for one in recipients(facts.pop("event"), **facts)]


def test_the_least_busy_skilled_agent_gets_the_ticket_whatever_the_order() -> None:
    for order in permutations((ANN, BOB, EVE)):
        assert route("Network", "low", order) == BOB


def test_equal_agents_are_ordered_by_name() -> None:
    twins = [Agent("b", skills=("Other",), capacity=4, load=2), Agent("a", skills=("Other",), capacity=4, load=2)]
    for order in permutations(twins):
        chosen = route("Other", "low", order)
        assert chosen is not None
        assert chosen.name == "a"


def test_an_agent_without_the_skill_gets_no_ticket() -> None:
    assert route("Security", "critical", [ANN, BOB, EVE]) is None
    assert route("Network", "critical", []) is None


@pytest.mark.parametrize("priority", ["low", "medium", "high"])
def test_full_and_absent_agents_are_spared(priority: str) -> None:
    full = Agent("full", skills=("Access",), capacity=3, load=3)
    away = Agent("away", skills=("Access",), available=False)
    assert route("Access", priority, [full, away]) is None


def test_a_critical_ticket_prefers_a_free_agent_then_a_full_one_then_an_absent_one() -> None:
    full = Agent("full", skills=("Access",), capacity=3, load=3)
    away = Agent("away", skills=("Access",), available=False)
    free = Agent("free", skills=("Access",), capacity=3, load=2)
    nobody_yet = Agent("zero", skills=("Access",), capacity=0)
    assert route("Access", "critical", [away, full, free]) == free
    assert route("Access", "critical", [away, nobody_yet, full]) == full
    assert route("Access", "critical", [away]) == away


def test_requester_and_agent_are_notified() -> None:
    assert addressed() == [("agent", "in_app", "bob"), ("requester", "email", "joe@example.com")]


def test_people_in_cc_get_public_replies_alone() -> None:
    people = ["bob@example.com", "JOE@example.com", "not an address"]
    reply = addressed(event="ticket.commented", roles=PUBLIC_REPLY, participants=people)
    assert reply == [("requester", "email", "joe@example.com"), ("cc", "email", "bob@example.com")]
    for event in AUDIENCE:
        for roles in ((), ("agent",), ("requester",)):
            assert "cc" not in [role for role, _, _ in addressed(event=event, roles=roles, participants=people)]


@pytest.mark.parametrize("priority", ["high", "critical"])
def test_the_agent_gets_an_email_for_urgent_tickets(priority: str) -> None:
    assert ("agent", "email", "bob@example.com") in addressed(priority=priority)


def test_a_requester_with_a_user_name_is_notified_in_app() -> None:
    assert ("requester", "in_app", "j.smith") in addressed(requester="j.smith")


def test_a_requester_with_name_and_address_is_notified_by_email() -> None:
    assert ("requester", "email", "joe@example.com") in addressed(requester="Joe Müller <joe@example.com>")


@pytest.mark.parametrize(
    ("requester", "address"),
    [
        ("joe@example.com.", "joe@example.com"),
        ("Joe <joe@example.com.>", "joe@example.com"),
        ('"Lee, Joe" <joe@example.com>', "joe@example.com"),
        ("joe@my_site.example.com", "joe@my_site.example.com"),
        ("joe..lee.@docomo.example", "joe..lee.@docomo.example"),
        ('"joe lee"@example.com', '"joe lee"@example.com'),
    ],
)
def test_a_requester_with_an_odd_address_is_notified_by_email(requester: str, address: str) -> None:
    assert ("requester", "email", address) in addressed(requester=requester)


def test_without_an_agent_the_team_is_notified() -> None:
    assert addressed(assignee=None) == [("team", "email", DESK), ("requester", "email", "joe@example.com")]


def test_the_team_is_notified_of_every_escalation() -> None:
    assert ("team", "email", DESK) in addressed(event="ticket.escalated")


def test_the_team_steps_in_when_the_agent_of_an_urgent_ticket_has_no_address() -> None:
    unreachable = Agent("bob", "", skills=("Network",))
    assert ("team", "email", DESK) in addressed(assignee=unreachable, priority="critical")
    assert ("team", "email", DESK) not in addressed(assignee=unreachable, priority="low")


def test_a_duplicate_notifies_no_agent_unless_it_is_urgent() -> None:
    requester = ("requester", "email", "joe@example.com")
    assert addressed(duplicate=True, priority="medium") == [requester]
    assert addressed(duplicate=True, event="ticket.escalated", assignee=None, priority="low") == [requester]
    assert addressed(duplicate=True, priority="critical") == [("agent", "in_app", "bob"), requester]
    assert addressed(duplicate=True, assignee=None, priority="high") == [("team", "email", DESK), requester]
    watcher = Agent("eve", "eve@example.com")
    assert addressed(duplicate=True, assignee=None, priority="high", watcher=watcher)[0] == ("agent", "in_app", "eve")


def test_an_event_always_has_a_recipient() -> None:
    assert addressed(duplicate=True, requester="") == [("team", "email", DESK)]
    assert addressed(assignee=None, requester="", team_address="") == [("team", "in_app", "service-desk")]


def test_a_person_is_notified_once_per_channel_in_the_role_that_acts() -> None:
    own = addressed(requester="BOB@example.com", priority="high")
    assert own == [("agent", "in_app", "bob"), ("agent", "email", "bob@example.com")]
    assert addressed(requester=DESK, assignee=None) == [("team", "email", DESK)]


def test_all_recipients_get_the_language_of_the_ticket() -> None:
    people = recipients(
        "ticket.classified", requester="joe@example.com", language="de", assignee=BOB, team_address=DESK,
        priority="low", duplicate=False,
    )  # fmt: skip
    assert people[1] == Recipient("joe@example.com", "requester", "email", "de")
    assert {one.language for one in people} == {"de"}


HOSTILE = [
    "a@example.com\r\nBcc: victim@example.org",
    "a@example.com\n",
    "a@example.com,victim@example.org",
    "a@example.com;victim@example.org",
    "a@example.com victim@example.org",
    "a@b@example.com",
    "victim%example.org@example.com",
    "victim!example@example.com",
    '"a@b"@example.com',
    '"a<b"@example.com',
    '"a\\"b"@example.com',
    "a@[127.0.0.1]",
    "a@127.0.0.1",
    "-oQ/tmp@example.com",
    "=?utf-8?q?a=0d=0aBcc=3a?=@example.com",
    "a@example..com",
    ".a@example.com",
    "a@-example.com",
    "a@",
    "@example.com",
    "a\0@example.com",
    "a\u202e@example.com",
    "a\u200b@example.com",
    "\ud800@example.com",
    "<a@example.com>",
    "a" * 250 + "@example.com",
    "a@" + "b" * 64 + ".com",
    "a@" + ".".join(["b" * 60] * 5) + ".com",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_hostile_addresses_are_not_email_addresses(address: str) -> None:
    assert not is_email(address)


@pytest.mark.parametrize("address", [a for a in HOSTILE if a != "<a@example.com>"] + ["x@y.com <a@b.com>, <c@d.com>"])
def test_a_hostile_requester_is_never_mailed_and_the_desk_steps_in(address: str) -> None:
    assert addressed(requester=address, duplicate=True) == [("team", "email", DESK)]


@pytest.mark.parametrize(
    "address",
    [
        "joe@example.com",
        "desk@localhost",
        "o'neil+it@sub.example.co.uk",
        "jürgen@münchen.de",
        "a@xn--mnchen-3ya.de",
        "用户@例子.广告",
        # hosts with an underscore, dots as mobile carriers allow them, quoted names, addresses of automatic senders
        "ann@my_site.example.com",
        "ann@my_company.local",
        "a..nn.@docomo.example",
        '"ann lee"@example.com',
        f"reply+{'x' * 90}@example.com",
    ],
)
def test_plain_addresses_are_email_addresses(address: str) -> None:
    assert is_email(address)


@limits(deadline=None)
@given(st.text(max_size=80), st.booleans(), st.sampled_from(["low", "critical"]))
def test_any_requester_has_a_recipient_and_only_valid_addresses_get_email(
    text: str, duplicate: bool, priority: str
) -> None:
    people = addressed(requester=text, duplicate=duplicate, priority=priority)
    assert people
    assert all(is_email(address) for _, channel, address in people if channel == "email")
