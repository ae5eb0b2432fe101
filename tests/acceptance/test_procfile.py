"""The Procfile's own commands on real services: every ticket that was accepted is notified, once."""

from __future__ import annotations

import json
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from tests.acceptance.conftest import House, Mailbox
from tests.services import RabbitMQ, free_port, wait_until
from tests.unit.test_monitoring import asked, offered


def report(house: House, number: int) -> int:
    """Post a ticket and return its id; anything but 202 fails the test."""
    body = {
        "title": f"Printer {number} on floor {number % 7} jams",
        "description": "It says paper jam, but there is no paper in it.",
        "requester": f"person{number}@example.com",
    }
    request = urllib.request.Request(
        house.url("/tickets"), json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
        assert answer.headers["Location"].startswith("/tickets/")
        ticket: int = json.load(answer)["id"]
        return ticket


def metrics(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


def test_500_tickets_over_http_are_all_notified_once(service_house: House, mailbox: Mailbox) -> None:
    house = service_house
    # Given the processes of a deploy, which share their figures
    metrics_port = str(free_port())
    house.variables |= {"PROMETHEUS_MULTIPROC_DIR": str(house.folder / "metrics"), "AURA_METRICS_PORT": metrics_port}
    assert house.procfile("release").process is not None
    web, worker, clock = (house.procfile(name) for name in ("web", "worker", "clock"))
    house.serves()

    # When 500 tickets are posted by eight clients at once
    with ThreadPoolExecutor(8) as clients:
        accepted = list(clients.map(lambda number: report(house, number), range(500)))

    # Then each is finished, and nobody hears anything twice
    assert len(set(accepted)) == 500
    house.finished(500)
    house.each_once()
    sent = house.ask("SELECT count(*) FROM notifications WHERE channel = 'email'")
    assert len(mailbox.received) == sent
    assert set(mailbox.received.values()) == {1}
    wait_until(lambda: house.ask("SELECT count(*) FROM leases WHERE name = 'clock'") == 1, 10, "no clock leads")
    # And its story can be read
    with urllib.request.urlopen(house.url(f"/tickets/{accepted[0]}"), timeout=10) as answer:
        story = json.load(answer)
    assert [entry["what"] for entry in story["timeline"]].count("verdict") == 1
    assert story["waiting"] == []
    # And every figure that the dashboard and the alerts ask for is there, added up over the processes
    pages = [metrics(house.url("/metrics")), metrics(f"http://127.0.0.1:{metrics_port}/")]
    assert asked() <= offered(pages[0])
    assert {name for name in asked() if name.endswith("_total")} <= offered(pages[1])
    for page in pages:
        assert 'aura_attempts_total{actor="notify",outcome="kept"} 500.0' in page
    # And a worker that is drained ends by itself, with all of its command
    name = house.ask("SELECT name FROM workers WHERE kind = 'worker' LIMIT 1")
    house.aura("workers", "drain", name)
    assert worker.process is not None
    assert worker.process.wait(30) == 0
    # And a deploy stops every process in time, without an error (uvicorn ends with the signal it was stopped by)
    assert [program.terminate() for program in (clock, web)] == [0, -signal.SIGTERM]
    assert house.ask("SELECT count(*) FROM workers") == 0


def test_one_script_starts_everything_and_ends_it_in_order(service_house: House) -> None:
    house = service_house
    everything = house.start("start", "sh", "deploy/scripts/start.sh")
    house.serves()
    report(house, 1)
    house.finished(1)

    assert everything.terminate() == 0
    assert house.ask("SELECT count(*) FROM workers") == 0


def test_tickets_are_accepted_while_rabbitmq_is_down_and_finished_when_it_is_back(
    service_house: House, rabbitmq: RabbitMQ
) -> None:
    house = service_house
    for name in ("web", "worker"):
        house.procfile(name)
    house.serves()
    accepted = [report(house, number) for number in range(5)]
    house.finished(5)

    # Given a RabbitMQ that was killed
    rabbitmq.kill()
    # When tickets come in
    accepted += [report(house, number) for number in range(5, 25)]
    # Then they are accepted and wait
    assert len(set(accepted)) == 25
    assert house.ask("SELECT count(*) FROM tickets WHERE stage = 'received'") == 20
    # And they are finished when it is back
    rabbitmq.start()
    house.finished(25, 90)
    house.each_once()


def test_an_import_can_run_twice(service_house: House) -> None:
    house = service_house
    house.procfile("worker")
    rows = ["Subject,Body,Email"]
    rows += [
        f'"Ticket {n}","Laptop {n} does not start,\nthe screen stays black",person{n % 50}@example.com'
        for n in range(400)
    ]
    file = house.folder / "tickets.csv"
    file.write_text("\n".join([*rows, ",,nobody@example.com"]))

    first = house.aura("import", str(file), "--format", "json")
    assert json.loads(first.stdout) == {"rows": 401, "new": 400, "known": 0, "rejected": 1}
    assert f"{file}:802: a ticket needs a title or a description" in first.stderr
    house.finished(400, 90)
    house.each_once()

    second = house.aura("import", str(file), "--format", "json")
    assert json.loads(second.stdout) == {"rows": 401, "new": 0, "known": 400, "rejected": 1}
    assert house.ask("SELECT count(*) FROM tickets") == 400
