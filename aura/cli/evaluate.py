"""`aura evaluate`: measure an engine on labelled tickets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aura.cli.local_models import load_model, progress_bar, read_labelled
from aura.cli.options import FormatOption
from aura.cli.output import note, out, print_json, print_rows
from aura.errors import ConfigurationError

if TYPE_CHECKING:
    from aura.ai.evaluation.evaluate import Classify

FileArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV file, or .gz of it.")
]


def evaluate(
    file: FileArgument,
    engine: Annotated[Literal["local", "openai"], typer.Option("--engine", help="The engine to measure.")] = "local",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Version, model file, or shipped; with --engine openai a model of the provider. Default: the active one.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title-column", help="Default: title.")] = None,
    description: Annotated[str | None, typer.Option("--description-column", help="Default: description.")] = None,
    category: Annotated[str | None, typer.Option("--category-column", help="Default: category.")] = None,
    priority: Annotated[str | None, typer.Option("--priority-column", help="Default: priority.")] = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", dir_okay=False, help="Write the reliability diagram to this SVG file.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first tickets of the file.")] = None,
    fmt: FormatOption = "table",
) -> None:
    """Measure an engine on labelled tickets: accuracy, F1, confusion, calibration, coverage, costs and latency.

    A label whose column is missing is not measured. Stores no ticket and sends no notification.

    Example: aura evaluate labelled.csv --model shipped
    """
    from aura.ai.evaluation import evaluate as evaluation
    from aura.settings import get_settings

    columns = {"title": title, "description": description, "category": category, "priority": priority}
    classify, name, categories = _local(model) if engine == "local" else _remote(model)
    examples = read_labelled(file, columns, limit).examples
    with progress_bar("classifying", len(examples)) as update:
        predictions = evaluation.evaluate(classify, examples, lambda done: update(done, "classifying"))
    report = {
        **predictions.report(categories, get_settings().auto_apply_precision),
        "engine": engine,
        "model": name,
        "file": file.name,
    }
    labels: dict[str, Any] = {each: report[each] for each in ("category", "priority") if each in report}
    if chart is not None:
        from aura.ai.evaluation.reliability_chart import reliability_chart

        title_ = f"{name} on {len(examples)} tickets of {file.name}"
        chart.write_text(reliability_chart(labels, title_), encoding="utf-8")
    if fmt == "json":
        print_json(report)
    else:
        _print_report(report, labels)
    if report["unanswered"]:
        note(f"{report['unanswered']} tickets without an answer: {report['last_error']}")
    if labels and report["unanswered"] == report["tickets"]:
        raise typer.Exit(1)


def _local(model: str | None) -> tuple[Classify, str, tuple[str, ...]]:
    from aura.ai.engines.local import LocalEngine
    from aura.settings import get_settings

    loaded = load_model(model)
    # the model's own categories: mapping them to AURA_CATEGORIES would not measure the model
    engine = LocalEngine(loaded.categories, loaded, get_settings().auto_apply_precision)
    return engine.classify, loaded.version, loaded.categories


def _remote(model: str | None) -> tuple[Classify, str, tuple[str, ...]]:
    from aura.ai import make_engine
    from aura.settings import get_settings

    settings = get_settings()
    if not settings.openai_api_key:
        raise ConfigurationError("OPENAI_API_KEY: not set; --engine local needs no key")
    if model:
        settings = settings.model_copy(update={"ai_model": model})
    # `reclassify` asks the provider alone, without the local engine as fallback
    engine: Any = make_engine(settings)
    return engine.reclassify, settings.ai_model, settings.categories


def _print_report(report: dict[str, Any], labels: dict[str, Any]) -> None:
    for name, label in labels.items():
        applied, coverage = label["applied"], label["coverage"]
        precision = f", {applied['accuracy']:.1%} of them right" if applied["accuracy"] is not None else ""
        out.print(
            f"[bold]{name}[/]: accuracy {label['accuracy']:.1%} on {label['tickets']} tickets, "
            f"macro F1 {label['macro_f1']:.3f}, calibration error {label['ece']:.3f}",
            soft_wrap=True,
        )
        out.print(
            f"applied without review: {applied['share']:.1%}{precision}; "
            f"at most {coverage['share']:.1%} at a precision of {coverage['wanted_precision']:g}",
            soft_wrap=True,
        )
        rows = [
            {"class": each, **row, "confused with": _confused_with(each, label["confusion"])}
            for each, row in label["per_class"].items()
        ]
        print_rows(rows, ("class", "precision", "recall", "f1", "support", "confused with"), "table", "")
        out.print()
    latency = report["latency_ms"]
    out.print(
        f"{report['engine']} {report['model']}: {report['cost']:.4f} US dollars, "
        f"latency {latency['p50']:g} ms (p50), {latency['p95']:g} ms (p95)",
        soft_wrap=True,
    )


def _confused_with(name: str, confusion: dict[str, dict[str, int]]) -> str:
    """Return the classes that were predicted instead of this one, the most frequent first."""
    wrong = [(count, predicted) for predicted, count in confusion.get(name, {}).items() if predicted != name]
    return ", ".join(f"{predicted} {count}" for count, predicted in sorted(wrong, reverse=True)) or "-"
