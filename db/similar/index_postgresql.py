"""PostgreSQL's text index: a `tsvector` of terms with a GIN index, and trigrams of titles where pg_trgm is available."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    String,
    bindparam,
    cast,
    column,
    func,
    select,
    table,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from db.models import Ticket
from db.similar.protocol import RESOLVED, TICKET, Frequencies, IndexedText, Match, TitleMatch
from db.statements import table as table_of

_Expression: TypeAlias = ColumnElement[Any]

_texts = table("resolved_texts", column("ticket_id"), column("title"), column("words"))

_STORE = text(
    "INSERT INTO resolved_texts (ticket_id, title, words) VALUES (:id, :title, array_to_tsvector(CAST(:terms AS text[]))) "
    "ON CONFLICT (ticket_id) DO UPDATE SET title = excluded.title, words = excluded.words"
)
#: The most common terms and their shares, as of the last ANALYZE.
_STATISTICS = text("""
    SELECT CAST(CAST(stats.most_common_elems AS text) AS text[]), stats.most_common_elem_freqs, pg_class.reltuples
    FROM pg_class JOIN pg_stats AS stats ON stats.schemaname = CAST(pg_class.relnamespace::regnamespace AS text)
    AND stats.tablename = pg_class.relname AND stats.attname = 'words'
    WHERE pg_class.oid = to_regclass('resolved_texts') AND stats.most_common_elems IS NOT NULL
""")
_HAS_TRIGRAMS = text("SELECT to_regclass('ix_resolved_texts_title') IS NOT NULL")


def _lateral(
    condition: Callable[[_Expression], _Expression],
    rank: Callable[[_Expression], _Expression],
    result: Callable[[_Expression], _Expression],
) -> Select[*tuple[Any, ...]]:
    """Return a statement that searches for many queries at once, each by the index."""
    query = (
        func.unnest(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("queries", type_=ARRAY(String)))
        .table_valued("id", "text", name="query")
        .render_derived()
    )
    nearest = (
        select(_texts.c.ticket_id, result(query.c.text).label("result"))
        .where(condition(query.c.text), _texts.c.ticket_id != query.c.id)
        .order_by(rank(query.c.text).desc(), _texts.c.ticket_id.desc())
        .limit(bindparam("limit"))
        .correlate(query)
        .lateral("nearest")
    )
    tickets = table_of(Ticket)
    source = query.join(nearest, true()).join(tickets, tickets.c.id == nearest.c.ticket_id)
    return select(query.c.id.label("query"), nearest.c.result, *TICKET).select_from(source).where(RESOLVED)


_SEARCH = _lateral(
    lambda query: _texts.c.words.op("@@")(cast(query, TSQUERY)),
    lambda query: func.ts_rank(_texts.c.words, cast(query, TSQUERY)),
    lambda _query: func.tsvector_to_array(_texts.c.words),
)
_SEARCH_TITLES = _lateral(
    lambda title: _texts.c.title.op("%")(title),
    lambda title: func.similarity(_texts.c.title, title),
    lambda title: func.similarity(_texts.c.title, title),
)


def store(session: Session, texts: Sequence[IndexedText]) -> None:
    session.execute(_STORE, [each._asdict() for each in texts])


def frequencies(session: Session, terms: Iterable[str]) -> Frequencies:
    row = session.execute(_STATISTICS).first()
    if row is None:
        return Frequencies({}, 0.0)
    common, shares, tickets = row
    counted = {term: share * tickets for term, share in zip(common, shares, strict=False)}
    return Frequencies(counted, min(counted.values()))


def search(session: Session, queries: Mapping[int, Sequence[str]], limit: int) -> Iterator[Match]:
    texts = [" | ".join(f"'{term}'" for term in terms) for terms in queries.values()]
    for row in session.execute(_SEARCH, {"ids": list(queries), "queries": texts, "limit": limit}):
        yield Match(row.query, row.result, row)


def search_titles(session: Session, titles: Mapping[int, str], limit: int) -> Iterator[TitleMatch]:
    if not session.scalar(_HAS_TRIGRAMS):
        return
    parameters = {"ids": list(titles), "queries": list(titles.values()), "limit": limit}
    for row in session.execute(_SEARCH_TITLES, parameters):
        yield TitleMatch(row.query, row.result, row)
