"""`python -m bench`: Aura against its peers, the same work on private servers, taking turns.

A full run writes bench/results.json, docs/images/performance.svg and the figures of the pages (`bench.page`); one that leaves
something out only prints, unless --out names a folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import chart, page, results, tables
from bench.contenders import CONTENDERS
from bench.rounds import SHARE, STEADY, RoundFailed, Sample, play
from bench.services import Servers
from tests.services import ServiceFailed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", metavar="NAMES", help=f"some of: {','.join(CONTENDERS)}")
    parser.add_argument(
        "--tickets", type=int, default=2000, help="tickets a round (2000); Aura and the ceiling get ten times as many"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each contender (3)")
    parser.add_argument("--seconds", type=float, default=15.0, help="seconds of each steady load (15)")
    parser.add_argument("--no-latency", action="store_true", help="throughput only")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what is printed")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write results.json and performance.svg there")
    asked = parser.parse_args()
    asked.names = asked.only.split(",") if asked.only else list(CONTENDERS)
    if unknown := set(asked.names) - CONTENDERS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CONTENDERS)}")
    return asked


def main() -> int:
    asked = arguments()
    samples: dict[str, list[Sample]] = {name: [] for name in asked.names}
    failed: dict[str, str] = {}
    with Servers() as servers:
        where = results.surroundings(servers)
        run(asked, servers, samples, failed)
    kept = {name: each for name, each in samples.items() if each and name not in failed}
    how = {"rounds": asked.rounds, "tickets": asked.tickets, "failed": failed, "steady": STEADY, "share": SHARE}
    measured = results.peers(kept, how, where)
    if asked.format == "json":
        print(json.dumps(measured, indent=2, ensure_ascii=False))
    else:
        console = Console(width=None if sys.stdout.isatty() else 200)
        for grid in tables.peers(measured):
            console.print(grid.rich(), "")
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        results.store("peers", measured, asked.out / "results.json")
        (asked.out / "performance.svg").write_text(chart.draw(measured))
    elif not (asked.only or asked.no_latency or failed):
        page.write(results.store("peers", measured))
    return 1 if failed else 0


def run(asked: argparse.Namespace, servers: Servers, samples: dict[str, list[Sample]], failed: dict[str, str]) -> None:
    """Let the contenders take turns; one that fails is out, with the reason."""
    seconds = 0.0 if asked.no_latency else asked.seconds
    columns = TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=asked.rounds * len(asked.names))
        for number in range(1, asked.rounds + 1):
            for name in asked.names:
                progress.update(task, description=f"round {number}: {CONTENDERS[name].title}")
                if name not in failed:
                    try:
                        samples[name].append(play(CONTENDERS[name], servers, asked.tickets, seconds))
                    except (RoundFailed, ServiceFailed, AssertionError) as error:
                        failed[name] = str(error)
                        progress.console.print(f"{name} is out: {error}", markup=False)
                progress.advance(task)


if __name__ == "__main__":
    sys.exit(main())
