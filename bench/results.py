"""What was measured, as `bench/results.json`: every sample, the medians, the machine, and each contender's settings."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.contenders import CONTENDERS
from bench.services import ROOT, Servers

if TYPE_CHECKING:  # it measures, and needs more for that than who only reads what was measured
    from bench.rounds import Sample

PATH = ROOT / "bench" / "results.json"
#: The load above which a machine counts as busy with something else; starting the servers makes some.
BUSY = 1.0
Results = dict[str, Any]


def load(path: Path = PATH) -> Results:
    """Return what is known so far."""
    known: Results = json.loads(path.read_text()) if path.exists() else {}
    return known


def store(part: str, measured: Results, path: Path = PATH) -> Results:
    """Replace one part of the file, `peers`, `growth`, `relay`, `hanging` or `reanalysis`, and return all of it."""
    everything = load(path) | {part: rounded(measured)}
    path.write_text(json.dumps(everything, indent=2, ensure_ascii=False) + "\n")
    return everything


def surroundings(servers: Servers) -> Results:
    """Return when and where this is measured; says so when the machine has something else to do."""
    busy = os.getloadavg()[0]
    if busy > BUSY:
        print(f"The machine is busy (load {busy:.1f}): the figures will be worse than they should be.", file=sys.stderr)
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "load_before": round(busy, 1),
        "python": platform.python_version(),
        "rabbitmq": servers.rabbitmq.evaluate("rabbit_misc:version()").strip('"'),
        "postgresql": servers.postgresql_version() + ", as installed, fsync on",
    }


def machine() -> str:
    """Return the machine in words."""
    return f"{os.cpu_count()} cores, {_processor()}, {_memory_gb():.0f} GB, {platform.system()} {platform.release()}"


def peers(samples: dict[str, list[Sample]], asked: Results, where: Results) -> Results:
    """Return the samples with what they mean."""
    contenders = {}
    for name, each in samples.items():
        contender = CONTENDERS[name]
        contenders[name] = {
            "title": contender.title,
            "settings": contender.settings,
            "versions": {package: version(package) for package in contender.packages},
            "command": [" ".join(("python", *command[1:])) for command in contender.commands],
            "median": summary(each),
            "samples": [asdict(sample) for sample in each],
        }
    return rounded({**where, **asked, "contenders": contenders})


def rounded(measured: Results) -> Results:
    """Return the same with three decimals, which is more than a benchmark knows."""
    shorter: Results = json.loads(json.dumps(measured), parse_float=lambda text: round(float(text), 3))
    return shorter


def summary(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the medians of all rounds, with the lowest and the highest rate."""
    flat = [_flat(sample) for sample in samples]
    rates = [each["rate"] for each in flat]
    middle = {key: median(each[key] for each in flat if key in each) for key in flat[0]}
    return {**middle, "lowest": min(rates), "highest": max(rates)}


def best_celery(medians: dict[str, dict[str, float]]) -> str | None:
    """Return the Celery that did the most tickets/s."""
    celeries = [name for name in medians if name.startswith("celery")]
    return max(celeries, key=lambda name: medians[name]["rate"], default=None)


def _flat(sample: Sample) -> dict[str, float]:
    flat = {"rate": sample.tickets_per_second, "cpu": sum(sample.cpu.values()), "memory_mb": sample.memory_mb}
    flat |= {f"cpu_{who}": used for who, used in sample.cpu.items()}
    flat |= {"broker_connections": sample.broker_connections, "database_connections": sample.database_connections}
    for load, latency in sample.latency.items():
        flat |= {f"{load}_{key}": value for key, value in asdict(latency).items()}
    return flat


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
