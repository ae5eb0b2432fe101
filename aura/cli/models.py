"""`aura models`: the local models, and which one is active; `aura train` creates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import audited, reads
from aura.cli.local_models import load_model
from aura.cli.options import FormatOption
from aura.cli.output import note, out, print_fields, print_json, print_result, print_rows

if TYPE_CHECKING:
    from aura.ai.engines.local import LocalEngine

app = typer.Typer(name="models", help="Local models: list, activate, show.", no_args_is_help=True)


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the shipped model and the trained ones, with their accuracy and the active one.

    Example: aura models list
    """
    with reads() as session:
        from db import local_models

        rows = local_models.versions(session)
    if fmt == "json":
        print_json(rows)
        return
    columns = ("version", "active", "created_at", "tickets", "category", "priority", "source")
    print_rows([_row(row) for row in rows], columns, fmt, "")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    report = row["report"]
    accuracy = {name: f"{report[name]['accuracy']:.1%}" if name in report else "-" for name in ("category", "priority")}
    return {
        **row,
        "active": "yes" if row["active"] else "",
        "tickets": report.get("tickets"),
        **accuracy,
        "source": report.get("source", "shipped with Aura"),
    }


@app.command("use")
def use(
    version: Annotated[str, typer.Argument(help="Version from `aura models list`, or shipped.")],
    fmt: FormatOption = "table",
) -> None:
    """Activate a local model; workers load it within half a minute.

    Example: aura models use shipped
    """
    with audited("model.use", f"model/{version}") as session:
        from db import local_models

        local_models.activate(session, version)
    print_result(fmt, {"active": version}, f"model {version} is active")


@app.command("show")
def show(
    version: Annotated[
        str | None, typer.Argument(help="Version, model file, or shipped. Default: the active model.")
    ] = None,
    fmt: FormatOption = "table",
) -> None:
    """Show a model: its training, and the confidence from which its verdicts are applied without review.

    Example: aura models show shipped
    """
    from aura.ai.engines.local import LocalEngine
    from aura.settings import get_settings

    settings = get_settings()
    model = load_model(version)
    engine = LocalEngine(model.categories, model, settings.auto_apply_precision)
    with reads() as session:
        from db import local_models

        report: dict[str, Any] = next(
            (row["report"] for row in local_models.listing(session) if row["version"] == model.version), {}
        )
    rows = _thresholds(engine)
    fields = {
        "version": model.version,
        "wanted_precision": settings.auto_apply_precision,
        "features": len(model.words),
        **{name: value for name, value in report.items() if not isinstance(value, dict) and name != "version"},
    }
    if fmt == "json":
        print_json({**fields, "report": report, "thresholds": rows})
        return
    print_fields(fields)
    out.print()
    print_rows(
        rows, ("label", "class", "threshold", "applied", "precision", "seen"), fmt, "The model has no threshold."
    )
    note(
        "threshold: confidence from which on a verdict is applied; -: always reviewed. applied: share of such verdicts."
    )


def _thresholds(engine: LocalEngine) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "class": name,
            "threshold": threshold.confidence,
            "applied": round(threshold.share, 4),
            "precision": round(threshold.precision, 4) if threshold.confidence is not None else None,
            "seen": threshold.tickets,
        }
        for label, thresholds in engine.thresholds.items()
        for name, threshold in sorted(thresholds.items())
    ]
