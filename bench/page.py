"""docs/performance.md: the command writes its figures between the markers, so that none is typed by hand."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

from bench import chart, tables
from bench.results import Results
from bench.services import ROOT

DOCS = ROOT / "docs"


def write(results: Results, page: Path = DOCS / "performance.md", svg: Path = DOCS / "performance.svg") -> None:
    """Write the figures into the page and draw the chart."""
    text = page.read_text()
    if "peers" in results:
        svg.write_text(chart.draw(results["peers"]))
    for name, grids in sections(results).items():
        text = between(text, name, grids)
    page.write_text(text)


def sections(results: Results) -> dict[str, str]:
    """Return the text of each part that was measured."""
    written = {"goals": tables.goals(results).markdown()}
    if measured := results.get("peers"):
        where = "{date}, on {machine}; Python {python}, RabbitMQ {rabbitmq}, PostgreSQL {postgresql}.".format(
            **measured
        )
        written["peers"] = "\n\n".join([where, *(grid.markdown() for grid in tables.peers(measured))])
        written["settings"] = tables.settings(measured).markdown()
    if measured := results.get("growth"):
        explained = f"{len(measured['statements'])} different statements were explained at the largest sizes."
        written["growth"] = "\n\n".join([*(grid.markdown() for grid in tables.growth(measured)), explained])
    if measured := results.get("relay"):
        written["relay"] = relay(measured)
    if measured := results.get("hanging"):
        written["hanging"] = hanging(measured)
    if measured := results.get("reanalysis"):
        written["reanalysis"] = reanalysis(measured)
    return written


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
    """Return what new tickets noticed of old ones that were looked at again, in one sentence, with when and where."""
    beside = [each for each in measured["rounds"] if each["backlog"]]
    return (
        "{date}, on {machine}: new tickets at {rate:g}/s took {p95_beside:,.1f} ms at p95 while {backlog:,} others were due for "
        "another look, of which {looked_at:,.0f} were looked at meanwhile, and {p95_alone:,.1f} ms without: {ratio:.2f}x "
        "(medians of {count} rounds of {seconds:g} s each)."
    ).format(
        **measured,
        backlog=beside[0]["backlog"],
        looked_at=median(each["looked_at"] for each in beside),
        count=len(beside),
    )


def between(text: str, name: str, content: str) -> str:
    """Replace what is between the two markers of a part. Raises ValueError when they are missing."""
    opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    replaced, count = re.subn(
        f"{re.escape(opening)}.*?{re.escape(closing)}",
        lambda _: f"{opening}\n{content}\n{closing}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"docs/performance.md needs the markers {opening} and {closing} once")
    return replaced
