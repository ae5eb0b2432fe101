"""Figures of docs/explanation/scaling.md: layouts, shares, retention, idle processes and the soak test, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.results import Results
from bench.tables import Grid

#: The load above which a figure says that the machine was busy.
BUSY = 1.0


def where(measured: Mapping[str, Any]) -> str:
    """Return when and where something was measured, with the load of a busy machine."""
    text = f"{measured['date']}, {measured['machine']}"
    busy = measured["load_before"] > BUSY
    return text + (f", load {measured['load_before']:.0f} by other programs" if busy else "")


def sections(everything: Results) -> dict[str, str]:
    """Return the text of each part that was measured."""
    makers = {"layouts": layouts, "shares": shares, "retention": retention, "idle": idle, "soak": soak}
    return {name: make(everything[name]) for name, make in makers.items() if name in everything}


def layouts(measured: Mapping[str, Any]) -> str:
    """Return throughput and CPU by worker commands and processes."""
    grid = Grid(
        "Worker commands and processes on one machine",
        (
            *("commands (relays) x processes", "tickets/s", "CPU µs/ticket: workers", "broker", "database"),
            *("database connections", "memory, MB"),
        ),
    )
    for each in measured["layouts"]:
        figures = [each[f"cpu_{who}"] for who in ("workers", "broker", "database")]
        figures = [each["tickets_per_second"], *figures, each["database_connections"], each["memory_mb"]]
        grid.rows.append([f"{each['commands']} x {each['processes']}", *(f"{figure:,.0f}" for figure in figures)])
    return f"{where(measured)}.\n\n{grid.markdown()}"


def shares(measured: Mapping[str, Any]) -> str:
    """Return the latency of others during a flood, and the cost of a dispatch in turn."""
    flood = Grid(
        f"Tickets of {measured['others']} requesters after {measured['tickets']:,} of one, seconds until the last mail",
        ("", "p50", "p95", "all tickets"),
    )
    for each in measured["flood"]:
        name = "in turn" if each["shares"] else "by age alone"
        flood.rows.append(
            [name, *(f"{each[key] / 1000:.1f}" for key in ("p50", "p95")), f"{each['flood_seconds']:.1f}"]
        )
    cost = Grid(
        f"A dispatch of 2,000 jobs from a backlog of {measured['backlog']:,}, milliseconds",
        ("requesters", "by age", "in turn", "jobs in turn", "ratio for a job"),
    )
    for each in measured["dispatches"]:
        ratio = each["turn"] / each["jobs"] / (each["age"] / each["of"])
        requesters = f"{min(each['requesters'], measured['backlog']):,}"
        cost.rows.append(
            [requesters, f"{each['age']:.1f}", f"{each['turn']:.1f}", f"{each['jobs']:,.0f}", f"{ratio:.2f}x"]
        )
    index = measured["index"]
    ratios = ", ".join(
        f"{what} {index[f'{what} with'] / index[f'{what} without']:.2f}x" for what in ("enqueue", "dispatch", "claim")
    )
    return "\n\n".join(
        (
            f"{where(measured)}.",
            flood.markdown(),
            cost.markdown(),
            f"With the index of shares, against without it: {ratios}.",
        )
    )


def retention(measured: Mapping[str, Any]) -> str:
    """Return the costs of DELETE and DROP, and the size of the table from day to day."""
    days, first = measured["days"], measured["first"]["total"]
    grid = Grid(f"Retention of a day of {measured['per_day']:,} attempts", ("", "seconds", "WAL, MB"))
    for name, key in (("DELETE in batches", "deleted"), ("DROP of a partition", "dropped")):
        took, wal = (median(day[key][value] for day in days) for value in ("seconds", "wal"))
        grid.rows.append([name, f"{took:.2f}", f"{wal / 1e6:.1f}"])
    sizes = ", ".join(f"{day['total'] / 1e6:,.0f}" for day in days)
    batch = median(day["deleted"]["batch"] for day in days) * 1000
    return (
        f"{where(measured)}.\n\n{grid.markdown()}\n\nSize of the table of 30 days with its indexes, MB: "
        f"{first / 1e6:,.0f} at the beginning; after each further day {sizes}. A batch took {batch:.0f} ms."
    )


def idle(measured: Mapping[str, Any]) -> str:
    """Return what idle processes cost."""
    cpu = measured["cpu_percent"]
    parts = ", ".join(f"{name} {cpu[name]:.2f} %" for name in ("web", "worker", "scheduler"))
    return (
        f"{where(measured)}: {cpu['all']:.2f} % of a core ({parts}), and {cpu['database']:.2f} % of the database server; "
        f"{measured['statements_per_second']:.1f} statements and {measured['transactions_per_second']:.1f} transactions a "
        f"second; "
        f"{measured['database_connections']} connections to PostgreSQL, {measured['amqp_connections']} to RabbitMQ, of which "
        f"{measured['amqp_connections_per_minute']:.0f} a minute are new (one worker command with two processes, "
        f"{measured['seconds']:.0f} s)."
    )


def soak(measured: Mapping[str, Any]) -> str:
    """Return memory, descriptors and times after the first part and at the end."""
    figures = measured["figures"]
    start, end = figures["tickets"]
    grid = Grid(
        f"After {start:,} and after {end:,} tickets", ("", "memory, MB (RSS)", "ratio", "descriptors", "threads")
    )
    for name, each in figures["processes"].items():
        grid.rows.append(
            [
                name,
                " / ".join(f"{value:.1f}" for value in each["rss_mb"]),
                f"{each['rss_ratio']:.3f}",
                " / ".join(f"{value:.0f}" for value in each["descriptors"]),
                " / ".join(f"{value:.0f}" for value in each["threads"]),
            ]
        )
    claim = [f"{value:.2f}" for value in figures["claim_milliseconds"] if value is not None]
    return (
        f"{where(measured)}: {end:,} tickets in {measured['seconds']:,.0f} s, {figures['tickets_per_second']:,.0f} a second.\n\n"
        f"{grid.markdown()}\n\nConnections: {figures['database_connections'][1]} to PostgreSQL, {figures['amqp_connections'][1]} "
        f"to RabbitMQ. The table `jobs` had at most {figures['jobs_table_mb'][1]:.1f} MB with its indexes. A claim took "
        f"{' ms in the first quarter of the test, '.join(claim)} ms in the last."
    )
