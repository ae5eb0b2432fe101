"""Learned footers: lines that close tickets of many requesters about different matters.

A footer in wording that the lexicon does not have repeats below reports about everything. `learn` finds such lines in
recent tickets; `use` makes `aura.ai.text.content` leave them out in this process. A line becomes a footer only if it stands
below other text in the tickets of at least REQUESTERS people, whose tickets begin with different words: reports of one
outage repeat, too, but their first lines do as well.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from aura.ai.text.normalize import plain

#: People whose tickets have the line, and different beginnings of these tickets per person.
REQUESTERS, BEGINNINGS = 5, 0.8
#: Characters of the shortest line that is learned, and lines of a ticket that are read, from its end.
SHORTEST, LINES = 30, 40
#: Characters of a beginning that is compared.
_BEGINNING = 60
#: Most footers.
MOST = 2_000

_footers: frozenset[str] = frozenset()


def key(line: str) -> str:
    """Return the hash of a plain line, in which a footer is stored."""
    return hashlib.blake2b(" ".join(line.split()).encode("utf-8", "replace"), digest_size=8).hexdigest()


def learn(tickets: Iterable[tuple[str, str]]) -> list[str]:
    """Return the keys of the footers in pairs of a requester and a description."""
    requesters: defaultdict[str, set[str]] = defaultdict(set)
    beginnings: defaultdict[str, set[str]] = defaultdict(set)
    for requester, description in tickets:
        lines = [" ".join(plain(line).split()) for line in description.split("\n") if line.strip()]
        beginning = " ".join(lines[:2])[:_BEGINNING]
        for line in set(lines[1:][-LINES:]):
            if len(line) >= SHORTEST:
                requesters[line].add(requester.casefold())
                beginnings[line].add(beginning)
    footers = [
        line
        for line, people in requesters.items()
        if len(people) >= REQUESTERS and len(beginnings[line]) >= BEGINNINGS * len(people)
    ]
    return [key(line) for line in sorted(footers, key=lambda line: -len(requesters[line]))[:MOST]]


def use(keys: Sequence[str]) -> None:
    """Leave the footers with these keys out of the content, in this process."""
    global _footers
    if _footers != frozenset(keys):
        from aura.ai.text.content import content

        _footers = frozenset(keys)
        content.cache_clear()


def is_learned(line: str) -> bool:
    """Return whether a plain line is a learned footer."""
    return bool(_footers) and len(line) >= SHORTEST and key(line) in _footers
