"""The pages that hold figures: commands write them between markers, so that none is typed by hand.

`python -m bench.page` writes all of them from bench/results.json, and measures nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from bench import chart, reckoned, results, scaling_page, tables
from bench.results import Results
from bench.services import ROOT

DOCS = ROOT / "docs"
PAGES = (
    DOCS / "explanation/performance.md",
    DOCS / "explanation/scaling.md",
    DOCS / "how-to/scale.md",
    DOCS / "explanation/comparison.md",
)


def write(measured: Results) -> None:
    """Write the figures into the pages and draw the chart."""
    for path, text in written(measured).items():
        path.write_text(text)


def written(measured: Results) -> dict[Path, str]:
    """Return what the pages, and the chart, are with these figures."""
    texts = {path: path.read_text() for path in PAGES}
    for name, content in sections(measured).items():
        texts = between(texts, name, content)
    if "peers" in measured:
        texts[DOCS / "images/performance.svg"] = chart.draw(measured["peers"])
    return texts


def sections(measured: Results) -> dict[str, str]:
    """Return the text of each part that was measured."""
    found = {"goals": tables.goals(measured).markdown()}
    if peers := measured.get("peers"):
        where = "{date}, on {machine}; Python {python}, RabbitMQ {rabbitmq}, PostgreSQL {postgresql}.".format(**peers)
        found["peers"] = "\n\n".join([where, *(grid.markdown() for grid in tables.peers(peers))])
        found["settings"] = tables.settings(peers).markdown()
        found["others"] = reckoned.others(peers)
    if growth := measured.get("growth"):
        explained = f"{len(growth['statements'])} different statements were explained at the largest sizes."
        found["growth"] = "\n\n".join([*(grid.markdown() for grid in tables.growth(growth)), explained])
    if alone := measured.get("relay"):
        found["relay"] = relay(alone)
    if {"peers", "growth", "relay"} <= measured.keys():
        found["scaling"] = reckoned.scaling(measured)
    if hung := measured.get("hanging"):
        found["hanging"] = hanging(hung)
    if again := measured.get("reanalysis"):
        found["reanalysis"] = reanalysis(again)
    return found | scaling_page.sections(measured)


def relay(measured: Results) -> str:
    """Return what the relay alone did, in one sentence."""
    cpu = " + ".join(f"{used:.1f} µs {who}" for who, used in measured["cpu"].items())
    return (
        f"{measured['jobs_per_second']:,.0f} jobs a second became hints of {measured['batch']}, all confirmed "
        f"(median of {measured['rounds']} rounds of {measured['jobs']:,} due jobs; CPU for a job: {cpu})."
    )


def hanging(measured: Results) -> str:
    """Return what other channels noticed of one that hung, in one sentence, with when and where."""
    return (
        "{date}, on {machine}: with Slack answering nothing for {seconds:.0f} s at {rate:g} tickets/s, e-mail and webhook took "
        "{p95_beside:,.1f} ms at p95, and {p95_alone:,.1f} ms when it answered: {ratio:.2f}x (medians of {count} rounds each)."
    ).format(**measured, count=len(measured["rounds"]) // 2)


def reanalysis(measured: Results) -> str:
    """Return one sentence: the latency of new tickets while old ones are re-analyzed, with date and machine."""
    beside = [each for each in measured["rounds"] if each["backlog"]]
    return (
        "{date}, on {machine}: new tickets at {rate:g}/s took {p95_beside:,.1f} ms at p95 while {backlog:,} others were due for "
        "re-analysis, of which {looked_at:,.0f} were re-analyzed meanwhile, and {p95_alone:,.1f} ms without: {ratio:.2f}x "
        "(medians of {count} rounds of {seconds:g} s each)."
    ).format(
        **measured,
        backlog=beside[0]["backlog"],
        looked_at=median(each["looked_at"] for each in beside),
        count=len(beside),
    )


def between(texts: Mapping[Path, str], name: str, content: str) -> dict[Path, str]:
    """Replace what is between the two markers of a part. Raises ValueError when they are not there once."""
    opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    part = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    found = [path for path, text in texts.items() for _ in part.finditer(text)]
    if len(found) != 1:
        raise ValueError(f"one page of {', '.join(path.name for path in texts)} needs {opening} and {closing}, once")
    replaced = part.sub(lambda _: f"{opening}\n{content}\n{closing}", texts[found[0]])
    return {**texts, found[0]: replaced}


if __name__ == "__main__":
    write(results.load())
