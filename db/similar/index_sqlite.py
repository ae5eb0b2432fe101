"""SQLite's text index: FTS5 over terms; it has no trigrams."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import bindparam, column, literal_column, select, table, text
from sqlalchemy.orm import Session

from db.models import Ticket
from db.similar.protocol import RESOLVED, TICKET, Frequencies, IndexedText, Match, TitleMatch
from db.statements import table as table_of

_fts = table("resolved_texts", column("rowid"), column("words"), column("rank"))

_DELETE = text("DELETE FROM resolved_texts WHERE rowid = :id")
_INSERT = text("INSERT INTO resolved_texts (rowid, words) VALUES (:id, :words)")
_FREQUENCIES = text("SELECT term, doc FROM resolved_texts_words WHERE term IN (SELECT value FROM json_each(:terms))")
_nearest = (
    select(_fts.c.rowid, _fts.c.words)
    .where(literal_column("resolved_texts").op("MATCH")(bindparam("query")), _fts.c.rowid != bindparam("id"))
    .order_by(_fts.c.rank)
    .limit(bindparam("limit"))
    .subquery("nearest")
)
_tickets = table_of(Ticket)
_SEARCH = (
    select(_nearest.c.words, *TICKET)
    .select_from(_nearest.join(_tickets, _tickets.c.id == _nearest.c.rowid))
    .where(RESOLVED)
)


def store(session: Session, texts: Sequence[IndexedText]) -> None:
    session.execute(_DELETE, [{"id": each.id} for each in texts])
    session.execute(_INSERT, [{"id": each.id, "words": " ".join(each.terms)} for each in texts])


def frequencies(session: Session, terms: Iterable[str]) -> Frequencies:
    rows = session.execute(_FREQUENCIES, {"terms": json.dumps(sorted(set(terms)))})
    return Frequencies({row.term: row.doc for row in rows}, 0.0)


def search(session: Session, queries: Mapping[int, Sequence[str]], limit: int) -> Iterator[Match]:
    for ticket_id, terms in queries.items():
        query = " OR ".join(f'"{term}"' for term in terms)
        for row in session.execute(_SEARCH, {"id": ticket_id, "query": query, "limit": limit}):
            yield Match(ticket_id, row.words.split(), row)


def search_titles(session: Session, titles: Mapping[int, str], limit: int) -> Iterable[TitleMatch]:
    return ()
