"""Pages /jobs: open jobs by state with their diagnosis, one job; retry now and cancellation, of one or of an actor's jobs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.errors import InvalidInput
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import Fields, audited, reason, redirect
from aura.web.pages.queues import queue_of, snapshot
from aura.web.query_parameters import require_known_values
from aura.web.render import page
from db import diagnosis, queue_controls, reading, transaction
from db.queue_controls import STATES

router = APIRouter(prefix="/jobs")

#: Jobs of the page, and those with a diagnosis, which takes up to four queries each.
PAGE, DIAGNOSED = 100, 50
#: Jobs of an actor that one form retries or cancels.
MANY = 1_000


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def list_jobs(
    request: Request,
    actor: Annotated[str, Query(max_length=80)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
) -> HTMLResponse:
    if state and state not in STATES:
        raise InvalidInput(f"state: must be one of {', '.join(STATES)}")
    with reading() as session:
        current = snapshot(session)
        rows = queue_controls.list_jobs(session, actor=actor or None, state=state or None, limit=PAGE)
        require_known_values("actor", [actor] if actor else None, sorted(queue_of()), rows)
        reasons = {job["id"]: diagnosis.job(session, job["id"], current) for job in rows[:DIAGNOSED]}
    return page(
        request,
        "jobs.html",
        jobs=rows,
        reasons=reasons,
        actors=sorted(queue_of()),
        states=list(STATES),
        actor=actor,
        state=state,
        most=PAGE,
    )


@router.get("/{job_id}", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def show_job(request: Request, job_id: int) -> HTMLResponse:
    """Show a job: the reason why it does not run, or its outcome."""
    with reading() as session:
        sentence = diagnosis.job(session, job_id, snapshot(session))
    return page(request, "job.html", job_id=job_id, diagnosis=sentence)


@router.post("/retry")
@audited("job.retry")
def retry_jobs(fields: Fields, who: Operator) -> RedirectResponse:
    actor = _actor(fields)
    with transaction() as session:
        count = len(queue_controls.retry_many(session, MANY, actor))
    return redirect(f"/jobs?actor={quote(actor)}", f"{count} jobs of {actor} are due now.")


@router.post("/cancel")
@audited("job.cancel")
def cancel_jobs(fields: Fields, who: Operator) -> RedirectResponse:
    actor = _actor(fields)
    with transaction() as session:
        count = len(queue_controls.cancel_actor(session, actor, reason(fields), MANY))
    return redirect(f"/jobs?actor={quote(actor)}", f"{count} jobs of {actor} cancelled.")


def _actor(fields: dict[str, str]) -> str:
    if not (actor := fields.get("actor", "").strip()[:80]):
        raise InvalidInput("actor: must name an actor")
    return actor


@router.post("/{job_id}/retry")
@audited("job.retry")
def retry_job(job_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    with transaction() as session:
        queue_controls.retry_now(session, job_id)
    return redirect("/jobs", f"Job {job_id} is due now.")


@router.post("/{job_id}/cancel")
@audited("job.cancel")
def cancel_job(job_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    with transaction() as session:
        cancelled = queue_controls.cancel(session, job_id, reason(fields))
    return redirect("/jobs", f"Job {job_id} cancelled; see dead letter {cancelled.dead_letter}.")
