"""What classifies: the local models, how good the verdicts were, and what the remote engine costs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from aura.settings import get_settings
from aura.web.accuracy import accuracy
from aura.web.api.fields import Text
from aura.web.auth.identity import Admin, Reader
from db import ai_costs, audit, local_models, reading

router = APIRouter(tags=["engine"])


@router.get("/models", summary="Local models")
def models(_who: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return the shipped model and those that were learned here, how good each was, and which one answers."""
    with reading() as session:
        return {"models": local_models.versions(session)}


@router.post("/models/{version}/use", summary="Let a model answer")
def use(version: Annotated[Text, Path(max_length=80)], who: Admin) -> dict[str, str]:
    """Let the local engine answer with this model; workers take it within half a minute."""
    with audit.acting(who, "model.use", f"model/{version}") as session:
        local_models.activate(session, version)
    return {"active": version}


@router.get("/evaluation", summary="How good the verdicts were")
def evaluation(_who: Reader) -> dict[str, Any]:
    """Return for category and priority how often the engines were right and how well their confidence fits.

    By the tickets that people corrected or confirmed; what nobody looked at is not in it.
    """
    with reading() as session:
        return accuracy(session)


@router.get("/spend", summary="What the remote engine costs")
def money(_who: Reader, days: Annotated[float, Query(ge=0.01, le=3660)] = 7.0) -> dict[str, Any]:
    """Return what was spent today and on each day, and how far the two engines agree."""
    with reading() as session:
        return {
            "today": round(ai_costs.spent_today(session), 6),
            "budget": get_settings().ai_budget_day,
            "calls": ai_costs.by_model(session, days),
            "verdicts": ai_costs.agreement(session, days),
        }
