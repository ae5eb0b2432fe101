"""Which tickets are worth another look while they are not done, and why; what a human set in full needs no machine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, case, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from db.models import AnalysisBatch, Comment, Ticket, VerdictRecord
from db.statements import table
from db.ticket_actions import ACTION
from db.tickets import UNDONE
from db.time import after, from_now, now

_c = table(Ticket).c
#: Tickets that are not done whose verdicts are compared with what is configured, the oldest verdicts first.
MOST_COMPARED = 50_000
#: Seconds within which a verdict is kept and made current; a ticket that was looked at again shows a later time.
LOOKED_AT_AFTER = 5.0
CHANGED = "its text changed or a comment came in"


class StaleVerdict(NamedTuple):
    """A ticket, and why it is looked at again."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class Remote:
    """The remote engine that is configured: a verdict of another model, prompt or engine is stale."""

    model: str
    prompt_version: str


_undone = (
    _c.status.in_(UNDONE),
    _c.classified_at.is_not(None),
    ~((_c.category_by == "human") & (_c.priority_by == "human")),
)
_changed = _c.changed_at > _c.classified_at


def stale_verdicts(
    session: Session, days: float, review_below: float, remote: Remote | None, limit: int
) -> list[StaleVerdict]:
    """Return tickets that are worth another look, the oldest verdict first.

    Changed since; older than `days`; uncertain below `review_below` (looked at again once a day); or, while a remote
    engine is configured, made by the local one, by another model or with another prompt.
    """
    window = select(_c.id, _c.classified_at, _c.confidence, _changed.label("changed")).where(*_undone)
    oldest = window.order_by(_c.classified_at).limit(MOST_COMPARED).subquery("oldest")
    cases = [
        (oldest.c.changed, literal(CHANGED)),
        (oldest.c.classified_at < from_now(-days * 86400), literal("its verdict was old")),
        (
            (oldest.c.confidence < review_below) & (oldest.c.classified_at < from_now(-86400 / 2)),
            literal("its verdict was uncertain"),
        ),
    ]
    # the newest verdict of each ticket by a probe of the index, not by sorting them all
    v = table(VerdictRecord).c
    newest = select(func.max(v.id)).where(v.ticket_id == oldest.c.id).correlate(oldest).scalar_subquery()
    source = oldest.outerjoin(table(VerdictRecord), v.id == newest) if remote else oldest
    if remote:
        settled = oldest.c.classified_at < from_now(-3600)
        cases += [
            (settled & (v.engine == "local"), literal("the local engine had judged it")),
            (settled & (v.model != remote.model), literal("another model had judged it")),
            (settled & (v.prompt_version != remote.prompt_version), literal("an older prompt had judged it")),
        ]
    chosen = select(oldest.c.id, case(*cases, else_=literal("")).label("why")).select_from(source)
    chosen = chosen.where(or_(*[condition for condition, _ in cases])).order_by(oldest.c.classified_at, oldest.c.id)
    return [StaleVerdict(row.id, row.why) for row in session.execute(chosen.limit(limit))]


def changed(session: Session, limit: int) -> list[StaleVerdict]:
    """Return tickets whose text changed, or on which somebody commented, since their verdict."""
    chosen = select(_c.id).where(*_undone, _changed).order_by(_c.changed_at).limit(limit)
    return [StaleVerdict(ticket_id, CHANGED) for ticket_id in session.scalars(chosen)]


def stepped_in(session: Session, minutes: float, limit: int) -> list[StaleVerdict]:
    """Return tickets of the last day, not done, whose verdict is of the engine that stepped in, not looked at since then."""
    v = table(VerdictRecord).c
    newer = table(VerdictRecord).alias("newer")
    chosen = (
        select(v.ticket_id)
        .join(Ticket, Ticket.id == v.ticket_id)
        .where(
            v.fallback != "",
            v.created_at >= from_now(-86_400),
            v.created_at < from_now(-minutes * 60),
            Ticket.status.in_(UNDONE),
            Ticket.classified_at < after(v.created_at, LOOKED_AT_AFTER),
            ~exists().where(newer.c.ticket_id == v.ticket_id, newer.c.id > v.id),
        )
        .order_by(v.created_at)
        .limit(limit)
    )
    return [StaleVerdict(ticket_id, "the local engine had stepped in") for ticket_id in session.scalars(chosen)]


def looked_at(session: Session, ids: Sequence[int]) -> None:
    """Record that a verdict was looked at again and stays as it is."""
    session.execute(update(table(Ticket)).where(_c.id.in_(ids)).values(classified_at=now()))


def unchanged_since(session: Session, ids: Collection[int], batch: int) -> set[int]:
    """Return which of the tickets are not done yet, and neither judged nor changed since the batch of this id was planned."""
    planned = select(AnalysisBatch.created_at).where(AnalysisBatch.id == batch).scalar_subquery()
    since = and_(_c.classified_at <= planned, or_(_c.changed_at.is_(None), _c.changed_at <= planned))
    return set(session.scalars(select(_c.id).where(_c.id.in_(ids), _c.status.in_(UNDONE), since)))


def unnotified(session: Session, ids: Collection[int]) -> list[int]:
    """Return which of the tickets have a version that people were not told of."""
    return list(session.scalars(select(_c.id).where(_c.id.in_(ids), _c.version > _c.notified_version).order_by(_c.id)))


def judged(session: Session, ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return the category and priority of each ticket's newest verdict."""
    v = table(VerdictRecord).c
    newest = select(func.max(v.id)).where(v.ticket_id.in_(ids)).group_by(v.ticket_id)
    rows = session.execute(select(v.ticket_id, v.category, v.priority).where(v.id.in_(newest)))
    return {row.ticket_id: (row.category, row.priority) for row in rows}


def added(session: Session, ids: Collection[int], each: int) -> dict[int, list[str]]:
    """Return the newest comments on each ticket, at most so many of each, oldest first."""
    place = func.row_number().over(partition_by=Comment.ticket_id, order_by=Comment.id.desc()).label("place")
    said = select(Comment.ticket_id, Comment.id, Comment.text, place)
    ranked = said.where(Comment.ticket_id.in_(ids), Comment.source != ACTION).subquery()
    newest = select(ranked).where(ranked.c.place <= each).order_by(ranked.c.id)
    found: dict[int, list[str]] = {}
    for row in session.execute(newest):
        found.setdefault(row.ticket_id, []).append(row.text)
    return found
