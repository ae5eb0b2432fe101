"""Resolved tickets that are like a new one, by the words that tell: what resolved them, and how long it took.

    remember(session, [17])                              when ticket 17 was resolved
    resolved_like(session, [(42, "VPN drops ...")])      {42: [Resolved(id=17, ...), ...]}

The table `resolved_texts` holds the telling words of each resolved ticket: a `tsvector` with a GIN index on PostgreSQL, and
with pg_trgm the title's words for what is misspelled; FTS5 on SQLite. It is apart from `tickets`, so that a new ticket
costs nothing here. It is no metadata of the models, for no model can say FTS5.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import quantiles
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    String,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    select,
    table,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from db.models import Ticket
from db.statements import on_postgresql
from db.statements import table as table_of

#: Characters of a ticket that are read, and the most words that stand for it.
READ, WORDS = 4_000, 24
#: Tickets with less in common than this (0 to 1) are not alike.
LEAST = 0.25
#: The same for titles compared by their trigrams.
LEAST_TRIGRAMS = 0.4
#: Tickets of one batch that are looked for by trigrams, which takes far longer than by words.
MISSPELLED = 5
#: Tickets that the index may look at for one ticket: the rarest words are asked for, as many as stay below.
MATCHES = 300
#: Tickets that the index names are compared more closely, for it does not know how much else they say.
CANDIDATES = 20
#: Fewer resolution times than this make no estimate.
LEAST_HOURS = 5

_WORD = re.compile(r"[^\W_]+")
#: What stands for something masked, and the only words with digits: "0x80070005", "srv03". Other ones may be anybody's.
_STAND_IN = re.compile(r"\[[a-z]+ \d+\]")
_CODE = re.compile(r"0x[0-9a-f]{4,8}|[a-z]{1,6}\d{1,8}")
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
#: Letters by which a word is known: "connect", "connection" and "connecting" are one, and so is most of a compound.
_STEM = 7
_DULL = frozenset(
    _WORD.findall("""
    about after again all also and any are but can cannot could did does doesn don down error every for from get gets got
    had has have hello help her him his how into isn issue its just like may mine more need needs new not now our out over
    please problem really request same she since some still than thank thanks that the their them then there these they
    this those today too until urgent use used user very want was way were what when where which who why will with won work
    working works would yesterday you your broken colleague colleagues morning regards team ticket wrong
    aber alle allen alles als also auch auf aus bei beim bin bis bitte danke dann das dass dein dem den der des deshalb die
    dies diese diesem diesen dieser dieses doch dort durch ein eine einem einen einer eines etwas fehler frau fuer ganz geht
    gerne gruesse gruss guten habe haben hallo hat hatte herr heute hier hilfe ich ihr ihre immer ist jetzt kann kaputt kein
    keine keinen koennen leider mehr mein meine meinem meinen meiner mich mit mir morgen muss nach nicht nichts noch nun nur
    oder ohne problem schon sehr sein seine seit sich sie sind soll team ueber und uns unser unsere vom von vor wann warum
    was wenn wer werden wie wieder wir wird wurde zum zur dringend defekt funktioniert stoerung
    """)
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved ticket that is like another one; score is 0 to 1, hours from created to resolved."""

    id: int
    title: str
    category: str
    score: float
    resolution: str
    hours: float


def telling(said: str, most: int = WORDS, stem: int = _STEM) -> list[str]:
    """Return the words that tell what a ticket is about, each once, in order; no addresses and no numbers."""
    found: dict[str, None] = {}
    for piece in _STAND_IN.sub(" ", said[:READ].casefold().translate(_SPELLED)).split():
        if "@" in piece or "://" in piece or "\\\\" in piece:
            continue
        for word in _WORD.findall(piece):
            if not 3 <= len(word) <= 40 or word in _DULL:
                continue
            if word.isalpha():
                found[word[:stem]] = None
            elif _CODE.fullmatch(word):
                found[word] = None
        if len(found) >= most:
            break
    return list(found)[:most]


def any_resolved(session: Session) -> bool:
    """Return whether there is anything to be like."""
    return bool(session.scalar(_ANY))


def remember(session: Session, ticket_ids: Iterable[int], masked: Callable[[str], str] = lambda said: said) -> None:
    """Let later tickets find these, which were resolved, by their masked text; once more changes nothing."""
    c = table_of(Ticket).c
    rows = [
        {
            "id": row.id,
            "title": _title(masked(row.title)),
            "words": telling(masked(f"{row.title}\n{row.description}")),
        }
        for row in session.execute(select(c.id, c.title, c.description).where(c.id.in_(list(ticket_ids))))
    ]
    if not rows:
        return
    if on_postgresql(session):
        session.execute(_REMEMBER, rows)
    else:
        session.execute(_FORGET, [{"id": row["id"]} for row in rows])
        session.execute(_REMEMBER_FTS, [{"id": row["id"], "words": " ".join(row["words"])} for row in rows])


def resolved_like(session: Session, texts: Sequence[tuple[int, str]], each: int = 10) -> dict[int, list[Resolved]]:
    """Return for each ticket (id, title and description) the resolved ones most like it, the best first, if any."""
    if not texts or not any_resolved(session):
        return {}
    asked = {ticket: words for ticket, said in texts if (words := telling(said))}
    best: dict[int, list[Resolved]] = {ticket: [] for ticket in asked}
    for row in _candidates(session, _rarest(session, asked), max(CANDIDATES, 2 * each)):
        words, theirs = asked[row.asked], row.words.split() if isinstance(row.words, str) else row.words
        score = len(set(words) & set(theirs)) / math.sqrt(len(words) * max(len(theirs), 1))
        if score >= LEAST:
            best[row.asked].append(_resolved(row, score))
    if on_postgresql(session):
        _add_misspelled(session, texts, best, each)
    ranked = {ticket: sorted(found, key=lambda one: (-one.score, -one.id))[:each] for ticket, found in best.items()}
    return {ticket: found for ticket, found in ranked.items() if found}


def estimate(hours: Sequence[float]) -> tuple[float, float] | None:
    """Return within how many hours half, and nine in ten, of such tickets were resolved; None for fewer than five."""
    if len(hours) < LEAST_HOURS:
        return None
    tenths = quantiles(hours, n=10, method="inclusive")
    return round(tenths[4], 2), round(tenths[8], 2)


# -- the statements; words are letters and digits alone, so in quotes they can be no operator ---------------------------

_t = table_of(Ticket).c
_TOLD = (_t.id, _t.title, _t.category, _t.resolution, _t.created_at, _t.resolved_at)
_texts = table("resolved_texts", column("ticket_id"), column("title"), column("words"))
_fts = table("resolved_texts", column("rowid"), column("words"), column("rank"))

_ANY = select(exists(select(literal_column("1")).select_from(_texts)))
_REMEMBER = text(
    "INSERT INTO resolved_texts (ticket_id, title, words) VALUES (:id, :title, array_to_tsvector(CAST(:words AS text[]))) "
    "ON CONFLICT (ticket_id) DO UPDATE SET title = excluded.title, words = excluded.words"
)
_FORGET = text("DELETE FROM resolved_texts WHERE rowid = :id")
_REMEMBER_FTS = text("INSERT INTO resolved_texts (rowid, words) VALUES (:id, :words)")


def _lateral(said: str, condition: Any, score: Any, more: Any) -> Any:
    """Return one statement that finds candidates for every ticket asked about."""
    asked = (
        func.unnest(bindparam("ids", type_=ARRAY(BigInteger)), bindparam(said, type_=ARRAY(String)))
        .table_valued("id", "said", name="asked")
        .render_derived()
    )
    near = (
        select(_texts.c.ticket_id, more(asked.c.said).label("found"))
        .where(condition(asked.c.said), _texts.c.ticket_id != asked.c.id)
        .order_by(score(asked.c.said).desc(), _texts.c.ticket_id.desc())
        .limit(bindparam("limit"))
        .correlate(asked)
        .lateral("near")
    )
    found = asked.join(near, true()).join(table_of(Ticket), _t.id == near.c.ticket_id)
    return (
        select(asked.c.id.label("asked"), near.c.found.label("words"), *_TOLD)
        .select_from(found)
        .where(_t.resolved_at.is_not(None))
    )


_LIKE = _lateral(
    "queries",
    lambda said: _texts.c.words.op("@@")(cast(said, TSQUERY)),
    lambda said: func.ts_rank(_texts.c.words, cast(said, TSQUERY)),
    lambda _said: func.tsvector_to_array(_texts.c.words),
)
_MISSPELLED = _lateral(
    "titles",
    lambda said: _texts.c.title.op("%")(said),
    lambda said: func.similarity(_texts.c.title, said),
    lambda said: func.similarity(_texts.c.title, said),
)
_TRIGRAMS = text("SELECT to_regclass('ix_resolved_texts_title') IS NOT NULL")

_nearest = (
    select(_fts.c.rowid, _fts.c.words)
    .where(literal_column("resolved_texts").op("MATCH")(bindparam("query")), _fts.c.rowid != bindparam("asked"))
    .order_by(_fts.c.rank)
    .limit(bindparam("limit"))
    .subquery("nearest")
)
_LIKE_FTS = (
    select(bindparam("asked", type_=BigInteger).label("asked"), _nearest.c.words, *_TOLD)
    .select_from(_nearest.join(table_of(Ticket), _t.id == _nearest.c.rowid))
    .where(_t.resolved_at.is_not(None))
)


#: What PostgreSQL knows of the words since it last analyzed the table: the most common ones and their shares.
_STATISTICS = text("""
    SELECT CAST(CAST(known.most_common_elems AS text) AS text[]), known.most_common_elem_freqs, pg_class.reltuples
    FROM pg_class JOIN pg_stats AS known ON known.schemaname = CAST(pg_class.relnamespace::regnamespace AS text)
    AND known.tablename = pg_class.relname AND known.attname = 'words'
    WHERE pg_class.oid = to_regclass('resolved_texts') AND known.most_common_elems IS NOT NULL
""")
_VOCABULARY = text("SELECT term, doc FROM resolved_texts_words WHERE term IN (SELECT value FROM json_each(:words))")


def _rarest(session: Session, asked: Mapping[int, list[str]]) -> dict[int, list[str]]:
    """Return the words of each ticket that are in few resolved ones: a word that is in half of them tells little."""
    known: dict[str, float] = {}
    others = 0.0
    if on_postgresql(session):
        if (found := session.execute(_STATISTICS).first()) is not None:
            words, shares, tickets = found
            known = {word: share * tickets for word, share in zip(words, shares, strict=False)}
            others = min(known.values())
    else:
        every = json.dumps(sorted({word for words in asked.values() for word in words}))
        known = {row.term: row.doc for row in session.execute(_VOCABULARY, {"words": every})}
    chosen = {}
    for ticket, words in asked.items():
        ranked = sorted(words, key=lambda word: known.get(word, others))
        sums = accumulate(known.get(word, others) for word in ranked)
        chosen[ticket] = [
            word for place, (word, total) in enumerate(zip(ranked, sums, strict=True)) if not place or total <= MATCHES
        ]
    return chosen


def _candidates(session: Session, asked: Mapping[int, list[str]], limit: int) -> Iterable[Any]:
    if not asked:
        return []
    if on_postgresql(session):
        queries = [" | ".join(f"'{word}'" for word in words) for words in asked.values()]
        return session.execute(_LIKE, {"ids": list(asked), "queries": queries, "limit": limit})
    return [
        row
        for ticket, words in asked.items()
        for row in session.execute(
            _LIKE_FTS, {"asked": ticket, "query": " OR ".join(f'"{word}"' for word in words), "limit": limit}
        )
    ]


def _add_misspelled(
    session: Session, texts: Sequence[tuple[int, str]], best: dict[int, list[Resolved]], each: int
) -> None:
    """Add tickets whose title is spelled much alike, for those tickets whose words were found nowhere."""
    titles = {
        ticket: " ".join(telling(said.partition("\n")[0], stem=40)) for ticket, said in texts if not best.get(ticket)
    }
    titles = {ticket: title for ticket, title in titles.items() if title}
    if not titles or not session.scalar(_TRIGRAMS):
        return
    parameters = {"ids": list(titles), "titles": list(titles.values()), "limit": each}
    for row in session.execute(_MISSPELLED, parameters):
        if row.words >= LEAST_TRIGRAMS:
            best.setdefault(row.asked, []).append(_resolved(row, row.words))


def _title(title: str) -> str:
    return " ".join(telling(title, most=6, stem=20))


def _resolved(row: Any, score: float) -> Resolved:
    hours = max((row.resolved_at - row.created_at).total_seconds() / 3600, 0.0)
    return Resolved(row.id, row.title, row.category or "", round(float(score), 3), row.resolution, round(hours, 2))
