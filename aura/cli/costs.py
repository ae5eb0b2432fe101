"""`aura spend` and `aura replay`: what the remote engine costs, and what another model would have said."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import reads, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import Refused, emit, err, note, out, show_rows


def spend(
    days: Annotated[float, typer.Option(min=0.01, max=3660, help="How far back.")] = 7.0, how: FormatOption = "table"
) -> None:
    """Show what the remote engine cost, day by day, and how far the two engines agree."""
    with reads() as session:
        from aura.settings import get_settings
        from db import ai_costs as spend

        budget = get_settings().ai_budget_day
        today, calls, said = spend.spent_today(session), spend.by_model(session, days), spend.agreement(session, days)
    if how == "json":
        emit({"today": round(today, 6), "budget": budget, "calls": calls, "verdicts": said})
        return
    columns = ("day", "model", "calls", "failed", "input_tokens", "output_tokens", "dollars")
    rows = [row | {"dollars": f"{row['dollars']:.4f}"} for row in calls]
    show_rows(rows, columns, how, "No remote engine was asked: the local one answers, and costs nothing.")
    note(f"today {today:.4f} of {budget:.2f} US dollars (AURA_AI_BUDGET_DAY)")
    if said["remote"]:
        note(
            f"{said['verdicts']} verdicts: {said['remote']} remote, {said['cached']} of them used again; the local engine "
            f"stepped in for {said['stepped_in']} and disagreed on the category of {said['disagreed']}"
        )


def replay(
    model: Annotated[str, typer.Option("--model", help="A model of the provider, a local-... version, or shipped.")],
    last: Annotated[int, typer.Option(min=1, max=100_000, help="Tickets that people decided, the newest first.")] = 500,
    how: FormatOption = "table",
) -> None:
    """Ask another model about tickets that people have decided, before you switch to it.

    Shows how often it is right beside what the engine in use had said, what would have been different, and what it costs.
    No ticket is changed and nobody is told.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with ready_database():
        from aura.desk.backtest import UnknownModel
        from aura.desk.backtest import backtest as run

        bar = Progress(
            TextColumn("asking"),
            BarColumn(40),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        )
        try:
            with bar:
                task = bar.add_task("", total=None)
                report = run(model, last, lambda done, all_: bar.update(task, completed=done, total=all_))
        except UnknownModel as error:
            raise Refused(str(error)) from None
    if how == "json":
        emit(report.as_dict())
        return
    if not report.tickets and not report.unanswered:
        raise Refused("nobody has decided a ticket yet; `aura tickets correct` does")
    now, before = report.accuracy(report.right), report.accuracy(report.right_before)
    out.print(f"{report.model} on {report.tickets} tickets that people decided:")
    rows = [
        {
            "field": name,
            "right": f"{now[name]:.1%}",
            "before": f"{before[name]:.1%}",
            "different": sum(each["field"] == name for each in report.changed),
        }
        for name in now
    ]
    show_rows(rows, ("field", "right", "before", "different"), how, "")
    note(f"{report.dollars:.4f} US dollars")
    if report.unanswered:
        note(f"{report.unanswered} had no answer: {report.why_unanswered}")
