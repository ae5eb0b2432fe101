"""Notification decisions as a table: ticket, agents and subscriptions in, notifications out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aura.notifications import Agent, Preference, Subscription
from aura.notifications.decide import (
    AnnouncedTopic,
    Decision,
    IncidentState,
    Notification,
    NotificationSettings,
    TicketState,
    decide_event,
    decide_proposal,
    decide_triage,
    find_agent,
)

ANN = Agent("ann", "ann@example.com", ("Network",), team="Day", capacity=4)
BEN = Agent("ben", "ben@example.com", ("Network",), team="Night", capacity=4)
TEAM = "desk@example.com"
TICKET = TicketState(
    id=17, category="Network", requester="ada@example.com", department="Sales", language="de", version=3
)
NONE = NotificationSettings()
#: A topic of which the desk was notified, as urgent as the ticket.
KNOWN = AnnouncedTopic("medium")


def summary(notifications: list[Notification]) -> list[str]:
    return [
        f"{each.event.removeprefix('ticket.')} {each.role} {each.channel} {each.recipient}" for each in notifications
    ]


def triage(ticket: TicketState, agents: list[Agent], *subscriptions: Subscription) -> Decision:
    [decision] = decide_triage([ticket], agents, NotificationSettings(subscriptions), TEAM)
    return decision


REQUESTER = "classified requester email ada@example.com"
TRIAGE = {
    "an agent fits": (TICKET, [ANN], "ann", ["classified agent in_app ann", REQUESTER]),
    "an urgent ticket": (
        replace(TICKET, priority="high"),
        [ANN],
        "ann",
        ["classified agent in_app ann", "classified agent email ann@example.com", REQUESTER],
    ),
    "no agent fits": (
        replace(TICKET, category="Other"),
        [ANN],
        None,
        ["classified team email desk@example.com", REQUESTER],
    ),
    "a ticket that is assigned already": (
        replace(TICKET, assignee="ben"),
        [ANN, BEN],
        "ben",
        ["classified agent in_app ben", REQUESTER],
    ),
    "an assignee who is no agent": (
        replace(TICKET, assignee="eve"),
        [ANN],
        "eve",
        ["classified agent in_app eve", REQUESTER],
    ),
    "a duplicate": (replace(TICKET, original=KNOWN), [ANN], None, [REQUESTER]),
    "a duplicate with an assignee": (replace(TICKET, original=KNOWN, assignee="ann"), [ANN], "ann", [REQUESTER]),
    "a ticket of an incident": (replace(TICKET, incident=KNOWN), [ANN], None, [REQUESTER]),
    "a ticket of an incident with an assignee": (
        replace(TICKET, incident=KNOWN, assignee="ann"),
        [ANN],
        "ann",
        ["classified agent in_app ann", REQUESTER],
    ),
    "a reclassified ticket": (
        replace(TICKET, notified_version=2, assignee="ann"),
        [ANN],
        "ann",
        ["reclassified agent in_app ann", "reclassified requester email ada@example.com"],
    ),
    "a version that was announced": (replace(TICKET, notified_version=3), [ANN], None, []),
    "a ticket that is more urgent than the tickets of its incident": (
        replace(TICKET, incident=KNOWN, priority="high"),
        [ANN],
        "ann",
        ["classified agent in_app ann", "classified agent email ann@example.com", REQUESTER],
    ),
    "a duplicate that is more urgent than its original": (
        replace(TICKET, original=KNOWN, priority="critical"),
        [],
        None,
        ["classified team email desk@example.com", REQUESTER],
    ),
    "a duplicate of a ticket without a verdict": (
        replace(TICKET, original=AnnouncedTopic(""), priority="low"),
        [],
        None,
        ["classified team email desk@example.com", REQUESTER],
    ),
    "an urgent ticket of an incident that is as urgent": (
        replace(TICKET, incident=AnnouncedTopic("critical", "ben"), priority="critical"),
        [ANN, BEN],
        None,
        ["classified agent in_app ben", REQUESTER],
    ),
    "an urgent ticket of an incident whose assignee is away": (
        replace(TICKET, incident=AnnouncedTopic("critical", "ben"), priority="high"),
        [ANN, replace(BEN, available=False)],
        None,
        ["classified team email desk@example.com", REQUESTER],
    ),
    "a ticket of an incident that became urgent": (
        replace(TICKET, incident=AnnouncedTopic("critical", "ben"), priority="critical", notified_version=2),
        [ANN],
        "ann",
        [
            "reclassified agent in_app ann",
            "reclassified agent email ann@example.com",
            "reclassified requester email ada@example.com",
        ],
    ),
    "an urgent ticket whose only agent is away": (
        replace(TICKET, priority="critical"),
        [replace(ANN, available=False)],
        "ann",
        [
            "classified agent in_app ann",
            "classified agent email ann@example.com",
            "classified team email desk@example.com",
            REQUESTER,
        ],
    ),
    "nobody to notify": (
        replace(TICKET, requester="", original=KNOWN),
        [],
        None,
        ["classified team email desk@example.com"],
    ),
}


@pytest.mark.parametrize(("ticket", "agents", "assignee", "expected"), TRIAGE.values(), ids=TRIAGE)
def test_triage_decision(ticket: TicketState, agents: list[Agent], assignee: str | None, expected: list[str]):
    decision = triage(ticket, agents)

    assert (decision.assignee.name if decision.assignee else None) == assignee
    assert summary(decision.notifications) == expected


SUBSCRIBED = {
    "the first triage": (TICKET, ["classified", "received", "assigned"]),
    "an uncertain verdict": (
        replace(TICKET, needs_review=True),
        ["classified", "received", "assigned", "needs_review"],
    ),
    "an assigned ticket": (replace(TICKET, assignee="ann"), ["classified", "received"]),
    "a reclassified ticket": (replace(TICKET, assignee="ann", notified_version=1), ["reclassified"]),
    "a duplicate": (replace(TICKET, original=KNOWN), []),
}


@pytest.mark.parametrize(("ticket", "events"), SUBSCRIBED.values(), ids=SUBSCRIBED)
def test_subscribers_of_triage_events(ticket: TicketState, events: list[str]):
    decision = triage(ticket, [ANN], Subscription("manager", "in_app"))

    to_manager = [each for each in decision.notifications if each.recipient == "manager"]
    assert [each.event for each in to_manager] == [f"ticket.{event}" for event in events]


def test_a_silent_ticket_is_assigned_and_notifies_in_app_only():
    ticket = replace(TICKET, priority="critical", needs_review=True, silent=True)
    everything = (Subscription("lead@example.com", "email"), Subscription("ops", "webhook"))
    for version in (0, 2):
        decision = triage(replace(ticket, notified_version=version), [ANN], *everything)

        assert decision.assignee == ANN
        assert {each.channel for each in decision.notifications} == {"in_app"}
    assert summary(triage(ticket, [], *everything).notifications) == ["classified team in_app service-desk"]
    assert triage(replace(ticket, priority="medium"), [], *everything).notifications == []


def test_a_webhook_subscriber_is_notified_of_duplicates_too():
    decision = triage(replace(TICKET, original=KNOWN), [], Subscription("crm", "webhook", "ticket.classified"))

    assert "classified subscriber webhook crm" in summary(decision.notifications)


def test_triage_events_have_versions_distinct_from_events_raised_by_people():
    decision = triage(TICKET, [ANN], Subscription("manager", "in_app"))
    by_person = decide_event(
        TICKET, "ticket.assigned", "3", [ANN], NotificationSettings((Subscription("manager", "in_app"),)), TEAM
    )

    keys = [each.dedupe_key for each in decision.notifications if each.recipient == "manager"]
    assert keys == [
        "17:ticket.classified:3:in_app:manager",
        "17:ticket.received:3-triage:in_app:manager",
        "17:ticket.assigned:3-triage:in_app:manager",
    ]
    assert [each.dedupe_key for each in by_person if each.recipient == "manager"] == [
        "17:ticket.assigned:3:in_app:manager"
    ]


def test_a_ticket_of_a_list_notifies_the_agent_and_sends_its_requester_no_automatic_answer():
    ticket = replace(TICKET, no_auto_reply=True)

    assert summary(triage(ticket, [ANN]).notifications) == ["classified agent in_app ann"]
    assert summary(triage(ticket, []).notifications) == ["classified team email desk@example.com"]
    assert triage(replace(ticket, original=KNOWN), [ANN]).notifications == []
    for event in ("ticket.resolved", "ticket.commented"):  # by a person
        found = summary(decide_event(ticket, event, "1", [ANN], NONE, TEAM))
        assert any("requester email ada@example.com" in each for each in found)


def test_an_assignment_counts_for_the_next_ticket_of_the_batch():
    tickets = [replace(TICKET, id=number) for number in range(4)]
    decisions = decide_triage(tickets, [ANN, BEN], NONE, TEAM)

    assert [each.assignee.name for each in decisions if each.assignee] == ["ann", "ben", "ann", "ben"]


EVENT = {
    "an escalation": ("ticket.escalated", TICKET, ["team email desk@example.com", "requester email ada@example.com"]),
    "an escalation of a duplicate": (
        "ticket.escalated",
        replace(TICKET, original=KNOWN),
        ["team email desk@example.com", "requester email ada@example.com"],
    ),
    "an escalation in an incident": (
        "ticket.escalated",
        replace(TICKET, incident=KNOWN),
        ["team email desk@example.com", "requester email ada@example.com"],
    ),
    "a warning of a duplicate": (
        "ticket.warned",
        replace(TICKET, original=KNOWN, assignee="ann"),
        ["team email desk@example.com"],
    ),
    "an event for subscribers only": ("ticket.received", TICKET, []),
    "a warning of an assigned ticket": ("ticket.warned", replace(TICKET, assignee="ann"), ["agent in_app ann"]),
    "a warning of an unassigned ticket": ("ticket.warned", TICKET, ["team email desk@example.com"]),
    "a duplicate that is reopened": (
        "ticket.reopened",
        replace(TICKET, original=KNOWN, assignee="ann"),
        ["agent in_app ann"],
    ),
    "the assignment of a duplicate": (
        "ticket.assigned",
        replace(TICKET, original=KNOWN, assignee="ann"),
        ["agent in_app ann"],
    ),
    "a dead letter of a duplicate": (
        "ticket.dead_lettered",
        replace(TICKET, original=KNOWN),
        ["team email desk@example.com"],
    ),
}


@pytest.mark.parametrize(("event", "ticket", "expected"), EVENT.values(), ids=EVENT)
def test_event_decision(event: str, ticket: TicketState, expected: list[str]):
    notifications = decide_event(ticket, event, "1", [ANN, BEN], NONE, TEAM)

    assert [each.partition(" ")[2] for each in summary(notifications)] == expected


def test_roles_replace_the_audience_of_an_event():
    notifications = decide_event(TICKET, "ticket.commented", "1", [ANN], NONE, TEAM, roles=["requester"])

    assert [each.role for each in notifications] == ["requester"]


@pytest.mark.parametrize(("field", "value"), [("team", "day"), ("category", "network"), ("department", "sales")])
def test_a_subscription_matches_case_insensitively(field: str, value: str):
    settings = NotificationSettings((replace(Subscription("manager", "in_app"), **{field: value}),))
    notifications = decide_event(replace(TICKET, assignee="ann"), "ticket.warned", "1", [ANN], settings, TEAM)

    assert [each.recipient for each in notifications] == ["ann", "manager"]


def test_a_recipient_is_notified_once_in_the_first_role():
    settings = NotificationSettings((Subscription("ADA@example.com", "email"),))
    notifications = decide_event(TICKET, "ticket.resolved", "1", [], settings, TEAM)

    assert summary(notifications) == ["resolved requester email ada@example.com"]


@pytest.mark.parametrize(("preferred", "expected"), [("en", "en"), ("", "de")])
def test_the_preferred_language_replaces_the_language_of_the_ticket(preferred: str, expected: str):
    settings = NotificationSettings(preferences={"ada@example.com": Preference(language=preferred)})
    [notification] = decide_event(TICKET, "ticket.resolved", "1", [], settings, TEAM)

    assert notification.language == expected


@pytest.mark.parametrize(("name", "expected"), [(None, None), ("", None), ("ann", ANN), ("eve", Agent("eve"))])
def test_the_assignee_is_found_by_name(name: str | None, expected: Agent | None):
    assert find_agent(name, [ANN, BEN]) == expected


def test_a_proposal_notifies_the_team_the_assignees_of_its_tickets_and_subscribers():
    settings = NotificationSettings(
        (
            Subscription("lead", "in_app", "incident.proposed"),
            Subscription("ops", "webhook"),
            Subscription("sap", "in_app", category="SAP"),
            Subscription("boss", "in_app", priority="critical"),
        )
    )
    proposal = IncidentState(3, "Network", "high", "de", ("ann",))

    notifications = decide_proposal(proposal, settings, TEAM)

    assert [(each.role, each.channel, each.recipient) for each in notifications] == [
        ("team", "email", TEAM),
        ("agent", "in_app", "ann"),
        ("subscriber", "in_app", "lead"),
        ("subscriber", "webhook", "ops"),
    ]
    assert {(each.event, each.ticket_id, each.priority) for each in notifications} == {
        ("incident.proposed", None, "high")
    }
    assert notifications[0].dedupe_key == f"incident-3:proposed:email:{TEAM}"
