"""Pages /ai: accuracy and costs of the engines, local models, and the backtest of a model."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from actors import analysis
from aura.ai.engines.factory import local_engine
from aura.ai.evaluation.reliability_chart import reliability_chart
from aura.ai.training.datasets import LABELS
from aura.desk import backtest
from aura.errors import InvalidInput, NotFound
from aura.settings import get_settings
from aura.web.accuracy import accuracy
from aura.web.auth.requirements import REQUIRES_READ, Admin, Operator
from aura.web.pages.forms import Fields, audited, redirect
from aura.web.render import page
from db import ai_costs, local_models, reading, transaction

router = APIRouter()

#: Days of costs that are shown, and tickets of one backtest.
DAYS, BACKTEST_TICKETS = 14.0, 200


@router.get("/ai", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def show_ai(request: Request) -> HTMLResponse:
    settings = get_settings()
    with reading() as session:
        figures = accuracy(session)
        calls, agreement = ai_costs.by_model(session, DAYS), ai_costs.agreement(session, DAYS)
        models = local_models.versions(session)
        analysis.follow_model(session)
    return page(
        request,
        "ai.html",
        figures=figures,
        calls=calls,
        agreement=agreement,
        models=models,
        thresholds=local_engine(settings).thresholds,
        target=settings.auto_apply_precision,
        remote=settings.ai_model if settings.remote_engine else "",
        days=DAYS,
        most=ai_costs.COUNT_LIMIT,
    )


@router.get("/ai/reliability.svg", dependencies=[REQUIRES_READ])
def show_reliability() -> Response:
    """Return the reliability chart: accuracy by confidence, on reviewed tickets."""
    with reading() as session:
        figures = accuracy(session)
    if not figures:
        raise NotFound("no ticket was reviewed yet")
    svg = reliability_chart(figures, "Reviewed verdicts")
    # the image has a style element of its own
    return Response(
        svg,
        media_type="image/svg+xml",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


@router.post("/ai/use")
@audited("model.use")
def use_model(fields: Fields, who: Admin) -> RedirectResponse:
    """Activate a local model."""
    version = fields.get("version", "")
    with transaction() as session:
        local_models.activate(session, version)
    return redirect("/ai", f"Model {version} is active; workers load it within half a minute.")


@router.post("/ai/backtest", response_class=HTMLResponse)
@audited("model.backtest")
def run_backtest(request: Request, fields: Fields, who: Operator) -> HTMLResponse:
    """Run a local model on reviewed tickets. No ticket changes."""
    version = fields.get("version", "")
    if version != local_models.SHIPPED and not version.startswith("local-"):
        raise InvalidInput(
            "version: must be a local model; a remote one costs money and is tested from the command line"
        )
    report = backtest.backtest(version, BACKTEST_TICKETS)
    now, before = report.accuracy(report.right), report.accuracy(report.right_before)
    return page(request, "backtest.html", report=report, accuracy=now, before=before, fields=LABELS)
