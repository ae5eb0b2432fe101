"""The interface of the text index of resolved tickets, implemented for each database, and the SQL that both share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from sqlalchemy import Row
from sqlalchemy.orm import Session

from db.models import Ticket
from db.statements import table

_c = table(Ticket).c
#: The columns of a resolved ticket that a match returns.
TICKET = (_c.id, _c.title, _c.category, _c.resolution, _c.created_at, _c.resolved_at)
#: A reopened ticket stays in the index and is not resolved.
RESOLVED = _c.resolved_at.is_not(None)

TicketRow: TypeAlias = Row[*tuple[Any, ...]]


class IndexedText(NamedTuple):
    """A resolved ticket in the index: its id, the terms of its title, spelled out, and its terms."""

    id: int
    title: str
    terms: list[str]


class Frequencies(NamedTuple):
    """The number of indexed tickets with a term, for the terms that the index counts, and for all others."""

    counted: Mapping[str, float]
    others: float

    def of(self, term: str) -> float:
        return self.counted.get(term, self.others)


class Match(NamedTuple):
    """A resolved ticket with terms in common with a query."""

    query: int
    terms: Sequence[str]
    ticket: TicketRow


class TitleMatch(NamedTuple):
    """A resolved ticket whose title is spelled like that of a query; `score` is 0 to 1."""

    query: int
    score: float
    ticket: TicketRow


class TextIndex(Protocol):
    """The text index of one database. Terms consist of letters and digits only, so no term is a query operator."""

    def store(self, session: Session, texts: Sequence[IndexedText]) -> None:
        """Add the tickets, or replace their texts."""

    def frequencies(self, session: Session, terms: Iterable[str]) -> Frequencies:
        """Return in how many tickets the terms are."""

    def search(self, session: Session, queries: Mapping[int, Sequence[str]], limit: int) -> Iterable[Match]:
        """Return for each query (id and terms) up to `limit` tickets with any of its terms, other than itself."""

    def search_titles(self, session: Session, titles: Mapping[int, str], limit: int) -> Iterable[TitleMatch]:
        """Return for each title up to `limit` tickets with a similarly spelled one; none without trigrams."""
