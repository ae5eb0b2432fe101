"""The chart of a soak test, as SVG by matplotlib: memory, descriptors, tables and times over the tickets that have passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Sampled tables that are drawn, and the times.
TABLES = ("jobs", "outbox", "attempts", "notifications", "tickets")
TIMES = ("claim", "dispatch", "complete")


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write the chart."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "aura", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    samples: Sequence[Mapping[str, Any]] = found["samples"]
    done = [each["done"] for each in samples]
    figure, axes = pyplot.subplots(2, 2, figsize=(9.5, 6.2), layout="constrained")

    def lines(axis: Any, title: str, values: Mapping[str, Callable[[Mapping[str, Any]], float | None]]) -> None:
        for name, value in values.items():
            axis.plot(done, [value(each) for each in samples], label=name, linewidth=1.2)
        axis.set_title(title)
        axis.set_ylim(0, axis.get_ylim()[1] * 1.35)  # the legend stands above the lines
        axis.set_xlabel("tickets")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.legend(fontsize=7, loc="upper left", ncols=3)
        axis.grid(alpha=0.3)

    names = list(samples[-1]["processes"])
    lines(axes[0][0], "Memory of each process, MB (RSS)", {name: _of(name, "rss_mb") for name in names})
    lines(
        axes[0][1],
        "Descriptors, and connections of all processes",
        {
            **{name: _of(name, "descriptors") for name in names},
            "AMQP": lambda each: each["amqp_connections"],
            "PostgreSQL": lambda each: each["database_connections"],
        },
    )
    lines(axes[1][0], "Tables with indexes, MB", {name: _size(name) for name in TABLES})
    lines(
        axes[1][1],
        "Statements, mean of an interval, ms",
        {name: (lambda each, name=name: each["milliseconds"].get(name)) for name in TIMES},  # type: ignore[misc]
    )
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _of(name: str, value: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda each: each["processes"].get(name, {}).get(value)


def _size(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda each: each["tables"][name]["table_mb"] + each["tables"][name]["indexes_mb"]
