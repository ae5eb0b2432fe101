"""The command: `python -m tests.chaos --seed 7 --tickets 500 --seconds 30 --faults worker_killed*5,relay_killed`.

Prints its seed first; the same seed gives the same schedule. Ends with 0 when the oracle is green, with 1 when it is red.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS
from tests.chaos.oracle import Verdict
from tests.chaos.run import Progress, Run
from tests.chaos.schedule import UnknownFault, parse, plan
from tests.chaos.system import System
from tests.rabbitmq_cluster import RabbitMQCluster
from tests.services import PostgreSQL, RabbitMQ, Redis, start_all

#: Progress and findings of a run go here, so that `--format json` leaves the output to JSON.
console = Console(stderr=True, highlight=False)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Post tickets while everything fails, and judge whether any is lost or notified twice.",
        epilog="faults: " + ", ".join(FAULTS),
    )
    parser.add_argument("--seed", type=int, help="repeat the schedule of a run; otherwise a new one is drawn")
    parser.add_argument("--tickets", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0, help="over which tickets and faults are spread")
    parser.add_argument("--rest", type=float, default=180.0, help="seconds that the rest may take after the last fault")
    parser.add_argument(
        "--faults", default="all", help="such as worker_killed*30,rabbitmq_killed*3 (default: all once)"
    )
    parser.add_argument("--mail-every", type=int, default=1, help="one ticket in so many is answered by mail")
    parser.add_argument("--workers", type=int, default=2, help="worker commands")
    parser.add_argument("--threads", type=int, default=8, help="threads of each")
    parser.add_argument("--cluster", action="store_true", help="three RabbitMQ nodes instead of one")
    parser.add_argument("--pause", type=float, help="longest pause during a fault of the cluster, in seconds; else red")
    parser.add_argument("--openai", action="store_true", help="classify by a server that speaks OpenAI's protocol")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser.parse_args()


def picture(run: Run, progress: Progress, seed: int) -> Table:
    """Return the state of a run as a few lines."""
    table = Table.grid(padding=(0, 2))
    table.add_row("seed", str(seed))
    table.add_row("accepted", f"{len(run.driver.accepted):,} of {len(run.driver.numbers):,}")
    table.add_row("notified", f"{progress.notified:,}")
    table.add_row("jobs waiting", f"{progress.jobs:,}")
    table.add_row("mails", f"{run.system.post.received.total():,}")
    table.add_row("started again", str(run.system.supervisor.restarts.total()))
    table.add_row("faults", f"{len(progress.happened)} of {len(run.planned)}  {' '.join(progress.happened[-3:])}")
    return table


def report(run: Run, verdict: Verdict, seed: int, wanted: argparse.Namespace) -> None:
    """Print the verdict as it was asked for."""
    if wanted.format == "json":
        planned = [f"{each.at:.1f} {each.name}" for each in run.planned]
        print(json.dumps({"seed": seed, "red": verdict.red, "planned": planned} | asdict(verdict), indent=2))
    else:
        print(verdict)
    words = "[bold red]RED[/]" if verdict.red else "[bold green]GREEN: nothing lost, nothing twice[/]"
    console.print(f"{words}  (seed {seed})")


def main() -> int:
    # whoever ends this process ends those that it started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tests.chaos: terminated"))
    wanted = arguments()
    seed = random.SystemRandom().randrange(10**6) if wanted.seed is None else wanted.seed
    console.print(f"seed {seed}")
    try:
        planned = plan(seed, wanted.seconds, parse(wanted.faults))
    except UnknownFault as error:
        sys.exit(f"tests.chaos: {error}")
    folder = Path(tempfile.mkdtemp(prefix="aura-chaos-"))
    rabbitmq = RabbitMQCluster() if wanted.cluster else RabbitMQ()
    servers = rabbitmq, PostgreSQL(), Redis()
    try:
        rabbitmq.start()
        start_all(*servers[1:])
        options = {"workers": wanted.workers, "threads": wanted.threads, "openai": wanted.openai}
        with System(folder, *servers, **options) as system:
            run = Run(
                system.boot(),
                Driver(system.port, wanted.tickets, seconds=wanted.seconds, mail_every=wanted.mail_every),
                planned,
            )
            with Live(console=console, refresh_per_second=4, transient=True) as live:
                verdict = run.go(wanted.rest, lambda progress: live.update(picture(run, progress, seed)))
            if wanted.pause is not None:
                verdict.unexpected += [
                    f"{name}: {seconds} s" for name, seconds in run.pauses().items() if seconds > wanted.pause
                ]
            report(run, verdict, seed, wanted)
    finally:
        for server in servers:
            server.close()
    if verdict.red:
        console.print(f"the programs' logs are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
