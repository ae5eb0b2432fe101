"""Resource AI: local models, accuracy of verdicts, costs of the remote engine."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from aura.settings import get_settings
from aura.web.accuracy import accuracy
from aura.web.api.fields import Text
from aura.web.auth.requirements import Admin, Reader
from db import ai_costs, audit, local_models
from db.database import reporting

router = APIRouter(tags=["AI"])


class Model(BaseModel):
    """A local model: the one shipped with Aura, or one trained here; `report` holds its measures on held-out tickets."""

    version: str
    active: bool
    created_at: datetime | None
    report: dict[str, Any]


class Models(BaseModel):
    """All local models, the shipped one first."""

    models: list[Model]


class ActiveModel(BaseModel):
    """The version of the model that answers."""

    active: str


class Costs(BaseModel):
    """Costs of the remote engine in US dollars, and how often the two engines agree."""

    today: float
    #: AURA_AI_BUDGET_DAY
    budget: float
    calls: list[dict[str, Any]]
    verdicts: dict[str, Any]


@router.get("/models", summary="List local models")
def list_models(_who: Reader) -> Models:
    """Return the shipped model and the models trained here, with their accuracy."""
    with reporting() as session:
        return Models(models=[Model.model_validate(each) for each in local_models.versions(session)])


@router.post("/models/{version}/use", summary="Activate a local model")
def use_model(version: Annotated[Text, Path(max_length=80)], who: Admin) -> ActiveModel:
    """Let the local engine answer with this model; workers load it within half a minute."""
    with audit.acting(who, "model.use", f"model/{version}") as session:
        local_models.activate(session, version)
    return ActiveModel(active=version)


@router.get("/evaluation", summary="Accuracy of verdicts")
def evaluation(_who: Reader) -> dict[str, Any]:
    """Return accuracy and calibration by label (category, priority), on the tickets that people reviewed."""
    with reporting() as session:
        return accuracy(session)


@router.get("/ai/costs", summary="Costs of the remote engine")
def costs(_who: Reader, days: Annotated[float, Query(ge=0.01, le=3660)] = 7.0) -> Costs:
    """Return the costs of today and of each day, by model."""
    with reporting() as session:
        return Costs(
            today=round(ai_costs.spent_today(session), 6),
            budget=get_settings().ai_budget_day,
            calls=ai_costs.by_model(session, days),
            verdicts=ai_costs.agreement(session, days),
        )
