"""Who wants to know is told once, at the time they chose; on both databases, and with each protection off once."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

import actors
from actors import digest as folding
from actors import events, notification_settings, notify
from actors.notify import announce_event
from aura.jobs.actor import JobResult
from aura.jobs.process_state import WORKER_ID
from aura.notifications import DIGEST, EVENTS
from aura.notifications.recipients import AUDIENCE
from aura.settings import get_settings
from db import digests, jobs, notifications, preferences, reading, subscriptions, transaction, workers
from db.digests import Changed
from db.jobs import Claimed, Failure, NewJob
from db.models import Agent, Job, Notification, Ticket, Worker
from db.new_tickets import NewTicket
from db.statements import table
from db.tickets import create
from tests.conftest import ROOT
from tests.embedded import Hand, all_jobs, claim, count, crash_before_commit, letters, move, promise

pytestmark = pytest.mark.usefixtures("database")

BOSS = "boss@example.com"
_t = table(Ticket).c


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What people ask for counts at once."""
    monkeypatch.setattr(notification_settings.notification_settings, "_seconds", -1.0)


def ticket(category: str = "Network", priority: str = "medium", **fields: Any) -> int:
    """A ticket that is classified, and that nobody has been told of."""
    with transaction() as session:
        [ticket_id] = create(session, "test", [(NewTicket(title="VPN drops", requester="ada"), {})])
        values = {"category": category, "priority": priority, **fields}
        session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(values))
    return ticket_id


def subscribe(recipient: str = BOSS, channel: str = "email", **conditions: str) -> None:
    row = dict.fromkeys(subscriptions.FIELDS, "") | {"recipient": recipient, "channel": channel, "event": "*"}
    with transaction() as session:
        subscriptions.add(session, [row | conditions])


def prefer(recipient: str = BOSS, **values: str) -> None:
    with transaction() as session:
        preferences.put(session, recipient, values)


def happen(ticket_id: int, event: str = "ticket.warned", version: int | str = 1, note: str = "") -> None:
    with transaction() as session:
        announce_event(session, ticket_id, event, version, note)


def told(recipient: str = BOSS, **wanted: Any) -> list[Notification]:
    """What somebody was told, oldest first."""
    with reading() as session:
        rows = select(Notification).where(Notification.recipient == recipient).order_by(Notification.created_at)
        return list(session.scalars(rows.filter_by(**wanted)))


def states(recipient: str = BOSS) -> Counter[str]:
    return Counter(each.state for each in told(recipient))


def quiet_now(first: int = -1, last: int = 2) -> dict[str, str]:
    """Quiet hours around this moment, in UTC."""
    now = datetime.now(UTC)
    return {
        "timezone": "UTC",
        "quiet_from": f"{now + timedelta(hours=first):%H:%M}",
        "quiet_to": f"{now + timedelta(hours=last):%H:%M}",
    }


def later_today() -> dict[str, str]:
    """A digest that is not due for two hours."""
    return {"timezone": "UTC", "digest": "daily", "digest_at": quiet_now()["quiet_to"]}


def clock_of(moment: datetime | None) -> str:
    assert moment is not None
    return f"{moment:%H:%M}"


def time_passes() -> None:
    """What waits has waited long enough."""
    move(Notification, delayed_until=-1)
    move(Job, due_at=-1)


# -- who is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS)
def test_a_subscriber_hears_of_each_event_once(hand: Hand, event: str):
    subscribe(event=event)
    number = ticket()

    for version in (1, 1, 2):
        happen(number, event, version)
        hand.run()

    assert [each.event for each in told()] == [event, event]
    assert {each.dedupe_key for each in told()} == {f"{number}:{event}:{v}:email:{BOSS}" for v in (1, 2)}
    assert states() == {"sent": 2}


def test_who_subscribed_to_something_else_is_not_told(hand: Hand):
    for number, conditions in enumerate(
        (
            {"event": "ticket.resolved"},
            {"category": "Hardware"},
            {"priority": "high"},
            {"department": "Sales"},
            {"team": "Night"},
        )
    ):
        subscribe(f"no{number}@example.com", **conditions)
    subscribe(priority="low", category="network", department="logistics", team="day", event="ticket.warned")
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com", team="Day", skills=["Network"]))

    happen(ticket(assignee="ann", department="Logistics"))
    hand.run()

    with reading() as session:
        people = set(session.scalars(select(Notification.recipient)))
    assert people == {"ann", BOSS}


def test_a_journey_tells_agent_requester_and_each_subscriber_once(hand: Hand):
    subscribe(event="ticket.received")
    subscribe("news@example.com")
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com", skills=["network"]))
        [number] = create(session, "test", [(NewTicket(title="VPN drops every minute", requester="ada"), {})])
        actors.broker.get_actor("notify").send_with_options(args=(number,))
        session.execute(update(table(Ticket)).values(category="Network", priority="medium", needs_review=True))
    hand.run()

    assert [each.event for each in told("ann")] == ["ticket.classified"]
    assert [each.event for each in told("ada")] == ["ticket.classified"]
    assert [each.event for each in told()] == ["ticket.received"]
    all_events = {"ticket.received", "ticket.classified", "ticket.assigned", "ticket.needs_review"}
    assert {each.event for each in told("news@example.com")} == all_events


def test_a_material_change_is_told_and_a_second_look_without_one_is_not(hand: Hand):
    number = ticket()
    for version in (1, 1, 2):
        with transaction() as session:
            session.execute(update(table(Ticket)).values(version=version))
        actors.broker.get_actor("notify").send(number)
        hand.run()

    assert [each.event for each in told("ada")] == ["ticket.classified", "ticket.reclassified"]


def test_of_a_ticket_that_got_stuck_the_desk_is_told(hand: Hand):
    number = ticket()
    promise(NewJob("classify", str(number)))
    claimed = claim("classify", all_jobs()[-1].id)
    failure = Failure("RuntimeError", "boom", "Traceback", "f")
    with transaction() as session:
        jobs.dead_letter(session, [(job, failure) for job in claimed])
        events.enqueue_dead_letter_events(session, actors.broker, [(job, "boom") for job in claimed])
    hand.run()

    (letter,) = told("service-desk@localhost")
    assert (letter.event, letter.role, letter.state) == ("ticket.dead_lettered", "team", "sent")
    assert "classify: boom" in letter.body


@pytest.mark.parametrize("event", [event for event, roles in AUDIENCE.items() if roles])
@pytest.mark.parametrize("priority", ["low", "critical"])
def test_nothing_goes_nowhere(hand: Hand, event: str, priority: str):
    with transaction() as session:
        [number] = create(session, "test", [(NewTicket(title="VPN drops", requester=""), {})])
        session.execute(update(table(Ticket)).values(category="Network", priority=priority, requester=""))
    happen(number, event)
    hand.run()

    assert told("service-desk@localhost")


def test_who_is_given_a_duplicate_by_hand_is_told_of_it(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com"))
    first = ticket()
    happen(ticket(duplicate_of=first, assignee="ann"), "ticket.assigned")
    hand.run()

    assert [(each.channel, each.event) for each in told("ann")] == [("in_app", "ticket.assigned")]


def test_a_subscription_that_somebody_wrote_by_hand_breaks_nothing(hand: Hand):
    subscribe("x", "carrier-pigeon")
    subscribe(priority="huge")
    happen(ticket())
    hand.run()

    assert len(told()) == 1
    assert told("x") == []
    assert all_jobs() == letters() == []


# -- once -------------------------------------------------------------------------------------------------------------


def test_a_crash_before_the_commit_tells_nobody_and_the_next_try_tells_once(hand: Hand):
    subscribe()
    happen(ticket())
    [job] = claim("announce", *[job.id for job in all_jobs()])
    [result] = notify.announce.fn([job])
    with crash_before_commit() as session:
        notify.save_announced(session, [JobResult(job, job, result, 5)])
    assert count(Notification) == 0

    with transaction() as session:
        session.execute(update(Job).values(lease=None, worker=None, hinted_at=None, crashes=0))
    hand.run()

    assert states() == {"sent": 1}


def two_workers_announce_the_same() -> None:
    """Both have decided who is told before either has recorded it."""
    subscribe()
    happen(ticket())
    [job] = claim("announce", *[job.id for job in all_jobs()])
    results = [notify.announce.fn([job])[0] for _ in range(2)]

    def save(result: Any) -> None:
        with transaction() as session:
            notify.save_announced(session, [JobResult(job, job, result, 5)])

    at_once(*[lambda result=result: save(result) for result in results])
    assert len(told()) == 1
    assert len([job for job in all_jobs() if job.actor == "email" and job.key == told()[0].id]) == 1


def test_two_workers_that_announce_the_same_tell_once():
    two_workers_announce_the_same()


def test_without_the_dedupe_key_both_tell(monkeypatch: pytest.MonkeyPatch):
    # Mutant: each notification is new, whatever was said before
    write = notifications.write

    def write_anyway(session: Any, rows: list[dict[str, Any]]) -> Any:
        return write(session, [row | {"dedupe_key": uuid.uuid4().hex} for row in rows])

    monkeypatch.setattr(notifications, "write", write_anyway)
    with pytest.raises(AssertionError):
        two_workers_announce_the_same()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same moment, each in its thread. Returns what each returned or raised."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = calls[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


# -- storms -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(configure: Callable[..., Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than three messages a minute to one recipient are a storm, of which no minute ends while a test looks."""
    configure(DATABASE_URL=database, AURA_DIGEST_ABOVE="3")
    monkeypatch.setattr(folding, "_end_of_minute", lambda moment: moment + timedelta(minutes=1))


@pytest.mark.usefixtures("three")
def test_what_exceeds_the_limit_of_a_minute_becomes_one_digest(hand: Hand):
    subscribe()
    numbers = [ticket() for _ in range(10)]
    for number in numbers:
        happen(number)
    hand.run()
    assert states() == {"sent": 3, "delayed": 7}

    time_passes()
    hand.run()

    assert states() == {"sent": 4, "digested": 7}
    (digest,) = told(event=DIGEST)
    assert {each.digest_id for each in told(state="digested")} == {digest.id}
    assert digest.subject == "[Aura] 7 notices about 7 tickets"
    assert all(f"#{each.ticket_id} " in digest.body for each in told(state="digested"))
    assert all_jobs() == []


@pytest.mark.usefixtures("three")
def test_a_storm_is_counted_for_each_recipient_over_all_workers_and_batches(hand: Hand):
    subscribe()
    subscribe("other@example.com", event="ticket.escalated")
    for _ in range(5):
        happen(ticket())
        hand.run()
    happen(ticket(), "ticket.escalated")
    hand.run()

    assert states() == {"sent": 3, "delayed": 3}
    assert states("other@example.com") == {"sent": 1}


@pytest.mark.usefixtures("three")
def test_what_is_critical_passes_a_storm(hand: Hand):
    subscribe()
    for _ in range(6):
        happen(ticket(priority="critical"))
    hand.run()

    assert states() == {"sent": 6}


def test_a_limit_of_nought_folds_nothing(hand: Hand, configure: Callable[..., Any], database: str):
    configure(DATABASE_URL=database, AURA_DIGEST_ABOVE="0")
    subscribe()
    for _ in range(40):
        happen(ticket())
    hand.run()

    assert states() == {"sent": 40}


@pytest.mark.usefixtures("three")
def test_the_inbox_is_no_storm(hand: Hand):
    subscribe("boss", "in_app")
    for _ in range(6):
        happen(ticket())
    hand.run()

    assert states("boss") == {"sent": 6}


def test_a_storm_ends_with_the_minute():
    moment = datetime(2026, 6, 1, 12, 59, 59, 999_999, tzinfo=UTC)
    assert folding._end_of_minute(moment) == datetime(2026, 6, 1, 13, tzinfo=UTC)


# -- quiet hours and digests ------------------------------------------------------------------------------------------


def test_in_quiet_hours_a_notice_waits_for_their_end_and_goes_alone(hand: Hand):
    subscribe()
    quiet = quiet_now()
    prefer(**quiet)
    happen(ticket())
    hand.run()
    (waiting,) = told()
    assert (waiting.state, clock_of(waiting.delayed_until)) == ("delayed", quiet["quiet_to"])

    prefer(quiet_from="", quiet_to="")
    time_passes()
    hand.run()

    assert [(each.id, each.state) for each in told()] == [(waiting.id, "sent")]
    assert all_jobs() == []


@pytest.mark.parametrize(("event", "priority"), [("ticket.warned", "critical"), ("ticket.escalated", "low")])
@pytest.mark.parametrize("more", [{}, {"digest": "daily"}, {"digest": "hourly"}])
def test_what_is_critical_or_escalated_waits_for_nothing(hand: Hand, event: str, priority: str, more: dict[str, str]):
    subscribe()
    prefer(**quiet_now(), **more)
    happen(ticket(priority=priority), event)
    hand.run()

    assert states() == {"sent": 1}


def test_a_digest_speaks_the_language_that_was_chosen_and_names_the_urgent_first(hand: Hand):
    subscribe()
    prefer(**later_today(), language="de")
    low, high = ticket(priority="low"), ticket(priority="high")
    for number in (low, high):
        happen(number)
        happen(number, "ticket.resolved", note="<b>restart</b>")
    hand.run()
    assert states() == {"delayed": 4}

    time_passes()
    hand.run()

    (digest,) = told(event=DIGEST)
    assert digest.subject == "[Aura] 4 Nachrichten zu 2 Tickets"
    assert digest.body.index(f"#{high} ") < digest.body.index(f"#{low} ")
    assert "fast zu spät: 2\n" in digest.body
    assert (digest.data["count"], len(digest.data["notifications"])) == (4, 4)
    assert states() == {"sent": 1, "digested": 4}


def test_a_digest_about_one_ticket_leads_to_it(hand: Hand):
    subscribe()
    prefer(**later_today())
    number = ticket()
    happen(number, version=1)
    happen(number, version=2)
    hand.run()
    time_passes()
    hand.run()

    (digest,) = told(event=DIGEST)
    assert digest.ticket_id == number
    assert f"/tickets/{number}\n" in digest.body


def test_an_agent_is_spared_by_name_and_by_address(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="Ann", email="Ann@Example.com"))
    prefer("ann", **quiet_now())
    happen(ticket(priority="high", assignee="Ann"))
    hand.run()

    assert states("Ann@Example.com") == {"delayed": 1}
    assert states("Ann") == {"sent": 1}  # the inbox makes no noise


GARBAGE = [
    {"timezone": "Mars/Olympus"},
    {"timezone": "../../etc/passwd"},
    {"timezone": "/etc/passwd"},
    {"timezone": "Europe"},
    {"quiet_from": "25:99", "quiet_to": "07:00"},
    {"quiet_from": "22:00"},
    {"quiet_from": "07:00", "quiet_to": "07:00"},
    {"quiet_from": "night", "quiet_to": "day"},
    {"digest": "yearly"},
    {"digest": "daily", "digest_at": "noon"},
    {"language": "tlh"},
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=str)
def test_who_has_garbage_for_preferences_is_told_at_once_like_everybody(
    hand: Hand, garbage: dict[str, str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    subscribe()
    subscribe("other@example.com")
    prefer(**{name: value[:5] if "quiet" in name or name == "digest_at" else value for name, value in garbage.items()})
    happen(ticket())
    hand.run()

    assert states() == states("other@example.com") == {"sent": 1}
    assert "a preference is left out of account" in "".join([*capsys.readouterr(), caplog.text])


def test_preferences_that_became_garbage_while_something_waits_hold_nothing_back(hand: Hand):
    subscribe()
    prefer(**quiet_now())
    for _ in range(2):
        happen(ticket())
    hand.run()
    prefer(quiet_from="??", language="tlh")
    time_passes()
    hand.run()

    assert states() == {"digested": 2, "sent": 1}


# -- preferences that change while something waits --------------------------------------------------------------------


def change(recipient: str = BOSS, **values: str) -> int:
    with transaction() as session:
        preferences.put(session, recipient, values)
        return folding.reschedule(session, recipient)


def test_who_ends_their_quiet_hours_gets_what_waits_at_once(hand: Hand):
    subscribe()
    prefer(**quiet_now())
    for _ in range(3):
        happen(ticket())
    hand.run()
    assert states() == {"delayed": 3}

    assert change(quiet_from="", quiet_to="") == 3
    hand.run()

    assert states() == {"digested": 3, "sent": 1}


def test_whose_quiet_hours_become_longer_waits_longer(hand: Hand):
    subscribe()
    prefer(**quiet_now(last=1))
    happen(ticket())
    hand.run()

    quiet = quiet_now(last=5)
    change(**quiet)
    assert clock_of(told()[0].delayed_until) == quiet["quiet_to"]
    move(Job, due_at=-1)  # when the first quiet hours would have ended
    hand.run()
    assert states() == {"delayed": 1}
    assert [job.actor for job in all_jobs()] == ["digest"]


def test_an_agent_who_changes_by_name_gets_what_waits_for_the_address(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="ÖZGÜR", email="ÖZ@Example.com"))
    prefer("özgür", **quiet_now())
    happen(ticket(priority="high", assignee="ÖZGÜR"))
    hand.run()
    assert states("ÖZ@Example.com") == {"delayed": 1}

    with transaction() as session:
        assert preferences.forget(session, "ÖZGÜR")
        assert folding.reschedule(session, "ÖZGÜR") == 1
    hand.run()
    assert states("ÖZ@Example.com") == {"sent": 1}


def test_what_waits_for_the_end_of_a_storm_is_sent_by_no_change_of_others(hand: Hand):
    subscribe()
    prefer(**quiet_now())
    happen(ticket())
    hand.run()

    assert change("somebody@else.org", language="de") == 0
    hand.run()
    assert states() == {"delayed": 1}


def test_what_comes_late_into_quiet_hours_waits_for_their_end(hand: Hand):
    # Given a notice that no worker was there to send when its time came
    subscribe()
    prefer(**later_today())
    happen(ticket())
    happen(ticket(), "ticket.escalated")  # went at once
    hand.run()
    quiet = quiet_now()
    prefer(**quiet)
    # When a worker comes in the middle of quiet hours
    time_passes()
    hand.run()
    # Then it waits for their end, and is looked after again then
    assert states() == {"delayed": 1, "sent": 1}
    (waiting,) = told(state="delayed")
    assert clock_of(waiting.delayed_until) == quiet["quiet_to"]
    assert [job.actor for job in all_jobs()] == ["digest"]


# -- folding, and what goes wrong on the way --------------------------------------------------------------------------


def wait_for(recipient: str = BOSS, rows: int = 3, number: int | None = None, since: float = 60) -> None:
    """Rows that have waited long enough, as they are when a night is over."""
    number = number or ticket()
    over = datetime.now(UTC) - timedelta(seconds=since)
    new = [
        {
            "id": uuid.uuid4().hex,
            "ticket_id": number,
            "event": "ticket.warned",
            "channel": "email",
            "recipient": recipient,
            "role": "subscriber",
            "dedupe_key": uuid.uuid4().hex,
            "subject": f"Notice {n}",
            "body": "",
            "data": {"title": "VPN drops", "category": "Network", "priority": "low", "language": "en"},
            "state": "delayed",
            "delayed_until": over,
        }
        for n in range(rows)
    ]
    with transaction() as session:
        notifications.write(session, new)


def folded(recipient: str = BOSS) -> JobResult:
    """What a worker has in mind to do for a recipient."""
    job = Claimed(1, "digest", recipient, ["email", recipient], "", (), 3, 1)
    [result] = folding.digest.fn([job])
    return JobResult(job, job, result, 3)


def save(done: JobResult) -> None:
    with transaction() as session:
        folding.save_digested(session, [done])


def two_workers_fold_the_same() -> None:
    """Each has looked before the other has recorded anything, and one of them has seen more."""
    wait_for(rows=3)
    first = folded()
    wait_for(rows=2, since=30)
    second = folded()
    assert (len(first.result.members), len(second.result.members)) == (3, 5)

    results = at_once(lambda: save(first), lambda: save(second))
    assert sorted(type(each).__name__ for each in results) == ["Changed", "NoneType"]
    if states()["delayed"]:
        save(folded())

    with reading() as session:
        gone = session.scalars(select(Notification.data).where(Notification.event == DIGEST)).all()
    alone = len([each for each in told(state="enqueued") if each.event != DIGEST])
    assert sum(each["count"] for each in gone) + alone == 5


def test_two_workers_that_fold_the_same_say_everything_once():
    two_workers_fold_the_same()


def test_without_the_claim_of_what_waits_both_say_it(monkeypatch: pytest.MonkeyPatch):
    # Mutant: whatever waited is folded, also when another worker was quicker
    def move_anyway(session: Any, ids: list[str], **values: Any) -> None:
        session.execute(update(table(Notification)).where(table(Notification).c.id.in_(ids)).values(**values))

    monkeypatch.setattr(digests, "move", move_anyway)
    with pytest.raises(AssertionError):
        two_workers_fold_the_same()


def test_what_a_person_sends_while_it_is_folded_is_not_said_twice():
    wait_for(rows=3)
    done = folded()
    with transaction() as session:
        notifications.resend(session, done.result.members[0])
    with pytest.raises(Changed):
        save(done)

    save(folded())
    assert states() == {"enqueued": 2, "digested": 2}
    assert told(event=DIGEST)[0].data["count"] == 2


def test_what_comes_while_something_is_folded_is_looked_after():
    wait_for(rows=2)
    done = folded()
    wait_for(rows=1)
    save(done)

    assert states() == {"digested": 2, "enqueued": 1, "delayed": 1}
    assert sorted(job.actor for job in all_jobs()) == ["digest", "email"]


@pytest.mark.slow
def test_ten_thousand_that_wait_become_one_message(hand: Hand):
    numbers = [ticket() for _ in range(3)]
    for number in numbers:
        wait_for(rows=3334 if number == numbers[0] else 3333, number=number)
    wait_for("other@example.com", rows=1)
    promise(folding._fold("email", BOSS, 0.0), folding._fold("email", "other@example.com", 0.0))
    hand.run()

    assert states() == {"digested": 10_000, "sent": 1}
    assert states("other@example.com") == {"sent": 1}
    (digest,) = told(event=DIGEST)
    assert "10000 notices about 3 tickets" in digest.subject
    assert len(digest.data["notifications"]) == folding.MOST_FACTS
    assert all_jobs() == []


@pytest.mark.parametrize("args", [[], ["email"], ["email", "x", "y"]])
def test_a_fold_that_says_nobody_is_a_dead_letter(hand: Hand, args: list[str]):
    promise(NewJob("digest", "x", args))
    hand.run()

    assert [each.error for each in letters()] == ["digest takes a channel and a recipient"]


def test_addresses_of_any_length_are_folded(hand: Hand):
    long = "x" * 60 + "@" + ".".join(["b" * 60] * 3) + ".example"
    assert len(f"email:{long}") > 200
    wait_for(long, rows=2)
    promise(folding._fold("email", long, 0.0))
    hand.run()

    assert states(long) == {"digested": 2, "sent": 1}


KILLED = """
import os, signal, sys
import settings
settings.use(settings.given(DATABASE_URL=sys.argv[1]))
from tests import embedded
settings.use(settings.given(DATABASE_URL=sys.argv[1]))
import actors
from actors import deliveries, folding
from aura.jobs.process_state import WORKER_ID
from db import transaction, workers

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before":
    folding.save_folded, folding.digest.save = die, die
else:
    deliveries.email.fn = die
with transaction() as session:
    workers.beat(session, WORKER_ID, "the one that is killed")
embedded.Hand(actors.broker).run()
"""


@pytest.mark.integration
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_is_killed_between_folding_and_sending_loses_and_repeats_nothing(
    hand: Hand, database: str, when: str
):
    wait_for(rows=4)
    promise(folding._fold("email", BOSS, 0.0))

    program = subprocess.run([sys.executable, "-c", KILLED, database, when], cwd=ROOT, capture_output=True, text=True)
    assert program.returncode == -9, program.stderr
    assert states() == ({"delayed": 4} if when == "before" else {"digested": 4, "enqueued": 1})
    assert len([job for job in all_jobs() if job.lease]) == 1

    move(Worker, heartbeat_at=-3600)
    with transaction() as session:
        workers.beat(session, WORKER_ID, "the test")
        workers.recover(session, get_settings().worker_dead_after)
    hand.run()
    assert states() == {"digested": 4, "sent": 1}
    assert all_jobs() == []
