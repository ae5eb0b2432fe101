"""Similar resolved tickets: how they were resolved, and how long it took.

    index_resolved(session, [17])                        when ticket 17 is resolved
    find_similar(session, [(42, "VPN drops ...")])       {42: [SimilarTicket(id=17, ...), ...]}

The table `resolved_texts` holds the terms of each resolved ticket. It is separate from `tickets`, so that new tickets do not
pay for it, and is no SQLAlchemy model, because FTS5 tables cannot be one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import quantiles

from sqlalchemy import column, exists, literal_column, select
from sqlalchemy import table as text_table
from sqlalchemy.orm import Session

from db.models import Ticket
from db.similar import index_postgresql, index_sqlite
from db.similar.protocol import IndexedText, TextIndex, TicketRow
from db.similar.terms import MAX_TERMS, extract_terms
from db.statements import on_postgresql, table

#: The smallest score (0 to 1) of a similar ticket, by its terms and by the trigrams of its title.
MIN_SCORE, MIN_TRIGRAM_SCORE = 0.25, 0.4
#: The index is asked for the rarest terms of a ticket, as many as match no more tickets than this.
MAX_MATCHES = 300
#: Matches of the index that are scored; its own rank ignores how many other terms a ticket has.
CANDIDATES = 20
#: Fewer resolution times than this make no estimate.
MIN_RESOLUTIONS = 5
#: Terms of a title that are compared by trigrams, and their letters.
TITLE_TERMS, TITLE_STEM, QUERY_STEM = 6, 20, 40

_c = table(Ticket).c
_ANY = select(exists(select(literal_column("1")).select_from(text_table("resolved_texts", column("title")))))


@dataclass(frozen=True, slots=True)
class SimilarTicket:
    """A similar resolved ticket; `score` is 0 to 1, `hours` from its creation to its resolution."""

    id: int
    title: str
    category: str
    score: float
    resolution: str
    hours: float


def any_resolved(session: Session) -> bool:
    """Return whether the index holds any ticket."""
    return bool(session.scalar(_ANY))


def index_resolved(session: Session, ticket_ids: Iterable[int], mask: Callable[[str], str] = lambda text: text) -> None:
    """Add resolved tickets to the index by their masked texts, or replace their texts."""
    rows = session.execute(select(_c.id, _c.title, _c.description).where(_c.id.in_(list(ticket_ids))))
    texts = [
        IndexedText(
            row.id,
            " ".join(extract_terms(mask(row.title), TITLE_TERMS, TITLE_STEM)),
            extract_terms(mask(f"{row.title}\n{row.description}")),
        )
        for row in rows
    ]
    if texts:
        _index(session).store(session, texts)


def find_similar(session: Session, texts: Sequence[tuple[int, str]], each: int = 10) -> dict[int, list[SimilarTicket]]:
    """Return the most similar resolved tickets of each ticket (id, title and description), best first.

    A ticket without a similar one is not in the result.
    """
    if not texts or not any_resolved(session):
        return {}
    index = _index(session)
    queries = {ticket_id: terms for ticket_id, text in texts if (terms := extract_terms(text))}
    similar: dict[int, list[SimilarTicket]] = {ticket_id: [] for ticket_id in queries}
    rare = _rare_terms(session, queries)
    for match in index.search(session, rare, max(CANDIDATES, 2 * each)) if rare else ():
        score = _cosine(queries[match.query], match.terms)
        if score >= MIN_SCORE:
            similar[match.query].append(_similar(match.ticket, score))
    titles = {
        ticket_id: " ".join(extract_terms(text.partition("\n")[0], stem=QUERY_STEM))
        for ticket_id, text in texts
        if not similar.get(ticket_id)
    }
    titles = {ticket_id: title for ticket_id, title in titles.items() if title}
    for title_match in index.search_titles(session, titles, each) if titles else ():
        if title_match.score >= MIN_TRIGRAM_SCORE:
            similar.setdefault(title_match.query, []).append(_similar(title_match.ticket, title_match.score))
    best = {
        ticket_id: sorted(rows, key=lambda row: (-row.score, -row.id))[:each] for ticket_id, rows in similar.items()
    }
    return {ticket_id: rows for ticket_id, rows in best.items() if rows}


def estimate_resolution(hours: Sequence[float]) -> tuple[float, float] | None:
    """Return the median and the 90th percentile of resolution times; None for fewer than MIN_RESOLUTIONS."""
    if len(hours) < MIN_RESOLUTIONS:
        return None
    tenths = quantiles(hours, n=10, method="inclusive")
    return round(tenths[4], 2), round(tenths[8], 2)


def _index(session: Session) -> TextIndex:
    return index_postgresql if on_postgresql(session) else index_sqlite


def _rare_terms(session: Session, queries: Mapping[int, Sequence[str]]) -> dict[int, list[str]]:
    """Return the rarest terms of each query: the first one, and further ones while they match few tickets."""
    if not queries:
        return {}
    frequencies = _index(session).frequencies(session, (term for terms in queries.values() for term in terms))
    rare = {}
    for ticket_id, terms in queries.items():
        ranked = sorted(terms, key=frequencies.of)
        sums = accumulate(map(frequencies.of, ranked))
        rare[ticket_id] = [
            term
            for place, (term, total) in enumerate(zip(ranked, sums, strict=True))
            if not place or total <= MAX_MATCHES
        ]
    return rare


def _cosine(terms: Sequence[str], others: Sequence[str]) -> float:
    return len(set(terms) & set(others)) / math.sqrt(len(terms) * max(len(others), 1))


def _similar(row: TicketRow, score: float) -> SimilarTicket:
    hours = max((row.resolved_at - row.created_at).total_seconds() / 3600, 0.0)
    return SimilarTicket(row.id, row.title, row.category or "", round(float(score), 3), row.resolution, round(hours, 2))


__all__ = [
    "MAX_TERMS",
    "SimilarTicket",
    "any_resolved",
    "estimate_resolution",
    "extract_terms",
    "find_similar",
    "index_resolved",
]
