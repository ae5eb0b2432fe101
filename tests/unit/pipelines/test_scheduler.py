"""The clock: each slot once however many clocks there are, and by the wall clock on the days it is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from actors import retention as retention_actor
from aura.settings import SettingsError
from db import reading, retention, schedule_runs, transaction
from db.jobs import NewJob
from db.models import (
    AiCall,
    Attempt,
    IdempotencyKey,
    InboundMail,
    Job,
    LeaderLease,
    MetricSample,
    Notification,
    ScheduleRun,
    Ticket,
    VerdictRecord,
)
from pipelines import schedule
from pipelines.schedule import SCHEDULE, ScheduledJob, next_slot, run_retention, trigger
from pipelines.scheduler import Scheduler
from tests.commands import Run
from tests.embedded import Hand, count, letters, move, promise

NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)


# -- slots ------------------------------------------------------------------------------------------------------------


def slots(when: str, start: datetime, hours: float) -> list[datetime]:
    """Return the slots within so many hours of the start; a slot that does not move on fails."""
    each = trigger(ScheduledJob("test", when, lambda: 0))
    found, at = [], start
    while (slot := next_slot(each, at)) <= start + timedelta(hours=hours):
        assert slot > at, f"{when} is stuck at {slot}"
        found.append(slot)
        at = slot
    return found


SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # at 02:00 on the 29th the clocks go to 03:00
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # at 03:00 on the 25th they go back to 02:00


@pytest.fixture
def berlin(configure: Callable[..., Any]) -> None:
    configure(AURA_TIMEZONE="Europe/Berlin")


@pytest.mark.usefixtures("berlin")
class TestTheClocksAreChanged:
    def test_a_time_that_occurs_twice_runs_once_at_its_first_occurrence(self):
        assert slots("30 2 * * *", AUTUMN, 48) == [
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        ]

    def test_a_time_that_does_not_exist_runs_an_hour_later_that_day(self):
        assert slots("30 2 * * *", SPRING, 48) == [
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
        ]

    @pytest.mark.parametrize("day", [SPRING, AUTUMN])
    def test_what_runs_every_hour_or_minute_misses_none_and_doubles_none(self, day: datetime):
        assert len(slots("* * * * *", day, 24)) == 24 * 60
        assert len(slots("15 * * * *", day, 24)) == 24

    @pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.name)
    @pytest.mark.parametrize("day", [SPRING, AUTUMN])
    def test_our_own_timetable_moves_on(self, day: datetime, entry: ScheduledJob):
        assert slots(entry.when, day, 36)

    def test_a_fixed_hour_elsewhere_is_not_touched(self):
        assert slots("0 3 * * *", AUTUMN, 24) == [datetime(2026, 10, 25, 2, 0, tzinfo=UTC)]
        assert slots("*/30 2 * * *", AUTUMN, 24) == [
            datetime(2026, 10, 25, 0, minute, tzinfo=UTC) for minute in (0, 30)
        ]

    @pytest.mark.usefixtures("sqlite")
    def test_a_clock_that_ticks_through_the_double_hour_runs_each_slot_once(self):
        ran: list[int] = []
        clock = Scheduler([ScheduledJob("nightly", "30 2 * * *", lambda: len(ran.append(1) or []))])
        clock.tick(AUTUMN)

        for minutes in range(0, 24 * 60, 10):
            clock.tick(AUTUMN + timedelta(minutes=minutes, seconds=5))

        assert ran == [1]


@pytest.mark.usefixtures("berlin", "sqlite")
@pytest.mark.parametrize(
    ("stopped", "started", "nightly", "hourly"),
    [
        # from 01:30 to 05:30 by the wall, three hours: 02:30 does not exist, and its run an hour later was missed
        ("2026-03-29T00:30:30+00:00", "2026-03-29T03:30:30+00:00", ["2026-03-29T01:30:00+00:00"], 3),
        # from 02:15 to 04:15, three hours: the first 02:30 was missed, the second is no slot
        ("2026-10-25T00:15:30+00:00", "2026-10-25T03:15:30+00:00", ["2026-10-25T00:30:00+00:00"], 3),
    ],
    ids=["forward", "back"],
)
def test_a_clock_that_stood_for_three_hours_while_the_clocks_were_changed(
    stopped: str, started: str, nightly: list[str], hourly: int
):
    before, after = datetime.fromisoformat(stopped), datetime.fromisoformat(started)
    entries = [ScheduledJob("nightly", "30 2 * * *", lambda: 1), ScheduledJob("hourly", "20 * * * *", lambda: 1)]
    # Given a clock that ran every slot of the day before
    clock = Scheduler(entries)
    clock.tick(before - timedelta(days=1))
    clock.tick(before)
    clock.stop()
    known = {run.id for run in runs()}
    # When it stood for three hours and another one starts
    later = Scheduler(entries)
    later.tick(after)
    later.tick(after + timedelta(seconds=1))
    # Then of each job the latest slot ran, and the earlier ones are kept as missed
    new = [run for run in runs() if run.id not in known]
    assert [run.scheduled_at.isoformat() for run in new if run.job == "nightly"] == nightly
    slots_of_the_hour = [run.scheduled_at for run in new if run.job == "hourly"]
    assert len(set(slots_of_the_hour)) == len(slots_of_the_hour) == hourly
    assert sum(run.note == schedule_runs.MISSED for run in new if run.job == "hourly") == hourly - 1
    assert max(
        new, key=lambda run: (run.job == "hourly", run.note != schedule_runs.MISSED, run.scheduled_at)
    ).note.startswith("1 done")


# -- another timetable ------------------------------------------------------------------------------------------------


def written(configure: Callable[..., Any], tmp_path: Path, text: str) -> list[ScheduledJob]:
    (tmp_path / "times.yaml").write_text(text)
    configure(AURA_SCHEDULES=str(tmp_path / "times.yaml"))
    return schedule.schedule()


def test_a_file_changes_times_and_zones_and_turns_jobs_off(
    configure: Callable[..., Any], tmp_path: Path, sqlite: str, run: Run
):
    text = "reanalysis: {when: '30 1 * * mon-fri', zone: America/New_York}\nincidents: off\nrecovery: {zone: UTC}\n"
    entries = {entry.name: entry for entry in written(configure, tmp_path, text)}

    assert next_slot(trigger(entries["reanalysis"]), SPRING) == datetime(2026, 3, 30, 5, 30, tzinfo=UTC)
    assert entries["recovery"].when == "* * * * *"
    assert entries["pruning"] in SCHEDULE
    assert [entry.name for entry in Scheduler().timetable] == [e.name for e in SCHEDULE if e.name != "incidents"]
    rows = {row["job"]: row for row in run("schedule", "list", "--format", "json").json()}
    assert (rows["reanalysis"]["zone"], rows["pruning"]["zone"]) == ("America/New_York", "UTC")
    assert (rows["incidents"]["when"], rows["incidents"]["next"]) == ("off", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lunch: {when: '0 12 * * *'}", "there is no job 'lunch'; there are reanalysis, "),
        ("reanalysis: {when: '0 25 * * *'}", "reanalysis: '0 25 * * *' is no time that comes; take five fields"),
        ("reanalysis: {when: '0 0 30 2 *'}", "reanalysis: '0 0 30 2 *' is no time that comes"),
        ("reanalysis: {when: 5}", "reanalysis: 5 is no time that comes"),
        ("reanalysis: {zone: Europe/Atlantis}", "reanalysis: there is no zone 'Europe/Atlantis'; take one such as"),
        ("reanalysis: {zone: ../../etc/passwd}", "reanalysis: "),
        ("reanalysis: {zone: 5}", "reanalysis: "),
        ("reanalysis: {at: noon}", "reanalysis: must be off, or such as {when:"),
        ("reanalysis: on", "reanalysis: must be off, or such as {when:"),
        ("- reanalysis", "must hold lines such as"),
        ("reanalysis: {", "cannot be read"),
    ],
)
def test_a_wrong_file_says_which_job_and_what_to_do(
    configure: Callable[..., Any], tmp_path: Path, text: str, words: str
):
    with pytest.raises(SettingsError) as caught:
        written(configure, tmp_path, text)
    assert str(caught.value).startswith(f"AURA_SCHEDULES: {tmp_path}/times.yaml")
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(configure: Callable[..., Any], sqlite: str, run: Run):
    configure(AURA_SCHEDULES="nowhere.yaml")
    result = run("schedule", "list")
    assert result.code == 1
    assert "AURA_SCHEDULES: nowhere.yaml cannot be read" in result.err


# -- leading ----------------------------------------------------------------------------------------------------------


def runs() -> list[ScheduleRun]:
    with reading() as session:
        return list(session.scalars(select(ScheduleRun).order_by(ScheduleRun.id)))


def counting(name: str = "count", when: str = "* * * * *") -> tuple[ScheduledJob, list[int]]:
    """Return an entry that counts its runs in the database, as a promise, and in a list."""
    ran: list[int] = []

    def run() -> int:
        promise(NewJob("classify", str(count(Job) + 1)))
        ran.append(1)
        return 1

    return ScheduledJob(name, when, run), ran


def sleep_too_long() -> None:
    """Let the leader's lease expire, as if it had slept."""
    move(LeaderLease, expires_at=-1)


@pytest.mark.usefixtures("database")
class TestOneClockLeads:
    def test_two_clocks_fire_a_slot_once(self):
        entry, ran = counting()
        first, second = Scheduler([entry]), Scheduler([entry])

        for seconds in range(0, 150, 15):
            second.tick(NOON + timedelta(seconds=seconds))
            first.tick(NOON + timedelta(seconds=seconds))

        assert len(ran) == 2
        assert [run.scheduled_at.minute for run in runs()] == [1, 2]
        assert all(run.note == "1 done" and run.finished_at for run in runs())
        assert (first.term, second.term) == (None, 1)

    def test_a_clock_that_resigns_is_followed_at_once(self):
        entry, _ = counting()
        first, second = Scheduler([entry]), Scheduler([entry])
        first.tick(NOON)
        assert second.tick(NOON) == []

        first.stop()
        second.tick(NOON)

        assert second.term == 2

    def test_the_next_leader_does_not_repeat_a_slot_and_runs_what_was_missed(self):
        entry, ran = counting()
        first, second = Scheduler([entry]), Scheduler([entry])
        first.tick(NOON)
        assert first.tick(NOON + timedelta(minutes=1)) == ["count"]

        first.stop()
        assert second.tick(NOON + timedelta(minutes=1)) == []
        first = Scheduler([entry])
        second.stop()
        assert first.tick(NOON + timedelta(minutes=2)) == ["count"]
        assert len(ran) == 2

    def a_leader_that_slept_writes_nothing(self) -> None:
        # Given a leader that is about to run a slot
        entry, _ = counting()
        sleeper, other = Scheduler([entry]), Scheduler([entry])
        sleeper.tick(NOON)
        # When it sleeps past its lease and another one leads
        sleep_too_long()
        other.tick(NOON)
        assert other.term == 2
        # Then it changes nothing when it wakes up in the middle of its tick
        assert not sleeper._run(entry, NOON + timedelta(minutes=1))
        assert (runs(), count(Job)) == ([], 0)
        # and the new leader runs the slot
        assert other.tick(NOON + timedelta(minutes=1)) == ["count"]

    def test_a_leader_that_slept_writes_nothing(self):
        self.a_leader_that_slept_writes_nothing()

    def test_without_the_fence_it_would_write(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(schedule_runs, "start_slot", lambda *_: True)

        with pytest.raises(AssertionError):
            self.a_leader_that_slept_writes_nothing()

    def test_a_leader_whose_lease_expired_with_nobody_else_there_leads_again_in_a_new_term(self):
        entry, _ = counting()
        clock = Scheduler([entry])
        clock.tick(NOON)
        sleep_too_long()

        assert not clock._run(entry, NOON + timedelta(minutes=1))
        clock.tick(NOON)
        assert clock.term == 2

    def test_an_entry_that_outlasts_the_lease_does_not_lose_it_and_the_others_run(self):
        def takes_long() -> int:
            sleep_too_long()
            return 1

        entry, _ = counting()
        clock = Scheduler([ScheduledJob("slow", "* * * * *", takes_long), entry])
        clock.tick(NOON)

        assert clock.tick(NOON + timedelta(minutes=1)) == ["slow", "count"]
        assert clock.tick(NOON + timedelta(minutes=1, seconds=1)) == []
        assert clock.term == 1

    def test_a_slot_that_ran_is_never_run_again_even_by_its_leader(self):
        entry, ran = counting()
        clock = Scheduler([entry])
        clock.tick(NOON)
        clock.tick(NOON + timedelta(minutes=1))
        clock._next["count"] = runs()[0].scheduled_at

        assert clock.tick(NOON + timedelta(minutes=1)) == []
        assert ran == [1]


@pytest.mark.usefixtures("database")
class TestSlots:
    def test_a_clock_that_never_ran_waits_for_the_first_slot(self):
        entry, ran = counting()

        assert Scheduler([entry]).tick(NOON) == []
        assert ran == []

    def test_of_the_missed_slots_the_latest_runs_once(self):
        entry, ran = counting()
        clock = Scheduler([entry])
        clock.tick(NOON)
        clock.tick(NOON + timedelta(minutes=1))
        clock.stop()

        later = Scheduler([entry])
        assert later.tick(NOON + timedelta(minutes=30)) == ["count"]
        assert later.tick(NOON + timedelta(minutes=30, seconds=20)) == []

        assert len(ran) == 2
        assert [(run.scheduled_at.minute, run.note) for run in runs() if run.note != schedule_runs.MISSED] == [
            (1, "1 done"),
            (30, "1 done, 28 missed"),
        ]
        assert sum(run.note == schedule_runs.MISSED for run in runs()) == 28

    def test_a_failing_entry_leaves_a_note_alone_and_stops_no_other(self):
        def fail() -> int:
            promise(NewJob("classify", "half done"))
            raise RuntimeError("the entry is broken")

        entry, ran = counting()
        clock = Scheduler([ScheduledJob("broken", "* * * * *", fail), entry])
        clock.tick(NOON)

        assert clock.tick(NOON + timedelta(minutes=1)) == ["count"]
        assert clock.tick(NOON + timedelta(minutes=2)) == ["count"]

        assert len(ran) == 2
        assert {run.note for run in runs() if run.job == "broken"} == {"failed: the entry is broken"}
        assert [run.note for run in runs() if run.job == "count"] == ["1 done", "1 done"]
        assert count(Job) == 2

    def test_what_an_entry_promises_and_its_slot_are_one_transaction(self, monkeypatch: pytest.MonkeyPatch):
        entry, _ = counting()
        clock = Scheduler([entry])
        clock.tick(NOON)

        def away(*_: Any) -> None:
            raise OperationalError("UPDATE schedule_runs", {}, Exception("gone"))

        monkeypatch.setattr(schedule_runs, "finish_slot", away)

        assert clock.tick(NOON + timedelta(minutes=1)) == []
        assert (runs(), count(Job)) == ([], 0)

    def test_a_database_that_is_away_stops_no_clock(self, monkeypatch: pytest.MonkeyPatch):
        entry, _ = counting()
        clock = Scheduler([entry])

        def away(*_: Any) -> None:
            raise OperationalError("UPDATE leader_leases", {}, Exception("gone"))

        with monkeypatch.context() as broken:
            broken.setattr(schedule_runs, "lead", away)
            broken.setattr(schedule_runs, "resign", away)
            assert clock.tick(NOON) == []
            clock.stop()
        clock.tick(NOON)
        assert clock.tick(NOON + timedelta(minutes=1)) == ["count"]

    def test_the_real_timetable_runs_on_an_empty_database(self):
        clock = Scheduler()
        clock.tick(NOON)

        assert clock.tick(NOON + timedelta(days=1)) == [entry.name for entry in SCHEDULE]

    def test_a_started_clock_ticks_by_itself_and_stops(self):
        from tests.conftest import wait_until

        clock = Scheduler([counting()[0]])
        clock.start()
        wait_until(lambda: clock.term, message="the clock leads")
        clock.stop()

        with transaction() as session:
            assert schedule_runs.lead(session, "clock", "another", 15) == 2


# -- pruning ----------------------------------------------------------------------------------------------------------


OLD = -400 * 86_400


@pytest.mark.usefixtures("database")
def test_what_is_old_goes_or_loses_its_texts_in_batches(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    # Given two batches of attempts, and one of everything else
    row = {"ticket_id": None, "event": "", "channel": "email", "recipient": "", "subject": "", "body": ""}
    ledger = {"job_id": 1, "actor": "", "key": "", "number": 1, "worker": "", "outcome": "completed", "seconds": 0.1}
    said = {"category": "Network", "confidence": 0.9, "priority": "high", "priority_confidence": 0.8, "engine": "local"}
    with transaction() as session:
        ticket = Ticket(source="test", raw="{}")
        session.add(ticket)
        session.flush()
        session.add_all([Attempt(**ledger) for _ in range(5)])
        session.add(
            VerdictRecord(
                ticket_id=ticket.id, reason="VPN", summary="s", words=["w"], needs_review=False, model="m", **said
            )
        )
        session.add(AiCall(ticket_id=ticket.id, model="m", prompt_version="p", sent="text", outcome="answered"))
        session.add(InboundMail(message_id="<1@x>", sender="ada@example.com", raw=b"bytes", outcome="ticket"))
        session.add(Notification(id="sent", dedupe_key="sent", state="sent", **row))
        session.add(Notification(id="promised", dedupe_key="promised", **row))
        session.add(IdempotencyKey(key="k", fingerprint="", ticket_id=1))
        session.add(ScheduleRun(job="j", scheduled_at=NOON, term=1))
        session.add_all([MetricSample(name="dead", at=NOON + timedelta(minutes=n), value=1) for n in range(5)])
    monkeypatch.setattr(retention, "BATCH", 3)
    batches: list[int] = []
    delete_batch = retention.delete_batch
    monkeypatch.setattr(
        retention, "delete_batch", lambda *what: batches.append(delete_batch(*what, batch=3)) or batches[-1]
    )
    monkeypatch.setattr(retention_actor, "REST", 0.0)

    # When nothing is old, nothing goes
    run_retention()
    hand.run()
    assert (count(AiCall), count(InboundMail), count(Notification), max(batches)) == (1, 1, 2, 4)
    # When all of it is
    for model, column in ((Attempt, "created_at"), (VerdictRecord, "created_at"), (AiCall, "created_at"),
                          (InboundMail, "created_at"), (Notification, "created_at"), (IdempotencyKey, "created_at"),
                          (ScheduleRun, "started_at")):  # fmt: skip
        move(model, **{column: OLD})
    run_retention()
    hand.run()

    # Then no transaction is long: a batch at a time, of samples with the rest of its minute
    assert max(batches) <= 4
    # And what is done is gone, what is to be told stays, and a verdict keeps its figures
    gone = (AiCall, IdempotencyKey, ScheduleRun, MetricSample)
    assert [count(model) for model in gone] == [0] * len(gone)
    with reading() as session:
        assert session.scalars(select(Notification.id)).all() == ["promised"]
        verdict, mail = session.scalars(select(VerdictRecord)).one(), session.scalars(select(InboundMail)).one()
        assert not session.scalars(select(Attempt.id).where(Attempt.actor == "")).all()
    assert (verdict.reason, verdict.summary, verdict.words, verdict.confidence) == ("", "", [], 0.9)
    with transaction() as session:
        assert not any(retention.delete_batch(session, rule) for rule in retention_actor.rules().values()), (
            "nothing is found twice"
        )
    assert (mail.raw, mail.message_id, mail.sender) == (b"", "<1@x>", "ada@example.com")
    assert letters() == []


# -- the timetable in an operator's hands -------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
class TestOperators:
    def test_slots_that_were_missed_are_kept_and_run_afterwards_once(self, run: Run, monkeypatch: pytest.MonkeyPatch):
        entry, ran = counting("recovery")
        monkeypatch.setattr(schedule, "SCHEDULE", [entry])
        first = Scheduler([entry])
        first.tick(NOON)
        first.tick(NOON + timedelta(minutes=1))
        first.stop()
        later = Scheduler([entry])
        later.tick(NOON + timedelta(minutes=5))
        later.stop()
        assert run("schedule", "list", "--format", "json").json()[0]["missed"] == 3

        assert run("schedule", "backfill", "recovery", "--limit", "2", "--format", "json").json()["slots"] == 2
        assert run("schedule", "backfill", "recovery", "--format", "json").json()["slots"] == 1
        assert run("schedule", "backfill", "recovery", "--format", "json").json()["slots"] == 0

        assert len(ran) == 5
        assert Scheduler([entry]).tick(NOON + timedelta(minutes=5)) == [], "no slot runs twice"

    def test_a_paused_job_lets_its_slots_go_by(self, run: Run):
        entry, ran = counting("recovery")
        clock = Scheduler([entry])
        clock.tick(NOON)
        assert "recovery is paused" in run("schedule", "pause", "recovery", "--reason", "maintenance").out
        assert "maintenance" in run("schedule", "list").out
        assert clock.tick(NOON + timedelta(minutes=10)) == []

        run("schedule", "resume", "recovery")
        assert clock.tick(NOON + timedelta(minutes=10, seconds=20)) == [], "what went by has gone by"
        assert clock.tick(NOON + timedelta(minutes=11)) == ["recovery"]
        assert len(ran) == 1
        assert [row.note for row in runs()] == ["1 done"]

    def test_a_job_runs_at_once_when_asked_to_and_its_slots_come_as_ever(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ):
        entry, ran = counting("recovery")
        monkeypatch.setattr(schedule, "SCHEDULE", [entry])
        clock = Scheduler([entry])
        clock.tick(NOON)
        assert "recovery: 1 done" in run("schedule", "run", "recovery").out
        assert clock.tick(NOON + timedelta(minutes=1)) == ["recovery"]
        assert len(ran) == 2
        [row] = run("schedule", "list", "--format", "json").json()
        assert (row["job"], row["when"], row["missed"], row["paused"]) == ("recovery", "* * * * *", 0, False)
        assert row["next"] and row["last"]

    @pytest.mark.parametrize("command", ["run", "pause", "resume", "backfill"])
    def test_a_job_that_is_not_there_is_said_so(self, run: Run, command: str):
        result = run("schedule", command, "lunch")
        assert result.code == 1
        assert "there are reanalysis, changes, upgrades, recovery" in result.err
