"""`aura evaluate`: how good an engine is on labelled tickets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aura.cli.local_models import bar, model_of, read_file
from aura.cli.options import FormatOption
from aura.cli.output import Refused, emit, note, out, show_rows

if TYPE_CHECKING:
    from aura.ai.evaluation.evaluate import Classify

FileArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A .csv file, or .gz of it.")
]


def evaluate(
    file: FileArgument,
    engine: Annotated[Literal["local", "openai"], typer.Option("--engine", help="Who is asked.")] = "local",
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="A version, a model file, or shipped; for openai the provider's model. Default: in use."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title-column", help="If it is not called title.")] = None,
    description: Annotated[str | None, typer.Option("--description-column", help="If not description.")] = None,
    category: Annotated[str | None, typer.Option("--category-column", help="If not category.")] = None,
    priority: Annotated[str | None, typer.Option("--priority-column", help="If not priority.")] = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", dir_okay=False, help="Write the reliability chart, SVG.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first tickets of the file.")] = None,
    how: FormatOption = "table",
) -> None:
    """Measure an engine on labelled tickets: accuracy, F1, confusion, calibration, what it may decide alone, cost, time.

    The file has columns title, description, category, priority, or those you name; a label without a column is not
    measured. No ticket is stored and nobody is told.
    """
    from aura.ai.evaluation import evaluate as evaluation
    from aura.settings import get_settings

    columns = {"title": title, "description": description, "category": category, "priority": priority}
    asked, name, categories = _local(model) if engine == "local" else _remote(model)
    examples = read_file(file, columns, limit, "reading").examples
    with bar("asking", len(examples)) as told:
        found = evaluation.evaluate(asked, examples, lambda done: told(done, "asking"))
    report = {
        **found.report(categories, get_settings().auto_apply_precision),
        "engine": engine,
        "model": name,
        "file": file.name,
    }
    figures: dict[str, Any] = {each: report[each] for each in ("category", "priority") if each in report}
    if chart is not None:
        from aura.ai.evaluation.reliability_chart import reliability_chart

        chart.write_text(
            reliability_chart(figures, f"{name} on {len(examples)} tickets of {file.name}"), encoding="utf-8"
        )
    if how == "json":
        emit(report)
    else:
        _print_evaluation(report, figures)
    if report["unanswered"]:
        note(f"{report['unanswered']} tickets had no answer: {report['last_error']}")
    if figures and report["unanswered"] == report["tickets"]:
        raise typer.Exit(1)


def _local(model: str | None) -> tuple[Classify, str, tuple[str, ...]]:
    from aura.ai.engines.local import LocalEngine
    from aura.settings import get_settings

    known = model_of(model)
    # its own categories: what becomes of those that AURA_CATEGORIES does not name says nothing about the model
    engine = LocalEngine(known.categories, known, get_settings().auto_apply_precision)
    return engine.classify, known.version, known.categories


def _remote(model: str | None) -> tuple[Classify, str, tuple[str, ...]]:
    from aura.ai import make_engine
    from aura.settings import get_settings

    settings = get_settings()
    if not settings.openai_api_key:
        raise Refused("OPENAI_API_KEY is not set, so there is nobody to ask; --engine local needs no key")
    if model:
        settings = settings.model_copy(update={"ai_model": model})
    # what it says itself, and not what the local engine says for it
    engine: Any = make_engine(settings)
    return engine.reclassify, settings.ai_model, settings.categories


def _print_evaluation(report: dict[str, Any], figures: dict[str, Any]) -> None:
    for name, found in figures.items():
        applied, cover = found["applied"], found["coverage"]
        alone = f", {applied['accuracy']:.1%} of them right" if applied["accuracy"] is not None else ""
        out.print(
            f"[bold]{name}[/]: {found['accuracy']:.1%} of {found['tickets']} right, macro F1 {found['macro_f1']:.3f}, "
            f"calibration error {found['ece']:.3f}",
            soft_wrap=True,
        )
        out.print(
            f"applied without review: {applied['share']:.1%}{alone}; "
            f"at best {cover['share']:.1%} at a precision of {cover['wanted_precision']:g}",
            soft_wrap=True,
        )
        rows = [
            {"class": each, **row, "taken for": _taken_for(each, found["confusion"])}
            for each, row in found["per_class"].items()
        ]
        show_rows(rows, ("class", "precision", "recall", "f1", "support", "taken for"), "table", "")
        out.print()
    wait = report["latency_ms"]
    out.print(
        f"{report['engine']} {report['model']}: {report['cost']:.4f} US dollars, "
        f"{wait['p50']:g} ms a ticket, {wait['p95']:g} ms for the slowest twentieth",
        soft_wrap=True,
    )


def _taken_for(name: str, confusion: dict[str, dict[str, int]]) -> str:
    """Return what a class was taken for by mistake, the most frequent first."""
    wrong = sorted(((count, said) for said, count in confusion.get(name, {}).items() if said != name), reverse=True)
    return ", ".join(f"{said} {count}" for count, said in wrong) or "-"
