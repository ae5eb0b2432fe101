"""Actions of agents on a ticket: one transaction each, serialized, with notifications and an audit trail."""

from __future__ import annotations

import getpass
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from email.utils import parseaddr
from typing import Any

import pytest
from sqlalchemy import select, update

from aura.desk.ticket_actions import WAYS, NotAllowed, assign, comment, correct, reopen, resolve, set_status
from aura.mail import ingest_mail
from aura.notifications import EVENTS
from aura.settings import STATUSES
from db import audit, reading, reanalysis, ticket_actions, tickets, transaction
from db.corrections import UnknownTicket
from db.models import Agent, Comment, Notification, Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines.reanalysis import reanalyze_changed
from pipelines.triage import triage
from tests.commands import Run
from tests.embedded import Hand, crash_before_commit
from tests.unit.mail.helpers import answering

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def staff(database: str) -> None:
    skills = ["Hardware", "Software", "Network", "Email", "Access", "Security", "Other"]
    with transaction() as session:
        session.add(Agent(name="Ann Lee", email="ann@example.com", skills=skills))
        session.add(Agent(name="Ben", email="ben@example.com", skills=[]))


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, dict[str, Any]]]:
    """The recorded outbox events, as (event, ticket, data)."""
    events: list[tuple[str, int, dict[str, Any]]] = []
    monkeypatch.setattr("db.outbox.record", lambda _session, rows: events.extend(rows))
    return events


@pytest.fixture
def ticket(hand: Hand) -> int:
    with transaction() as session:
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester="ada@example.com"), {})])
        triage.send(number)
    hand.run()
    return number


def ticket_of(number: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, number)


def recipients(event: str) -> list[tuple[str, str]]:
    with reading() as session:
        found = session.execute(select(Notification.role, Notification.recipient).where(Notification.event == event))
        return sorted(map(tuple, found))


def done() -> list[tuple[str, str, str]]:
    with reading() as session:
        return [(row.author, row.text, row.source) for row in session.scalars(select(Comment).order_by(Comment.id))]


# -- status -----------------------------------------------------------------------------------------------------------


def test_a_status_follows_the_allowed_ways(ticket: int) -> None:
    for status in ("in_progress", "pending", "closed"):
        assert set_status(ticket, status, "nora").status == status
    with pytest.raises(NotAllowed, match=f"ticket {ticket} is closed and can become open, not pending"):
        set_status(ticket, "pending")
    with pytest.raises(NotAllowed, match=f"ticket {ticket} is closed already"):
        set_status(ticket, "Closed")
    with pytest.raises(
        NotAllowed, match="there is no status 'done'; there are open, in_progress, pending, resolved, closed"
    ):
        set_status(ticket, "done")
    assert done() == [
        ("nora", "open -> in_progress", "action"),
        ("nora", "in_progress -> pending", "action"),
        ("nora", "pending -> closed", "action"),
    ]


def test_every_status_has_followers() -> None:
    assert set(WAYS) == set(STATUSES)
    assert all(set(ways) <= set(STATUSES) - {status} for status, ways in WAYS.items())


def test_each_resolution_notifies_the_requester(hand: Hand, ticket: int, happened: list[Any]) -> None:
    resolve(ticket, "Restarted it", "nora")
    hand.run()
    assert recipients("ticket.resolved") == [("requester", "ada@example.com")]
    with pytest.raises(NotAllowed, match="is resolved already"):
        resolve(ticket, "Restarted it again", "ben")
    assert ticket_of(ticket).resolution == "Restarted it"

    reopen(ticket, "nora", "It drops again")
    hand.run()
    assert ("agent", "Ann Lee") in recipients("ticket.reopened")
    found = ticket_of(ticket)
    assert (found.status, found.resolved_at) == ("open", None)
    set_status(ticket, "resolved")
    hand.run()
    assert recipients("ticket.resolved") == [("requester", "ada@example.com")] * 2
    assert [
        event for event, _, _ in happened if event in EVENTS and "class" not in event and "notified" not in event
    ] == [
        "ticket.resolved",
        "ticket.commented",
        "ticket.reopened",
        "ticket.resolved",
    ]
    set_status(ticket, "open")
    with pytest.raises(NotAllowed, match=f"ticket {ticket} is open: only a resolved or closed"):
        reopen(ticket)


@pytest.mark.parametrize("number", [-1, 0, 999_999, 2**70])
def test_an_unknown_ticket_is_not_found(number: int) -> None:
    acts: list[Callable[[], Any]] = [
        lambda: set_status(number, "pending"),
        lambda: assign(number, "Ben"),
        lambda: comment(number, "nora", "x"),
        lambda: reopen(number),
        lambda: resolve(number, "x"),
    ]
    for act in acts:
        with pytest.raises(UnknownTicket, match=f"no ticket {number}"):
            act()
    assert done() == []


def test_of_two_concurrent_resolutions_one_fails(ticket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _two_resolve(ticket, monkeypatch, 0.5) == [f"ticket {ticket} is resolved already"]


def test_without_the_lock_both_resolutions_succeed(database: str, ticket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticket_actions, "_SELECT", _Unlocked(ticket_actions._SELECT))
    one_writer = database.startswith("sqlite")
    assert len(_two_resolve(ticket, monkeypatch, 0.5 if one_writer else 30)) == (1 if one_writer else 0)


class _Unlocked:
    """A query that takes no locks."""

    def __init__(self, query: Any) -> None:
        self.query = query

    def where(self, *by: Any) -> _Unlocked:
        return _Unlocked(self.query.where(*by))

    def with_for_update(self, **_options: Any) -> Any:
        return self.query


def _two_resolve(ticket: int, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """Let two people resolve a ticket at the same time; return the error of each refused action.

    The first one who has read the ticket waits so many seconds until the other one has.
    """
    hold, both = ticket_actions.lock_ticket, threading.Barrier(2)

    def held(session: Any, number: int) -> Any:
        found = hold(session, number)
        with suppress(threading.BrokenBarrierError):
            both.wait(seconds)  # a thread that waits for the lock does not reach this line
        return found

    monkeypatch.setattr(ticket_actions, "lock_ticket", held)
    refused: list[str] = []

    def act() -> None:
        try:
            resolve(ticket, "Restarted it")
        except NotAllowed as error:
            refused.append(str(error))

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return refused


def test_a_crash_before_the_commit_changes_nothing(hand: Hand, ticket: int) -> None:
    with crash_before_commit():
        resolve(ticket, "Restarted it")
    hand.run()
    assert (ticket_of(ticket).status, done(), recipients("ticket.resolved")) == ("open", [], [])


# -- assignee ---------------------------------------------------------------------------------------------------------


def test_an_assignment_notifies_the_agent_and_is_not_changed_by_routing(hand: Hand, ticket: int) -> None:
    assert ticket_of(ticket).assignee == "Ann Lee"
    assert assign(ticket, "BEN@example.com", "nora") == "Ben"
    hand.run()
    assert set(recipients("ticket.assigned")) == {("agent", "Ben")}
    assert assign(ticket, "ben") == "Ben"
    correct(ticket, "nora", priority="low", category="Hardware")
    hand.run()
    assert ticket_of(ticket).assignee == "Ben"
    assert len(recipients("ticket.assigned")) == 1, "it was so before"
    assert done() == [("nora", "assigned to Ben (before: Ann Lee)", "action")]
    with pytest.raises(NotAllowed, match="there is no agent 'Zoe'"):
        assign(ticket, "Zoe")


def test_a_ticket_assigned_to_nobody_stays_unassigned(hand: Hand, ticket: int) -> None:
    assert assign(ticket, None, "nora") == ""
    hand.run()
    assert recipients("ticket.assigned") == [("team", "service-desk@localhost")]
    before = recipients("ticket.reclassified")
    correct(ticket, "nora", priority="critical", category="Hardware")
    hand.run()
    assert ticket_of(ticket).assignee == ""
    assert before == [] and "Ann Lee" not in dict(recipients("ticket.reclassified")).values()


# -- comments ---------------------------------------------------------------------------------------------------------


def test_a_comment_is_reanalyzed_and_an_action_is_not(hand: Hand, ticket: int, happened: list[Any]) -> None:
    set_status(ticket, "in_progress", "nora")
    set_status(ticket, "open", "nora")
    comment(ticket, "nora", "An internal note, which no engine reads", "web")
    number = comment(ticket, "nora", "  The docking station is broken \0", "web", "public").number
    assert reanalyze_changed() == 1
    with reading() as session:
        assert reanalysis.latest_comments(session, [ticket], 5) == {ticket: ["The docking station is broken"]}
    assert (
        "ticket.commented",
        ticket,
        {"comment": number, "by": "nora", "source": "web", "visibility": "public"},
    ) in happened


def test_a_comment_keeps_no_escape_sequence_and_no_reversed_text(ticket: int) -> None:
    comment(ticket, "nora", "one\x1b[31m\n\ttwo \u202eevil\u202c\x9b \u200b\u2066x\u2069 👩\u200d💻 می\u200cخواهم")
    with reading() as session:
        [stored] = session.scalars(select(Comment.text).where(Comment.ticket_id == ticket))
    assert stored == "one [31m\n\ttwo evil  x 👩\u200d💻 می\u200cخواهم"


@pytest.mark.parametrize("text", ["", "  \n", "\u202e\u2069\x1b", "x" * 20_001])
def test_an_empty_or_too_long_comment_is_refused(ticket: int, text: str) -> None:
    with pytest.raises(NotAllowed, match="a comment has 1 to 20,000 characters"):
        comment(ticket, "nora", text)
    assert done() == []


def test_a_comment_of_the_requester_opens_a_pending_ticket(ticket: int) -> None:
    set_status(ticket, "pending")
    comment(ticket, "nora", "Did it help?")
    assert ticket_of(ticket).status == "pending"
    comment(ticket, "Ada@example.com", "No")
    assert ticket_of(ticket).status == "open"


def write(sender: str, text: str, number: int) -> bytes:
    answered = answering(number, parseaddr(sender)[1])["In_Reply_To"]
    headers = {"From": sender, "In-Reply-To": answered, "Message-ID": f"<{text.splitlines()[-1]}@example.com>"}
    return "".join(f"{name}: {value}\n" for name, value in headers.items()).encode() + f"\n{text}".encode()


def test_a_comment_notifies_the_other_side_once(hand: Hand, ticket: int) -> None:
    ingest_mail(write("ada@example.com", "Still-broken", ticket))
    ingest_mail(write("ada@example.com", "Still-broken", ticket))
    hand.run()
    assert recipients("ticket.commented") == [("agent", "Ann Lee")]

    comment(ticket, "Ann Lee", "Try the <b>other</b> cable", "web", "public")
    ingest_mail(write("ann@example.com", "#public\nOr-the-dock", ticket))
    hand.run()
    assert recipients("ticket.commented") == [("agent", "Ann Lee"), *[("requester", "ada@example.com")] * 2]
    with reading() as session:
        bodies = session.scalars(select(Notification.body).where(Notification.role == "requester"))
        assert [body for body in bodies if "> Try the <b>other</b> cable" in body]

    assign(ticket, None)
    comment(ticket, "ada@example.com", "Hello?")
    hand.run()
    assert ("team", "service-desk@localhost") in recipients("ticket.commented")


@pytest.mark.parametrize("status", ["pending", "resolved"])
def test_a_mail_of_the_requester_resumes_the_target_and_one_of_an_agent_does_not(
    hand: Hand, ticket: int, status: str, configure: Callable[..., Any]
) -> None:
    targets = dict(configure(AURA_BUSINESS_HOURS="always").sla)
    set_status(ticket, status)
    with transaction() as session:
        session.execute(update(Ticket).values(paused_since=from_now(-3600)))
    ingest_mail(write("ann@example.com", "Did-it-help", ticket))
    assert ticket_of(ticket).status == status

    ingest_mail(write("Ada Lovelace <ada@example.com>", "No", ticket))
    hand.run()

    found = ticket_of(ticket)
    assert (found.status, found.paused_since, found.resolved_at) == ("open", None, None)
    assert found.paused_seconds == pytest.approx(3600, abs=60)
    assert found.due_at is not None
    runs = (found.due_at - found.created_at).total_seconds() - found.paused_seconds
    assert runs == pytest.approx(targets[str(found.priority)], abs=1)
    # one notice for each mail: that it is open again says what was written
    heard = {"pending": "ticket.commented", "resolved": "ticket.reopened"}[status]
    assert recipients(heard).count(("agent", "Ann Lee")) == 1
    assert ("ada@example.com", f"{status} -> open", "action") in done()


# -- commands ---------------------------------------------------------------------------------------------------------


def test_the_commands_record_the_author_in_timeline_and_audit(ticket: int, run: Run) -> None:
    assert run("tickets", "status", ticket, "pending", "--by", "nora").out == (
        f"ticket {ticket}: open -> pending, resolution target paused\n"
    )
    assert f"ticket {ticket}: pending -> open, due 20" in run("tickets", "status", ticket, "open").out
    assert f"ticket {ticket} assigned to Ben" in run("tickets", "assign", ticket, "Ben").out
    assert "aura agents list" in run("tickets", "assign", ticket).err
    assert run("tickets", "assign", ticket, "--nobody", "--format", "json").json() == {"id": ticket, "assignee": ""}
    assert run("tickets", "comment", ticket, "It helped").out.startswith(f"ticket {ticket}: comment ")
    assert "there is no status 'done'; there are open" in run("tickets", "status", ticket, "done").err
    assert run("tickets", "resolve", ticket, "Restarted", "--by", "nora", "--format", "json").json()["id"] == ticket
    assert run("tickets", "reopen", ticket, "Again", "--format", "json").json()["status"] == "open"
    assert run("tickets", "status", 999, "open").code == 1

    shown = run("tickets", "show", ticket, "--format", "json").json()
    entries = [
        (row["kind"], row["author"], row["text"]) for row in shown["timeline"] if row["kind"] in ("action", "comment")
    ]
    assert entries[0] == ("action", "nora", "open -> pending")
    assert ("action", "nora", "open -> resolved: Restarted") in entries
    assert [text for what, _, text in entries if what == "comment"] == ["It helped", "Again"]
    with reading() as session:
        rows = audit.listing(session, subject=f"ticket/{ticket}")
    assert [row["action"].partition(".")[2] for row in rows[::-1]] == [
        *("status", "status", "assign", "assign", "comment", "resolve", "reopen"),
    ]
    assert {row["who"] for row in rows} == {f"cli {getpass.getuser()}@{socket.gethostname()}"}
