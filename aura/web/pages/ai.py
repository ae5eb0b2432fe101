"""AI: how good the verdicts are, what they cost, which models there are, and what another one would have said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from actors import analysis
from aura.ai.engines.factory import local_engine
from aura.ai.evaluation.reliability_chart import reliability_chart
from aura.ai.training.datasets import LABELS
from aura.desk import backtest
from aura.settings import get_settings
from aura.web.accuracy import accuracy
from aura.web.auth.identity import MAY_READ, Admin, Operator
from aura.web.pages.forms import back, form, recorded
from aura.web.pages.render import page
from db import ai_costs, local_models, reading, transaction

router = APIRouter(include_in_schema=False)

Fields = Annotated[dict[str, str], Depends(form)]
#: Days of the bill, and tickets that a replay in the page asks about; the command asks about more.
DAYS, REPLAYED = 14.0, 200


@router.get("/ai", response_class=HTMLResponse, dependencies=[MAY_READ])
def ai(request: Request) -> HTMLResponse:
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
        wanted=settings.auto_apply_precision,
        remote=settings.ai_model if settings.openai_api_key else "",
        days=DAYS,
        most=ai_costs.COUNT_LIMIT,
        report=None,
    )


@router.get("/ai/reliability.svg", dependencies=[MAY_READ])
def reliability() -> Response:
    """Draw how often the engines were right beside how sure they were, by what people said afterwards."""
    with reading() as session:
        figures = accuracy(session)
    if not figures:
        raise HTTPException(404, "nobody has corrected or confirmed a ticket yet")
    svg = reliability_chart(figures, "Verdicts that people looked at")
    # it is an image of ours, with its own style inside
    return Response(
        svg,
        media_type="image/svg+xml",
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


@router.post("/ai/use")
@recorded("model.use")
def use(fields: Fields, who: Admin) -> RedirectResponse:
    """Let the local engine answer with another model."""
    version = fields.get("version", "")
    with transaction() as session:
        local_models.activate(session, version)
    return back("/ai", f"the local engine answers with {version}; workers take it within half a minute")


@router.post("/ai/replay", response_class=HTMLResponse)
@recorded("model.replay")
def replay(request: Request, fields: Fields, who: Operator) -> HTMLResponse:
    """Ask a local model about tickets that people have decided. It costs nothing and changes nothing."""
    version = fields.get("version", "")
    if version != local_models.SHIPPED and not version.startswith("local-"):
        raise HTTPException(422, "only local models are asked from here; `aura replay --model NAME` asks a remote one")
    report = backtest.backtest(version, REPLAYED)
    now, before = report.accuracy(report.right), report.accuracy(report.right_before)
    return page(request, "replay.html", report=report, right=now, before=before, fields=LABELS)
