"""`aura costs`: what the remote AI engine costs."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import reads
from aura.cli.options import FormatOption
from aura.cli.output import note, print_json, print_rows


def costs(
    days: Annotated[float, typer.Option(min=0.01, max=3660, help="Length of the period, in days.")] = 7.0,
    fmt: FormatOption = "table",
) -> None:
    """Show the costs of the remote AI engine by day and model, and how often both engines agree.

    Example: aura costs --days 30
    """
    with reads() as session:
        from aura.settings import get_settings
        from db import ai_costs

        budget = get_settings().ai_budget_day
        today, calls = ai_costs.spent_today(session), ai_costs.by_model(session, days)
        verdicts = ai_costs.agreement(session, days)
    if fmt == "json":
        print_json({"today": round(today, 6), "budget": budget, "calls": calls, "verdicts": verdicts})
        return
    columns = ("day", "model", "calls", "failed", "input_tokens", "output_tokens", "dollars")
    rows = [row | {"dollars": f"{row['dollars']:.4f}"} for row in calls]
    print_rows(rows, columns, fmt, "No calls: the local engine classifies, without costs.")
    note(f"today: {today:.4f} of {budget:.2f} US dollars (AURA_AI_BUDGET_DAY)")
    if verdicts["remote"]:
        note(
            f"{verdicts['verdicts']} verdicts: {verdicts['remote']} remote ({verdicts['cached']} from the cache), "
            f"{verdicts['stepped_in']} by the local engine as fallback; the engines disagree on the category of "
            f"{verdicts['disagreed']}"
        )
