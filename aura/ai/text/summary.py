"""Summary of a ticket: one of its own sentences, without links and network paths."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aura.ai.text.content.sentences import sentences
from aura.ai.text.normalize import fold

#: Characters and sentences of a description that are considered, and characters of the longest summary.
READ, SENTENCES, LONGEST = 1_200, 8, 160

_LINK = re.compile(r"(?:https?://|www\.|\\\\)\S+", re.IGNORECASE)
_LINK_MARKS = ("://", "www.", "\\\\")


def summary(title: str, description: str, explanation: Sequence[str]) -> str:
    """Return one sentence of the ticket, unmasked: the first with a word of the explanation, else the first with content.

    Title and description have to be their content (``aura.ai.text.content``), free of instructions.
    """
    words = [term.split(" ", 1)[0] for term in explanation]
    first = ""
    for sentence in sentences(description[:READ])[:SENTENCES]:
        bare = " ".join(sentence.split())
        if bare.count(" ") < 2:
            continue
        if _has_one(bare, words):
            return _presentable(bare)
        first = first or bare
    bare_title = " ".join(title.split())
    if first and not _has_one(bare_title, words):
        return _presentable(first)
    return _presentable(bare_title or first or " ".join(description[:READ].split()))


def _has_one(sentence: str, words: Sequence[str]) -> bool:
    folded = fold(sentence)
    return any([word in folded for word in words])


def _presentable(sentence: str) -> str:
    if len(sentence) > LONGEST:
        sentence = sentence[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    lower = sentence.lower()
    if any([mark in lower for mark in _LINK_MARKS]):
        sentence = _LINK.sub("(link)", sentence)
    return sentence[:1].upper() + sentence[1:]
