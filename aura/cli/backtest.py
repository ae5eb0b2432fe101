"""`aura backtest`: compare another model with the verdicts that people reviewed."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import ready_database
from aura.cli.options import FormatOption
from aura.cli.output import err, note, out, print_json, print_rows
from aura.errors import NotFound


def backtest(
    model: Annotated[
        str, typer.Option("--model", help="Model of the provider, version of a local model (local-...), or shipped.")
    ],
    last: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of reviewed tickets, beginning with the newest.")
    ] = 500,
    fmt: FormatOption = "table",
) -> None:
    """Classify reviewed tickets with another model, before you switch to it.

    Shows the accuracy of the model and of the stored verdicts, the differences, and the costs. Changes no ticket and
    sends no notification.

    Example: aura backtest --model shipped --last 200
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with ready_database():
        from aura.desk.backtest import backtest as run_backtest

        bar = Progress(
            TextColumn("classifying"),
            BarColumn(40),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        )
        with bar:
            task = bar.add_task("", total=None)
            report = run_backtest(model, last, lambda done, total: bar.update(task, completed=done, total=total))
    if fmt == "json":
        print_json(report.as_dict())
        return
    if not report.tickets and not report.unanswered:
        raise NotFound("no ticket is reviewed yet; `aura tickets correct` reviews one")
    now, before = report.accuracy(report.right), report.accuracy(report.right_before)
    out.print(f"{report.model} on {report.tickets} reviewed tickets:")
    rows = [
        {
            "field": name,
            "right": f"{now[name]:.1%}",
            "before": f"{before[name]:.1%}",
            "different": sum(each["field"] == name for each in report.changed),
        }
        for name in now
    ]
    print_rows(rows, ("field", "right", "before", "different"), fmt, "")
    note(f"{report.dollars:.4f} US dollars")
    if report.unanswered:
        note(f"{report.unanswered} tickets without an answer: {report.why_unanswered}")
