"""`aura learn`: a new local model from what people corrected or confirmed, or from any labelled file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import reads, writes
from aura.cli.local_models import bar, model_in_use, read_file
from aura.cli.options import FormatOption
from aura.cli.output import Refused, emit, note, out, show_rows

if TYPE_CHECKING:
    from aura.ai.engines.model import Model
    from aura.ai.training.datasets import Example


def learn(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A labelled .csv file, or .gz of it; none: the database."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The file's column with the text.")] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="The file's column with the title, if it has one.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="The file's column with the category.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", help="The file's column with the priority.")] = None,
    to: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write the model to this file, too.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Activate the new model even if it is worse.")] = False,
    how: FormatOption = "table",
) -> None:
    """Learn a new local model, measure it beside the one in use, and activate it unless it is worse.

    Without a file it learns from the tickets that people corrected or confirmed, beside what the shipped model learned
    from. With a file it learns from its rows alone, whatever their categories are. A part of the tickets is held back: old
    and new model are compared on it. Needs scikit-learn: pip install 'aura-desk\\[learn]'
    """
    from aura.ai.training.fit import TrainingError, require_scikit_learn

    try:
        require_scikit_learn()
        with reads() as session:  # first of all, for nobody wants to learn of a wrong database afterwards
            tickets = _judged(session) if file is None else None
            old = model_in_use(session)
        if tickets is None:
            assert file is not None
            columns = {"title": title, "description": text, "category": label, "priority": priority}
            tickets = read_file(file, columns, None, "reading").examples
        from aura.ai.training import train
        from aura.ai.training.datasets import one_spelling
        from aura.settings import get_settings

        with bar("learning", 1.0) as told:
            found = train.train(
                one_spelling(tickets, get_settings().categories),
                old,
                get_settings().auto_apply_precision,
                with_shipped=file is None,
                progress=lambda what, share: told(share, what),
            )
    except TrainingError as error:
        raise Refused(str(error)) from None
    activated = force or not found.worse
    with writes() as session:
        from db import local_models

        report = {**found.report, "source": file.name if file else "corrected and confirmed tickets"}
        local_models.store(session, found.model.version, gzip.compress(found.content.encode(), mtime=0), report)
        if activated:
            local_models.activate(session, found.model.version)
    if to is not None:
        to.write_text(found.content, encoding="utf-8")
    if how == "json":
        emit({**report, "active": activated, "worse": found.worse})
    else:
        _print_learned(report, activated)
    _after_learning(found.model, found.worse, activated)


def _judged(session: Any) -> list[Example]:
    from aura.ai.training.datasets import Example
    from aura.ai.training.train import LEAST
    from db import local_models

    tickets = [Example(*each) for each in local_models.reviewed_tickets(session)]
    if len(tickets) < LEAST:
        raise Refused(
            f"people have corrected or confirmed {len(tickets)} tickets, and at least {LEAST} are needed: "
            "aura tickets correct, or name a file of labelled tickets"
        )
    return tickets


def _print_learned(report: dict[str, Any], activated: bool) -> None:
    before = report["compared_with"]
    rows = [
        {
            "label": name,
            "held back": report[name]["tickets"],
            "right": f"{report[name]['accuracy']:.1%}",
            "before": f"{report[name]['before']['accuracy']:.1%}",
            "macro F1": f"{report[name]['macro_f1']:.3f}",
            "before (F1)": f"{report[name]['before']['macro_f1']:.3f}",
        }
        for name in ("category", "priority")
        if name in report
    ]
    show_rows(rows, list(rows[0]) if rows else [], "table", "nothing was held back")
    out.print(
        f"{report['version']}: learned from {report['tickets']} tickets in {report['seconds']} s, compared with {before}; "
        + ("active now" if activated else "not activated"),
        soft_wrap=True,
    )


def _after_learning(model: Model, worse: list[str], activated: bool) -> None:
    from aura.settings import get_settings

    if worse:
        what = "activated all the same, as you asked" if activated else "not activated; --force does"
        note(f"worse on held-back tickets ({'; '.join(worse)}): {what}")
    if not model.priorities:
        note("its tickets had no priorities, so the rules of impact and urgency give them")
    if unknown := [name for name in model.categories if name not in get_settings().categories]:
        note(
            f"until AURA_CATEGORIES names them, tickets of {', '.join(unknown)} go to the spare category; "
            f"set AURA_CATEGORIES={','.join(model.categories)}"
        )
