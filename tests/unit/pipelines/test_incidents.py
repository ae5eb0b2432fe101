"""A burst of similar tickets becomes one proposal, once; what a person decided about it holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, text, update

from actors import analysis
from actors.events import announce_event
from aura.desk.incidents import accept, dismiss
from aura.desk.ticket_actions import correct
from aura.mail import ingest_mail
from aura.settings import get_settings
from db import incidents, reading, tickets, transaction
from db.models import Agent, Incident, Notification, Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines.incidents import Group, _grouped, propose_incidents
from pipelines.scheduled_jobs import run_now, schedule
from pipelines.triage import triage
from tests.embedded import Hand
from tests.services import wait_until

BURST = [
    "VPN down", "VPN is not working!!!", "Cannot connect to VPN since 9", "VPN geht nicht", "Kein VPN möglich",
    "VPN connection drops all the time",
]  # fmt: skip
OTHERS = [
    "Laptop does not boot", "New laptop for Tom", "Laptop keyboard is sticky", "Laptop screen flickers", "My laptop is slow",
    "Outlook calendar is empty", "Printer jams", "Password reset", "Badge does not open the gate", "SAP order 4711 is wrong",
]  # fmt: skip


def report(titles: Sequence[str], *, who: str = "p{}@example.com", seconds: float = 0, **values: Any) -> list[int]:
    """Create a ticket of each title by different people, so many seconds ago."""
    source = values.pop("source", "test")
    submissions = [
        (NewTicket(title=title, requester=who.format(f"{title}-{n}"), **values), {}) for n, title in enumerate(titles)
    ]
    with transaction() as session:
        new = tickets.create(session, source, submissions)
        session.execute(update(Ticket).where(Ticket.id.in_(new)).values(created_at=from_now(-seconds)))
    return new


def proposed() -> list[Incident]:
    with reading() as session:
        return list(session.scalars(select(Incident).order_by(Incident.id)))


def members(number: int) -> list[int]:
    with reading() as session:
        return [each.id for each in incidents.tickets_of(session, number)]


# -- the proposal ---------------------------------------------------------------------------------------------------------


def test_a_burst_is_proposed_once(database: str):
    others = report(OTHERS)
    burst = report(BURST)

    assert [propose_incidents() for _ in range(3)] == [1, 0, 0]

    [incident] = proposed()
    assert members(incident.id) == burst
    assert not set(burst) & set(others)
    assert (incident.state, incident.parent_id) == ("proposed", None)
    assert incident.title in BURST


@pytest.mark.integration
def test_two_concurrent_sweeps_propose_one_incident(postgres: str):
    report(BURST)
    found: list[int] = []
    second = threading.Thread(target=lambda: found.append(propose_incidents()))

    with transaction() as session:
        # Given a sweep that is not committed yet, When another one begins, Then it waits
        assert propose_incidents() == 1
        second.start()
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        wait_until(lambda: session.scalar(waiting), 10, "the second sweep does not wait")
    second.join(30)

    # And finds nothing left to propose
    assert found == [0]
    assert len(proposed()) == 1


def test_a_ticket_that_belongs_to_an_incident_stays_there(database: str):
    burst = report(BURST)
    propose_incidents()

    with transaction() as session:
        other = incidents.propose(session, "Another matter", "Other", incidents.recent_tickets(session, 15))

    assert members(1) == burst
    assert members(other) == []


def test_an_incident_grows_with_new_tickets_also_when_accepted(database: str):
    burst = report(BURST[:5])
    propose_incidents()
    [incident] = proposed()

    burst += report(["VPN is dead"])
    assert propose_incidents() == 1
    assert members(incident.id) == burst

    accept(incident.id)
    burst += report(["Das VPN ist weg"])
    assert propose_incidents() == 1
    assert members(incident.id) == burst
    assert len(proposed()) == 1
    assert proposed()[0].last_ticket_at > incident.last_ticket_at


@pytest.mark.parametrize(
    "why",
    ["too few", "one person", "different matters", "long ago", "resolved", "from a file", "as usual"],
)
def test_tickets_that_are_no_burst_are_not_proposed(database: str, why: str):
    match why:
        case "too few":
            report(BURST[:4])
        case "one person":
            report(BURST, who="ada@example.com")
        case "different matters":
            report(OTHERS)
        case "long ago":
            report(BURST, seconds=16 * 60)
        case "resolved":
            report(BURST)
            with transaction() as session:
                session.execute(update(Ticket).values(status="resolved"))
        case "from a file":
            report(BURST, source="import")
            report(BURST, source="import:zendesk")
        case "as usual":
            for quarters in range(1, 5):
                report(["VPN drops again"] * 5, who=f"{quarters}{{}}", seconds=quarters * 900 + 60)
            report(BURST)

    assert propose_incidents() == 0
    assert proposed() == []


def test_a_burst_far_above_the_usual_number_is_proposed(database: str):
    report(["VPN drops again"], seconds=3600)
    report(OTHERS, seconds=3000)
    report(BURST)

    assert propose_incidents() == 1


def test_the_settings_define_number_and_period_of_a_burst(database: str, configure: Callable[..., Any]):
    configure(AURA_INCIDENT_TICKETS="3", AURA_INCIDENT_MINUTES="30")
    report(BURST[:3], seconds=20 * 60)

    assert propose_incidents() == 1


def test_tickets_with_empty_titles_are_grouped_by_description(database: str):
    for n in range(5):
        report(["URGENT!!!"], who=f"{n}{{}}", description="The internet is gone.\nPlease hurry.")

    assert propose_incidents() == 1
    assert "internet" in proposed()[0].title


def test_the_title_of_a_proposal_is_masked(database: str):
    for n in range(5):
        report(["VPN of ada.lovelace@example.com down"], who=f"{n}{{}}")

    propose_incidents()
    assert proposed()[0].title == "VPN of [email 1] down"


# -- cost -------------------------------------------------------------------------------------------------------------------


def made_up(number: int) -> list[incidents.RecentTicket]:
    """Return tickets that share words in many ways: the worst that can be."""
    words = [
        "vpn",
        "sap",
        "mail",
        "wlan",
        "dns",
        "erp",
        "crm",
        "file",
        "print",
        "scan",
        "badge",
        "gate",
        "phone",
        "voip",
    ]
    now = datetime.now(UTC)
    return [
        incidents.RecentTicket(
            n, " ".join(words[(n * step + step) % len(words)] for step in range(1, 8)) + f" x{n % 97}y", "", str(n), "en",
            None, None, now, True, None,
        )
        for n in range(number)
    ]  # fmt: skip


def test_the_time_of_a_sweep_is_linear_in_the_tickets():
    def seconds(number: int) -> float:
        pool = made_up(number)
        start = time.process_time()
        _grouped(pool)
        return time.process_time() - start

    small, large = (min(seconds(number) for _ in range(3)) for number in (375, 3000))
    assert large < 24 * small


def test_the_similarity_of_a_group_is_the_average_of_its_members():
    group = Group()
    assert group.similarity(["vpn"]) == 0
    for words in (["vpn"], ["vpn", "connect"]):
        group.add(made_up(1)[0], words)

    assert group.similarity(["vpn"]) == 1
    assert group.similarity(["connect"]) == 0.5
    assert group.similarity([]) == group.similarity(["printer"]) == 0


# -- one matter instead of many pages -----------------------------------------------------------------------------------


def roles(ticket: int) -> set[str]:
    with reading() as session:
        return set(session.scalars(select(Notification.role).where(Notification.ticket_id == ticket)))


PORTAL = "Payroll portal shows error 503"


@pytest.fixture
def a_proposal(database: str, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tickets of an incident that was proposed a moment ago."""
    monkeypatch.setattr(analysis, "active_incidents", lambda session: incidents.active_incidents(session, 15))
    burst = report([PORTAL] * 6)
    triage.send_many(burst)
    hand.run()
    assert all("team" in roles(each) for each in burst), "nobody knows yet that they are one matter"
    assert propose_incidents() == 1
    return burst


def with_priority(titles: Sequence[str], priority: str, **values: Any) -> list[int]:
    """Create tickets whose priority a person set, and start their triage."""
    new = report(titles, **values)
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id.in_(new)).values(priority=priority, priority_by="human"))
        triage.send_many(new)
    return new


def test_a_ticket_that_joins_a_proposal_notifies_the_desk_as_any_other(a_proposal: list[int], hand: Hand):
    [late] = report([f"The {PORTAL} again"], who="late@example.com")
    triage.send(late)
    hand.run()

    assert roles(late) == {"requester", "team"}
    [incident] = proposed()
    assert members(incident.id) == [*a_proposal, late]


def test_an_accepted_incident_covers_tickets_that_are_not_more_urgent(database: str, hand: Hand, monkeypatch: Any):
    monkeypatch.setattr(analysis, "active_incidents", lambda session: incidents.active_incidents(session, 15))
    with_priority([PORTAL] * 6, "medium")
    hand.run()
    propose_incidents()
    accept(1)
    hand.run()

    [low] = with_priority([f"The {PORTAL} again"], "low", who="low@example.com")
    [equal] = with_priority([f"The {PORTAL} again"], "medium", who="equal@example.com")
    [urgent] = with_priority([f"The {PORTAL} again"], "high", who="urgent@example.com")
    [other] = with_priority(["Payroll question about my bonus"], "low", who="other@example.com")
    hand.run()

    assert roles(low) == roles(equal) == {"requester"}
    assert roles(urgent) == roles(other) == {"requester", "team"}
    assert {low, equal, urgent} < set(members(1))
    assert proposed()[0].priority == "medium"


def test_a_raised_priority_and_an_escalation_notify_the_desk_of_an_accepted_incident(
    database: str, hand: Hand, monkeypatch: Any
):
    monkeypatch.setattr(analysis, "active_incidents", lambda session: incidents.active_incidents(session, 15))
    with_priority([PORTAL] * 6, "high")
    hand.run()
    propose_incidents()
    accept(1)
    [raised] = with_priority([f"The {PORTAL} again"], "low", who="raised@example.com")
    [escalated] = with_priority([f"The {PORTAL} again"], "low", who="escalated@example.com")
    hand.run()
    assert roles(raised) == roles(escalated) == {"requester"}

    correct(raised, "nora", priority="high")
    with transaction() as session:
        announce_event(session, escalated, "ticket.escalated", 1)
    hand.run()

    assert "team" in roles(raised)
    assert "team" in roles(escalated)


def test_an_incident_that_an_earlier_version_accepted_covers_no_ticket(database: str, hand: Hand, monkeypatch: Any):
    monkeypatch.setattr(analysis, "active_incidents", lambda session: incidents.active_incidents(session, 15))
    report([PORTAL] * 6)
    propose_incidents()
    with transaction() as session:
        session.execute(update(Incident).values(state="accepted"))

    [late] = with_priority([PORTAL], "low", who="late@example.com")
    hand.run()

    assert roles(late) == {"requester", "team"}


def of_proposals() -> list[Notification]:
    """Return the notifications of proposed incidents."""
    with reading() as session:
        found = select(Notification).where(Notification.event == "incident.proposed").order_by(Notification.recipient)
        return list(session.scalars(found))


# -- an attack ------------------------------------------------------------------------------------------------------------


def sweep() -> int:
    """Run the scheduled job that the scheduler runs each minute."""
    [job] = [each for each in schedule() if each.name == "incidents"]
    with transaction() as session:
        return run_now(session, job)


def mail(sender: str, subject: str, text: str) -> int:
    raw = f"From: {sender}\r\nTo: desk@example.com\r\nMessage-ID: <{sender}>\r\nSubject: {subject}\r\n\r\n{text}\r\n"
    number = ingest_mail(raw.encode()).ticket_id
    assert number is not None
    return number


@pytest.mark.parametrize("decision", ["none", "accept", "dismiss"])
@pytest.mark.parametrize("staffed", [True, False])
def test_five_mails_of_strangers_keep_no_critical_ticket_from_the_desk(
    sqlite: str, hand: Hand, monkeypatch: Any, decision: str, staffed: bool
):
    # Given five harmless mails of strangers with an alarming subject, which become an incident
    monkeypatch.setattr(analysis, "active_incidents", lambda session: incidents.active_incidents(session, 15))
    if staffed:
        with transaction() as session:
            skills = list(get_settings().categories)
            session.add(Agent(name="ann", email="ann@example.com", skills=skills, capacity=50))
    question = "Where do I find the training slides? No hurry, low priority."
    for number in range(5):
        ticket = mail(f"stranger{number}@elsewhere.example", "Ransomware: all files encrypted", question)
        correct(ticket, "the engine", priority="low")
    hand.run()
    assert sweep() == 1
    if decision != "none":
        {"accept": accept, "dismiss": dismiss}[decision](1)
    hand.run()

    # When a real one arrives
    real = mail(
        "cfo@corp.example", "All files encrypted, ransomware note on every screen", "Nobody here can work. Help!"
    )
    hand.run()
    sweep()
    hand.run()

    # Then the desk is notified of it, at once
    with reading() as session:
        ticket = session.get_one(Ticket, real)
        notified = session.scalars(select(Notification).where(Notification.ticket_id == real)).all()
    assert ticket.priority in ("high", "critical")
    assert ticket.incident_id == (None if decision == "dismiss" else 1)
    desk = [each for each in notified if each.role in ("agent", "team")]
    assert desk
    assert {each.state for each in desk} == {"sent"}
    assert ticket.assignee == ("ann" if staffed else None)
    # And of the proposal, once
    assert len([each for each in of_proposals() if each.role == "team"]) == 1
