"""`aura models`: the local models that were learned here, and which one answers; `aura learn` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import acts, reads
from aura.cli.evaluate import evaluate
from aura.cli.local_models import model_of
from aura.cli.options import FormatOption
from aura.cli.output import Refused, emit, note, out, show_fields, show_rows, tell
from aura.cli.train import learn

if TYPE_CHECKING:
    from aura.ai.engines.local import LocalEngine

__all__ = ["app", "evaluate", "learn"]

app = typer.Typer(
    name="models", help="Local models that were learned here: list them, choose one, show one.", no_args_is_help=True
)


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the models: the shipped one and those that were learned here, and which one answers."""
    with reads() as session:
        from db import local_models

        rows = local_models.versions(session)
    if how == "json":
        emit(rows)
        return
    columns = ("version", "active", "created_at", "tickets", "category", "priority", "source")
    show_rows([_line(row) for row in rows], columns, how, "")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    report = row["report"]
    right = {name: f"{report[name]['accuracy']:.1%}" if name in report else "-" for name in ("category", "priority")}
    return {
        **row,
        "active": "yes" if row["active"] else "",
        "tickets": report.get("tickets"),
        **right,
        "source": report.get("source", "comes with Aura"),
    }


@app.command("use")
def use(
    version: Annotated[str, typer.Argument(help="A version from `aura models list`, or shipped.")],
    how: FormatOption = "table",
) -> None:
    """Let the local engine answer with this model; workers take it within half a minute."""
    with acts("model.use", f"model/{version}") as session:
        from db import local_models

        try:
            local_models.activate(session, version)
        except local_models.UnknownLocalModel as error:
            raise Refused(str(error)) from None
    tell(how, {"active": version}, f"the local engine answers with {version}")


@app.command("show")
def show(
    version: Annotated[
        str | None, typer.Argument(help="A version, a model file, or shipped; default: the one in use.")
    ] = None,
    how: FormatOption = "table",
) -> None:
    """Show a model: how it was learned, and from which confidence on its verdicts are applied without review."""
    from aura.ai.engines.local import LocalEngine
    from aura.settings import get_settings

    settings = get_settings()
    model = model_of(version)
    engine = LocalEngine(model.categories, model, settings.auto_apply_precision)
    with reads() as session:
        from db import local_models

        report: dict[str, Any] = next(
            (row["report"] for row in local_models.listing(session) if row["version"] == model.version), {}
        )
    rows = _thresholds(engine)
    about = {
        "version": model.version,
        "wanted_precision": settings.auto_apply_precision,
        "features": len(model.words),
        **{name: value for name, value in report.items() if not isinstance(value, dict) and name != "version"},
    }
    if how == "json":
        emit({**about, "report": report, "thresholds": rows})
        return
    show_fields(about)
    out.print()
    show_rows(rows, ("label", "class", "threshold", "applied", "precision", "seen"), how, "no threshold was learned")
    note("threshold: from which confidence on; -: always reviewed. applied: share of the class's held-back verdicts.")


def _thresholds(engine: LocalEngine) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "class": name,
            "threshold": found.confidence,
            "applied": round(found.share, 4),
            "precision": round(found.precision, 4) if found.confidence is not None else None,
            "seen": found.tickets,
        }
        for label, each in engine.thresholds.items()
        for name, found in sorted(each.items())
    ]
