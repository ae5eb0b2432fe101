"""Summary of a ticket: one of its own sentences, without salutation, links and network paths."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aura.ai.text.normalize import fold

#: Characters and sentences of a description that are considered, and characters of the longest summary.
READ, SENTENCES, LONGEST = 1_200, 8, 160

#: White space after a full stop, or line ends; begins with white space, because `re` searches for a set quickly.
_SENTENCE = re.compile(r"\s(?:(?<=[.!?]\s)\s*|(?<=\n)\n*)")
_SALUTATIONS = (
    *("hi", "hello", "hey", "dear", "good morning", "good afternoon", "good evening", "good day"),
    *("hallo", "guten", "moin", "servus", "liebe", "sehr geehrte"),
)
_GREETING = re.compile(rf"(?:{'|'.join(_SALUTATIONS)})[^,.!?:\n]{{0,40}}(?:[,.!:?]+\s*|$)", re.IGNORECASE)
#: Beginnings of lines without content: thanks, farewells, headers of forwarded mails.
_BOILERPLATE = (
    *(
        "thanks",
        "thank you",
        "thx",
        "cheers",
        "regards",
        "best regards",
        "kind regards",
        "please help",
        "see below",
        "fyi",
    ),
    *(
        "vielen dank",
        "danke",
        "viele gr",
        "beste gr",
        "liebe gr",
        "gruß",
        "gruss",
        "mit freundlichen",
        "mfg",
        "bitte um hilfe",
    ),
    *("sent from", "von meinem", "from:", "von:", "to:", "an:", "subject:", "betreff:", "sent:", "gesendet", "--", ">"),
)
_LINK = re.compile(r"(?:https?://|www\.|\\\\)\S+", re.IGNORECASE)
_LINK_MARKS = ("://", "www.", "\\\\")


def summary(title: str, description: str, explanation: Sequence[str]) -> str:
    """Return one sentence of the ticket, unmasked: the first with a word of the explanation, else the first with content.

    Title and description have to be free of instructions.
    """
    words = [term.split(" ", 1)[0] for term in explanation]
    first = ""
    for sentence in _SENTENCE.split(description[:READ], SENTENCES)[:SENTENCES]:
        if sentence.count(" ") < 2 or sentence[:16].lower().startswith(_BOILERPLATE):
            continue
        bare = _bare(sentence)
        if bare.count(" ") >= 2 and _has_one(bare, words):
            return _presentable(bare)
        first = first or bare
    bare_title = _bare(title)
    if first and not _has_one(bare_title, words):
        return _presentable(first)
    return _presentable(bare_title or first or " ".join(description[:READ].split()))


def _has_one(sentence: str, words: Sequence[str]) -> bool:
    folded = fold(sentence)
    return any([word in folded for word in words])


def _bare(sentence: str) -> str:
    """Return the sentence without a salutation, with single spaces."""
    if sentence[:16].lower().startswith(_SALUTATIONS):
        sentence = _GREETING.sub("", sentence, count=1)
    return " ".join(sentence.split())


def _presentable(sentence: str) -> str:
    if len(sentence) > LONGEST:
        sentence = sentence[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    lower = sentence.lower()
    if any([mark in lower for mark in _LINK_MARKS]):
        sentence = _LINK.sub("(link)", sentence)
    return sentence[:1].upper() + sentence[1:]
