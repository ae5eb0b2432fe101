"""Figures of a soak test: its samples in short, and whether they stayed flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: How much more memory a process may have at the end than after the first part, and how many more descriptors.
MEMORY_ALLOWED, DESCRIPTORS_ALLOWED = 1.10, 5
#: Tickets after which the first sample counts; a shorter test takes the one after a quarter.
FIRST = 10_000
#: Dead and free space in per cent that says nothing about a table of fewer megabytes.
SMALL_MB = 64.0

Sample = Mapping[str, Any]


def first_after(samples: Sequence[Sample], done: int) -> Sample:
    """Return the first sample after so many tickets, or else the last one."""
    return next((each for each in samples if each["done"] >= done), samples[-1])


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures after the first part and at the end, with their ratios."""
    samples: Sequence[Sample] = found["samples"]
    start = first_after(samples, min(FIRST, found["sent"] // 4))
    end = samples[-1]
    processes = {
        name: {
            "rss_mb": [start["processes"][name]["rss_mb"], each["rss_mb"]],
            "rss_ratio": each["rss_mb"] / start["processes"][name]["rss_mb"],
            "descriptors": [start["processes"][name]["descriptors"], each["descriptors"]],
            "threads": [start["processes"][name]["threads"], each["threads"]],
        }
        for name, each in end["processes"].items()
        if name in start["processes"]
    }
    return {
        "tickets": [start["done"], end["done"]],
        "tickets_per_second": (end["done"] - start["done"]) / max(end["seconds"] - start["seconds"], 1e-9),
        "processes": processes,
        "amqp_connections": [start["amqp_connections"], end["amqp_connections"]],
        "database_connections": [start["database_connections"], end["database_connections"]],
        "jobs_table_mb": [_size(start, "jobs"), max(_size(each, "jobs") for each in samples)],
        "claim_milliseconds": [_quarter(samples, "claim", 0), _quarter(samples, "claim", 3)],
        "dispatch_row_milliseconds": [_quarter(samples, "dispatch_row", 0), _quarter(samples, "dispatch_row", 3)],
    }


def problems(figures: Mapping[str, Any]) -> list[str]:
    """Return what did not stay flat, in words."""
    found = []
    for name, each in figures["processes"].items():
        if each["rss_ratio"] > MEMORY_ALLOWED:
            found.append(f"the memory of {name} grew from {each['rss_mb'][0]:.1f} to {each['rss_mb'][1]:.1f} MB")
        if each["descriptors"][1] > each["descriptors"][0] + DESCRIPTORS_ALLOWED:
            found.append(f"{name} has {each['descriptors'][1]} descriptors, before {each['descriptors'][0]}")
    before, after = figures["amqp_connections"]
    if after > before:
        found.append(f"{after} AMQP connections, before {before}")
    before, after = figures["jobs_table_mb"]
    if after > max(2 * before, SMALL_MB):
        found.append(f"the table jobs grew from {before:.1f} to {after:.1f} MB")
    return found


def _size(sample: Sample, table: str) -> float:
    each = sample["tables"][table]
    return float(each["table_mb"] + each["indexes_mb"])


def _quarter(samples: Sequence[Sample], name: str, quarter: int) -> float | None:
    """Return the mean of a time in a quarter of the samples."""
    size = max(len(samples) // 4, 1)
    values = [each["milliseconds"][name] for each in samples[quarter * size :][:size] if name in each["milliseconds"]]
    return sum(values) / len(values) if values else None
