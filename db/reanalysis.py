"""Selects unresolved tickets to re-analyze, with the reason; tickets that a person reviewed in full are left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, case, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from db.models import AnalysisBatch, Comment, Ticket, VerdictRecord
from db.statements import table
from db.ticket_actions import ACTION
from db.tickets import UNRESOLVED
from db.time import after, from_now, now

_c = table(Ticket).c
#: Unresolved tickets whose verdicts are compared with the configuration, oldest verdicts first.
COMPARED_LIMIT = 50_000
#: A ticket whose `classified_at` is this many seconds after its newest verdict was re-analyzed since.
REANALYZED_AFTER = 5.0
CHANGED = "its text changed or a comment was added"


class StaleVerdict(NamedTuple):
    """A ticket to re-analyze, and the reason."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """The configured remote engine; a verdict of another engine, model or prompt is stale."""

    model: str
    prompt_version: str


_unresolved = (
    _c.status.in_(UNRESOLVED),
    _c.classified_at.is_not(None),
    ~((_c.category_by == "human") & (_c.priority_by == "human")),
)
_changed = _c.changed_at > _c.classified_at


def stale_verdicts(
    session: Session, days: float, review_below: float, remote: RemoteEngine | None, limit: int
) -> list[StaleVerdict]:
    """Return tickets with a stale verdict, oldest verdict first.

    A verdict is stale when the ticket changed since, after `days`, after half a day with a confidence below
    `review_below`, and, while a remote engine is configured, when another engine, model or prompt made it.
    """
    window = select(_c.id, _c.classified_at, _c.confidence, _changed.label("changed")).where(*_unresolved)
    oldest = window.order_by(_c.classified_at).limit(COMPARED_LIMIT).subquery("oldest")
    cases = [
        (oldest.c.changed, literal(CHANGED)),
        (oldest.c.classified_at < from_now(-days * 86400), literal("its verdict was old")),
        (
            (oldest.c.confidence < review_below) & (oldest.c.classified_at < from_now(-86400 / 2)),
            literal("its confidence was low"),
        ),
    ]
    # finds each newest verdict by the index instead of sorting all verdicts
    v = table(VerdictRecord).c
    newest = select(func.max(v.id)).where(v.ticket_id == oldest.c.id).correlate(oldest).scalar_subquery()
    source = oldest.outerjoin(table(VerdictRecord), v.id == newest) if remote else oldest
    if remote:
        settled = oldest.c.classified_at < from_now(-3600)
        cases += [
            (settled & (v.engine == "local"), literal("the local engine classified it")),
            (settled & (v.model != remote.model), literal("another model classified it")),
            (settled & (v.prompt_version != remote.prompt_version), literal("an older prompt classified it")),
        ]
    stale = select(oldest.c.id, case(*cases, else_=literal("")).label("reason")).select_from(source)
    stale = stale.where(or_(*[condition for condition, _ in cases])).order_by(oldest.c.classified_at, oldest.c.id)
    return [StaleVerdict(row.id, row.reason) for row in session.execute(stale.limit(limit))]


def changed_tickets(session: Session, limit: int) -> list[StaleVerdict]:
    """Return tickets whose text changed or that got a comment since their verdict."""
    chosen = select(_c.id).where(*_unresolved, _changed).order_by(_c.changed_at).limit(limit)
    return [StaleVerdict(ticket_id, CHANGED) for ticket_id in session.scalars(chosen)]


def fallback_verdicts(session: Session, minutes: float, limit: int) -> list[StaleVerdict]:
    """Return unresolved tickets whose newest verdict, from the last day, is a fallback to the local engine."""
    v = table(VerdictRecord).c
    newer = table(VerdictRecord).alias("newer")
    chosen = (
        select(v.ticket_id)
        .join(Ticket, Ticket.id == v.ticket_id)
        .where(
            v.fallback != "",
            v.created_at >= from_now(-86_400),
            v.created_at < from_now(-minutes * 60),
            Ticket.status.in_(UNRESOLVED),
            Ticket.classified_at < after(v.created_at, REANALYZED_AFTER),
            ~exists().where(newer.c.ticket_id == v.ticket_id, newer.c.id > v.id),
        )
        .order_by(v.created_at)
        .limit(limit)
    )
    return [StaleVerdict(ticket_id, "the local engine was the fallback") for ticket_id in session.scalars(chosen)]


def mark_current(session: Session, ids: Sequence[int]) -> None:
    """Record that the verdicts were re-analyzed without a change."""
    session.execute(update(table(Ticket)).where(_c.id.in_(ids)).values(classified_at=now()))


def unchanged_since(session: Session, ids: Collection[int], batch: int) -> set[int]:
    """Return the unresolved tickets that were neither classified nor changed since the batch was planned."""
    planned = select(AnalysisBatch.created_at).where(AnalysisBatch.id == batch).scalar_subquery()
    since = and_(_c.classified_at <= planned, or_(_c.changed_at.is_(None), _c.changed_at <= planned))
    return set(session.scalars(select(_c.id).where(_c.id.in_(ids), _c.status.in_(UNRESOLVED), since)))


def unnotified(session: Session, ids: Collection[int]) -> list[int]:
    """Return the tickets whose version was not notified."""
    return list(session.scalars(select(_c.id).where(_c.id.in_(ids), _c.version > _c.notified_version).order_by(_c.id)))


def latest_comments(session: Session, ids: Collection[int], each: int) -> dict[int, list[str]]:
    """Return the newest public comments on each ticket, at most `each`, oldest first.

    Internal notes stay at the desk: an engine may be a provider, and the words that decided are in notifications.
    """
    place = func.row_number().over(partition_by=Comment.ticket_id, order_by=Comment.id.desc()).label("place")
    comments = select(Comment.ticket_id, Comment.id, Comment.text, place)
    public = (Comment.source != ACTION, Comment.internal.is_(False))
    ranked = comments.where(Comment.ticket_id.in_(ids), *public).subquery()
    newest = select(ranked).where(ranked.c.place <= each).order_by(ranked.c.id)
    texts: dict[int, list[str]] = {}
    for row in session.execute(newest):
        texts.setdefault(row.ticket_id, []).append(row.text)
    return texts
