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
from aura.desk.incidents import accept
from db import incidents, reading, tickets, transaction
from db.models import Incident, Notification, Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines.incidents import Group, _grouped, propose_incidents
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


def test_a_ticket_that_joins_an_incident_notifies_its_requester_only(a_proposal: list[int], hand: Hand):
    [late, other] = report([f"The {PORTAL} again", "Payroll question about my bonus"], who="late@example.com")
    triage.send_many([late, other])
    hand.run()

    assert roles(late) == {"requester"}
    assert roles(other) == {"requester", "team"}
    [incident] = proposed()
    assert members(incident.id) == [*a_proposal, late]
