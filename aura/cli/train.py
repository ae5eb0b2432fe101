"""`aura train`: train a local model on reviewed tickets or on a labelled file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import reads, writes
from aura.cli.local_models import active_model, progress_bar, read_labelled
from aura.cli.options import FormatOption
from aura.cli.output import note, out, print_json, print_rows
from aura.errors import Conflict

if TYPE_CHECKING:
    from aura.ai.engines.model import Model
    from aura.ai.training.datasets import Example


def train(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="Labelled CSV file, or .gz of it. Default: reviewed tickets."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Column with the text.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Column with the title, if there is one.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Column with the category.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", help="Column with the priority.")] = None,
    to: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Also write the model to this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Activate the new model even if it is worse.")] = False,
    fmt: FormatOption = "table",
) -> None:
    """Train a local model, compare it with the active one, and activate it unless it is worse.

    Without a file, the training data are the tickets that people corrected or confirmed and the data of the shipped
    model. With a file, they are its rows alone, with any categories. Both models are compared on tickets that are held
    out of training. Needs scikit-learn: pip install 'aura-desk\\[learn]'

    Example: aura train labelled.csv --text body --label category
    """
    from aura.ai.training.fit import require_scikit_learn

    require_scikit_learn()
    with reads() as session:  # before the training, so that a wrong DATABASE_URL is reported at once
        tickets = _reviewed(session) if file is None else None
        old = active_model(session)
    if tickets is None:
        assert file is not None
        columns = {"title": title, "description": text, "category": label, "priority": priority}
        tickets = read_labelled(file, columns, None).examples
    from aura.ai.training import train as training
    from aura.ai.training.datasets import one_spelling
    from aura.settings import get_settings

    with progress_bar("training", 1.0) as update:
        trained = training.train(
            one_spelling(tickets, get_settings().categories),
            old,
            get_settings().auto_apply_precision,
            with_shipped=file is None,
            progress=lambda what, share: update(share, what),
        )
    activated = force or not trained.worse
    with writes() as session:
        from db import local_models

        report = {**trained.report, "source": file.name if file else "reviewed tickets"}
        local_models.store(session, trained.model.version, gzip.compress(trained.content.encode(), mtime=0), report)
        if activated:
            local_models.activate(session, trained.model.version)
    if to is not None:
        to.write_text(trained.content, encoding="utf-8")
    if fmt == "json":
        print_json({**report, "active": activated, "worse": trained.worse})
    else:
        _print_report(report, activated)
    _print_notes(trained.model, trained.worse, activated)


def _reviewed(session: Any) -> list[Example]:
    from aura.ai.training.datasets import Example
    from aura.ai.training.train import LEAST
    from db import local_models

    tickets = [Example(*each) for each in local_models.reviewed_tickets(session)]
    if len(tickets) < LEAST:
        raise Conflict(
            f"{len(tickets)} tickets are reviewed, training needs at least {LEAST}: "
            "review more with `aura tickets correct`, or name a labelled file"
        )
    return tickets


def _print_report(report: dict[str, Any], activated: bool) -> None:
    rows = [
        {
            "label": name,
            "held out": report[name]["tickets"],
            "accuracy": f"{report[name]['accuracy']:.1%}",
            "before": f"{report[name]['before']['accuracy']:.1%}",
            "macro F1": f"{report[name]['macro_f1']:.3f}",
            "before (F1)": f"{report[name]['before']['macro_f1']:.3f}",
        }
        for name in ("category", "priority")
        if name in report
    ]
    print_rows(rows, list(rows[0]) if rows else [], "table", "No ticket was held out.")
    out.print(
        f"{report['version']}: trained on {report['tickets']} tickets in {report['seconds']} s, compared with "
        f"{report['compared_with']}; " + ("active" if activated else "not activated"),
        soft_wrap=True,
    )


def _print_notes(model: Model, worse: list[str], activated: bool) -> None:
    from aura.settings import get_settings

    if worse:
        result = "activated because of --force" if activated else "not activated; --force activates it"
        note(f"worse on held-out tickets ({'; '.join(worse)}): {result}")
    if not model.priorities:
        note("the training data have no priorities: rules of impact and urgency set them")
    if unknown := [name for name in model.categories if name not in get_settings().categories]:
        note(
            f"AURA_CATEGORIES does not name {', '.join(unknown)}: such tickets get the fallback category; "
            f"set AURA_CATEGORIES={','.join(model.categories)}"
        )
