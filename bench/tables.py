"""The figures as tables, once for the terminal and once for docs/explanation/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from bench.results import Results, best_celery

#: Heading and format of each column; what was not measured stays empty.
FIGURES = (
    ("tickets/s (lowest-highest)", "{rate:,.0f} ({lowest:,.0f}-{highest:,.0f})"),
    ("CPU µs/ticket: workers", "{cpu_workers:,.0f}"),
    ("broker", "{cpu_broker:,.0f}"),
    ("database", "{cpu_database:,.0f}"),
    ("ms at 50/s: p50 / p95 / p99", "{steady_p50:,.1f} / {steady_p95:,.1f} / {steady_p99:,.1f}"),
    ("CPU µs/ticket at 50/s", "{steady_cpu:,.0f}"),
    ("ms at 70 %: p50 / p95 / p99", "{share_p50:,.1f} / {share_p95:,.1f} / {share_p99:,.1f} ({share_rate:,.0f}/s)"),
    ("memory, MB", "{memory_mb:,.0f}"),
    ("connections: broker", "{broker_connections:.0f}"),
    ("database", "{database_connections:.0f}"),
)
#: What is compared, and its heading.
COMPARED = (
    ("rate", "tickets/s"),
    ("cpu", "CPU/ticket"),
    ("steady_p95", "p95 at 50/s"),
    ("steady_cpu", "CPU at 50/s"),
    ("share_p95", "p95 at 70 %"),
    ("memory_mb", "memory"),
    ("broker_connections", "broker connections"),
    ("database_connections", "database connections"),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table before it is drawn."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    #: Whether the cells are words, not figures.
    words: bool = False

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left", title_style="bold", box=None, header_style="dim")
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="left" if self.words or number == 0 else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        ruler = ["---", *["---" if self.words else "---:"] * (len(self.headings) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, ruler, *self.rows)]
        return "\n".join((f"**{self.title}**", "", *lines))


def peers(measured: Results) -> list[Grid]:
    """Return the figures, and how they compare with Celery's and plain Dramatiq's."""
    contenders = measured["contenders"]
    medians = {name: each["median"] for name, each in contenders.items()}
    shown = [(heading, form) for heading, form in FIGURES if any(_text(form, median) for median in medians.values())]
    rounds = "the median of {rounds} rounds" if measured["rounds"] > 1 else "one round"
    figures = Grid(f"Figures, {rounds.format(**measured)}", ["", *(heading for heading, _ in shown)])
    for name, median in medians.items():
        figures.rows.append([contenders[name]["title"], *(_text(form, median) for _, form in shown)])
    celery, plain = best_celery(medians), "plain" if "plain" in medians else None
    grids = [figures]
    if celery and plain:
        title = f"As a multiple of {contenders[celery]['title']} / of {contenders[plain]['title']}"
        compared = [(key, heading) for key, heading in COMPARED if key in medians[celery]]
        ratios = Grid(title, ["", *(heading for _, heading in compared)])
        for name, median in medians.items():
            cells = [
                f"{_ratio(median, medians[celery], key)} / {_ratio(median, medians[plain], key)}" for key, _ in compared
            ]
            ratios.rows.append([contenders[name]["title"], *cells])
        grids.append(ratios)
    return grids


def settings(measured: Results) -> Grid:
    """Return who ran with which versions and settings."""
    grid = Grid("Versions and settings", ["", "versions", "settings"], words=True)
    for each in measured["contenders"].values():
        versions = ", ".join(f"{name} {number}" for name, number in each["versions"].items())
        grid.rows.append([each["title"], versions, each["settings"]])
    return grid


def _text(form: str, median: dict[str, float]) -> str:
    try:
        return form.format(**median)
    except KeyError:
        return ""


def _ratio(mine: dict[str, float], theirs: dict[str, float], key: str) -> str:
    if key not in mine or not theirs.get(key):
        return "-"
    ratio = mine[key] / theirs[key]
    return f"{ratio:.1f}x" if ratio >= 1 else f"{ratio:.2f}x"


def growth(measured: Results) -> list[Grid]:
    """Return what the same work costs with more in the tables, and with more waiting."""
    filled = Grid("Finished tickets in the tables", ["", "tickets/s", "CPU µs/ticket", "ms at 50/s: p50 / p95 / p99"])
    for each in measured["tables"]:
        took = "{p50:,.1f} / {p95:,.1f} / {p99:,.1f}".format(**each["latency"])
        filled.rows.append([f"{each['size']:,}", f"{each['rate']:,.0f}", f"{sum(each['cpu'].values()):,.0f}", took])
    headings = ["", "jobs/s", "of the first", "an urgent ticket overtakes, ms: p50 / p95"]
    waiting = Grid("Tickets waiting for their first step", headings)
    for each in measured["backlog"]:
        share = each["jobs_per_second"] / measured["backlog"][0]["jobs_per_second"]
        took = "{urgent_p50:,.0f} / {urgent_p95:,.0f}".format(**each)
        waiting.rows.append([f"{each['size']:,}", f"{each['jobs_per_second']:,.0f}", f"{share:.0%}", took])
    trouble = [each for each in measured["statements"] if each["trouble"]]
    grids = [filled, waiting]
    return [*grids, statements(trouble)] if trouble else grids


def statements(explained: Sequence[Results]) -> Grid:
    """Return statements with how they reach their rows."""
    grid = Grid("Statements", ["", "runs", "most rows read", "access", "trouble"], words=True)
    for each in explained:
        access = ", ".join(each["access"])
        grid.rows.append([each["text"], f"{each['runs']:,}", f"{each['most_read']:,}", access, each["trouble"]])
    return grid


def goals(everything: Results) -> Grid:
    """Return what the job core has to reach, and what it reached, as far as it was measured."""
    grid = Grid("Goals", ["", "wanted", "measured"])
    medians = {name: each["median"] for name, each in everything.get("peers", {}).get("contenders", {}).items()}
    ours, celery = medians.get("aura"), best_celery(medians)
    against = [(celery, "at least 12x"), ("plain", "at least 12x"), ("ceiling", "at least 0.40x")]
    for name, wanted in against:
        if ours and name in medians:
            title = everything["peers"]["contenders"][name]["title"]
            grid.rows.append([f"tickets/s against {title}", wanted, f"{ours['rate'] / medians[name]['rate']:.2f}x"])
    if ours and "steady_p95" in ours and "plain" in medians:
        wanted = f"at most {medians['plain']['steady_p95']:,.1f} ms, as plain Dramatiq"
        grid.rows.append(["p95 at 50 tickets/s", wanted, f"{ours['steady_p95']:,.1f} ms"])
    if waiting := everything.get("growth", {}).get("backlog"):
        share = waiting[-1]["jobs_per_second"] / waiting[0]["jobs_per_second"]
        what = f"throughput with {waiting[-1]['size']:,} waiting, against {waiting[0]['size']:,}"
        grid.rows.append([what, "at least 80%", f"{share:.0%}"])
    if relay := everything.get("relay"):
        rate = f"{relay['jobs_per_second']:,.0f}"
        grid.rows.append(["the relay alone, jobs/s", "at least 50,000", rate])
    return grid
