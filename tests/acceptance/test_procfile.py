"""The Procfile's own commands on real services: every accepted ticket is notified once."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pika

from tests import access
from tests.acceptance.conftest import STOP_SECONDS, Installation, Mailbox
from tests.chaos.driver import Driver
from tests.services import RabbitMQ, free_port, tree, wait_until
from tests.unit.deploy.test_monitoring import asked, offered

#: More by an environment variable, such as CHAOS_PROCFILE_TICKETS=2000.
TICKETS = int(os.environ.get("CHAOS_PROCFILE_TICKETS", "100"))


def report(installation: Installation, number: int, **headers: str) -> int:
    """Post a ticket and return its id; anything but 202 fails the test."""
    body = {
        "title": f"Printer {number} on floor {number % 7} jams",
        "description": "It says paper jam, but there is no paper in it.",
        "requester": f"person{number}@example.com",
    }
    request = access.request(installation.url("/tickets"), json.dumps(body).encode(), **headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
        assert answer.headers["Location"].startswith("/tickets/")
        ticket: int = json.load(answer)["id"]
        return ticket


def metrics(address: str) -> str:
    with urllib.request.urlopen(access.request(address), timeout=60) as answer:
        return str(answer.read().decode())


def test_the_processes_of_a_deploy_notify_each_recipient_once_and_share_their_metrics(
    service_installation: Installation, mailbox: Mailbox
) -> None:
    installation = service_installation
    # Given the processes of a deploy with shared metrics
    metrics_port = str(free_port())
    installation.variables |= {
        "PROMETHEUS_MULTIPROC_DIR": str(installation.folder / "metrics"),
        "AURA_METRICS_PORT": metrics_port,
    }
    assert installation.procfile("release").process is not None
    web, worker, scheduler = (installation.procfile(name) for name in ("web", "worker", "scheduler"))
    installation.wait_until_ready()

    # When a hundred tickets are posted by eight clients at once
    with ThreadPoolExecutor(8) as clients:
        accepted = list(clients.map(lambda number: report(installation, number), range(100)))

    # Then each ticket is finished, and no notification is sent twice
    assert len(set(accepted)) == 100
    installation.wait_until_notified(100)
    installation.check_each_once()
    sent = installation.scalar("SELECT count(*) FROM notifications WHERE channel = 'email'")
    assert len(mailbox.received) == sent
    assert set(mailbox.received.values()) == {1}
    wait_until(
        lambda: installation.scalar("SELECT count(*) FROM leader_leases WHERE name = 'scheduler'") == 1,
        60,
        "no scheduler leads",
    )
    # And its timeline can be read
    with urllib.request.urlopen(access.request(installation.url(f"/tickets/{accepted[0]}")), timeout=60) as answer:
        ticket = json.load(answer)
    assert [entry["kind"] for entry in ticket["timeline"]].count("verdict") == 1
    assert ticket["jobs"] == []
    # And every metric of the dashboard and the alerts is there, summed over the processes
    pages = [metrics(installation.url("/metrics")), metrics(f"http://127.0.0.1:{metrics_port}/")]
    assert asked() <= offered(pages[0])
    assert {name for name in asked() if name.endswith("_total")} <= offered(pages[1])
    for page in pages:
        assert 'aura_attempts_total{actor="notify",outcome="completed"} 100.0' in page
    # And a drained worker exits, with its whole command
    name = installation.scalar("SELECT name FROM workers WHERE kind = 'worker' LIMIT 1")
    installation.aura("workers", "drain", name)
    assert worker.process is not None
    assert worker.process.wait(90) == 0
    # And a deploy stops every process in time, without an error (uvicorn ends with the signal it was stopped by)
    assert [program.terminate() for program in (scheduler, web)] == [0, -signal.SIGTERM]
    assert installation.scalar("SELECT count(*) FROM workers") == 0


def test_honcho_runs_the_procfile_and_a_sigterm_to_each_process_loses_no_ticket(
    service_installation: Installation, mailbox: Mailbox
) -> None:
    """Stopped under load, one process after the other; honcho then stops the rest, and is started again."""
    installation = service_installation
    installation.variables["AURA_TRACES"] = "console"
    honcho = Honcho(installation)
    # One request and one message, each a trace from its caller to its mail
    traced(installation, honcho)

    drivers: list[Driver] = []
    for place, process in enumerate(("aura worker", "aura web", "aura scheduler")):
        number = TICKETS // 3 + (place < TICKETS % 3)
        driver = Driver(installation.port, number, seconds=number / 60, first=1 + sum(len(d.numbers) for d in drivers))
        drivers.append(driver.start())
        wait_until(lambda: len(driver.accepted) > number // 3, 60, "no ticket is accepted")  # noqa: B023
        # When a process gets SIGTERM, then it stops in time, and so does what honcho stops because of it
        honcho.stop_by(process)
        honcho.start()
        driver.finish(150)

    # Then every accepted ticket is finished, and no notification is sent twice
    accepted = {ticket for driver in drivers for ticket in driver.accepted.values()}
    assert [driver.refused for driver in drivers] == [{}, {}, {}]
    assert len(accepted) >= 0.85 * TICKETS, "clients that give up are one in ten"
    assert accepted <= {ticket for (ticket,) in installation.rows("SELECT id FROM tickets")}
    installation.wait_until_notified(installation.scalar("SELECT count(*) FROM tickets"), 120)
    installation.check_each_once()
    assert len(mailbox.received) == installation.scalar("SELECT count(*) FROM notifications WHERE channel = 'email'")
    wait_until(
        lambda: installation.scalar("SELECT count(*) FROM leader_leases WHERE name = 'scheduler'") == 1,
        60,
        "no scheduler leads",
    )
    assert installation.scalar("SELECT count(*) FROM attempts WHERE outcome <> 'completed'") == 0, (
        "a deploy counts no attempt"
    )
    honcho.stop_by("aura worker")


#: `honcho`, which kills what has not stopped after as many seconds as a deploy gives, and not after its own five.
HONCHO = f"from honcho import command, manager; manager.KILL_WAIT = {STOP_SECONDS}; command.main()"


class Honcho:
    """`honcho start` from the Procfile, started again by a test after its end, as by a supervisor."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        start = ("--env", os.devnull, "start", "web", "worker", "scheduler")
        self.program = installation.start("honcho", sys.executable, "-c", HONCHO, *start)
        installation.wait_until_ready()

    def start(self) -> None:
        self.program.start()
        self.installation.wait_until_ready()

    def stop_by(self, command: str) -> None:
        """Send SIGTERM to the process of a command; it must end in time, and honcho with all others too."""
        assert self.program.process is not None
        started: list[int] = []

        def find() -> bool:
            assert self.program.process is not None
            # neither the shell that honcho starts it by nor what it started itself
            named = {pid: _command(pid) for pid in tree(self.program.process.pid)}
            its = {pid for pid, line in named.items() if command in line and not line.startswith(("/bin/sh ", "sh "))}
            started[:] = [pid for pid in its if tree(pid) >= its]
            return bool(started)

        wait_until(find, 90, f"honcho runs no {command}")
        os.kill(started[0], signal.SIGTERM)
        wait_until(lambda: not _command(started[0]), STOP_SECONDS, f"{command} does not stop")
        ended = self.program.process.poll
        wait_until(lambda: ended() is not None, STOP_SECONDS, lambda: self.program.output()[-3000:])


def _command(pid: int) -> str:
    """Return the command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def traced(installation: Installation, honcho: Honcho) -> None:
    """Check that what the processes print as spans is one trace for a request, and one for a message."""
    over_http, over_amqp = (f"00-{letter * 32}-{letter * 16}-01" for letter in "ab")
    report(installation, 0, traceparent=over_http)
    installation.wait_until_notified(1)  # a worker is there, and the exchange with it
    with pika.BlockingConnection(pika.URLParameters(installation.variables["RABBITMQ_URL"])) as connection:
        body = json.dumps({"title": "Outlook does not start", "requester": "bob@example.com"}).encode()
        properties = pika.BasicProperties(headers={"traceparent": over_amqp})
        connection.channel().basic_publish("tickets", "ticket.created", body, properties)
    installation.wait_until_notified(2)
    steps = {"intake": "POST /tickets", "classify": "intake", "notify": "classify", "email": "notify"}
    wanted = {over_http: {"POST /tickets": ""} | steps, over_amqp: {"receive": ""} | steps | {"intake": "receive"}}
    for traceparent, tree_wanted in wanted.items():
        _, trace, caller, _ = traceparent.split("-")

        def printed() -> dict[str, str]:
            lines = re.findall(r"\| (\{.*\})\n", honcho.program.output())
            spans = [span for span in map(json.loads, lines) if span["context"]["trace_id"] == f"0x{trace}"]  # noqa: B023
            names = {span["context"]["span_id"]: span["name"] for span in spans} | {f"0x{caller}": ""}  # noqa: B023
            return {span["name"]: names.get(span["parent_id"], "?") for span in spans}

        wait_until(lambda: printed() == tree_wanted, 60, lambda: f"{printed()} is not {tree_wanted}")  # noqa: B023


def test_tickets_are_accepted_while_rabbitmq_is_down_and_finished_when_it_is_back(
    service_installation: Installation, rabbitmq: RabbitMQ
) -> None:
    installation = service_installation
    for name in ("web", "worker"):
        installation.procfile(name)
    installation.wait_until_ready()
    accepted = [report(installation, number) for number in range(5)]
    installation.wait_until_notified(5)

    # Given a RabbitMQ that was killed
    rabbitmq.kill()
    # When tickets come in
    accepted += [report(installation, number) for number in range(5, 25)]
    # Then they are accepted and wait
    assert len(set(accepted)) == 25
    assert installation.scalar("SELECT count(*) FROM tickets WHERE stage = 'received'") == 20
    # And they are finished when it is back
    rabbitmq.start()
    installation.wait_until_notified(25)
    installation.check_each_once()


def test_an_import_can_run_twice(service_installation: Installation) -> None:
    installation = service_installation
    installation.procfile("worker")
    rows = ["Subject,Body,Email"]
    rows += [
        f'"Ticket {n}","Laptop {n} does not start,\nthe screen stays black",person{n % 50}@example.com'
        for n in range(400)
    ]
    file = installation.folder / "tickets.csv"
    file.write_text("\n".join([*rows, ",,nobody@example.com"]))

    def imported() -> tuple[int, int, int]:
        report = json.loads(installation.aura("import", str(file), "--format", "json", code=1).stdout)
        [rejected] = report["rejected_rows"]
        assert rejected == {"line": 802, "reason": "a ticket needs a title or a description"}
        return report["rows"], report["new"], report["known"]

    assert imported() == (401, 400, 0)
    installation.wait_until_notified(400)
    installation.check_each_once()

    assert imported() == (401, 0, 400)
    assert installation.scalar("SELECT count(*) FROM tickets") == 400
