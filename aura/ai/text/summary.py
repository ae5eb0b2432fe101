"""What the local engine says beside category and priority: a summary, the sentiment, and what to try meanwhile.

The summary is a sentence of the ticket itself, masked, without links and addresses; sentiment and steps come from word
lists in ``wording/``. All of it costs a fraction of the classification, and a text is only looked through, never obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import lru_cache

from aura.ai.text.lexicons import lines
from aura.ai.text.priority_rules import plain

#: Characters and sentences of a description in which the one is looked for, and how long it may be.
READ, SENTENCES, LONGEST = 1_200, 8, 160
#: Most steps that are offered.
STEPS = 3
#: So many exclamation marks are an upset person.
SHOUTS = 3

#: Blanks after a full stop, or the ends of lines; begins with a blank, for a set of characters is quick to search for.
_SENTENCE = re.compile(r"\s(?:(?<=[.!?]\s)\s*|(?<=\n)\n*)")
_HELLO = (
    *("hi", "hello", "hey", "dear", "good morning", "good afternoon", "good evening", "good day"),
    *("hallo", "guten", "moin", "servus", "liebe", "sehr geehrte"),
)
_GREETING = re.compile(rf"(?:{'|'.join(_HELLO)})[^,.!?:\n]{{0,40}}(?:[,.!:?]+\s*|$)", re.IGNORECASE)
#: How lines begin that say nothing about the matter.
_NO_MATTER = (
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

_NEGATIVE = frozenset(lines("negative.txt"))
_POSITIVE = frozenset(lines("positive.txt"))
_MOODS = _NEGATIVE | _POSITIVE


def summary(title: str, description: str, telling: Sequence[str]) -> str:
    """Return one sentence of the ticket, unmasked: the first with a word that decided, else the first that says something.

    Title and description come without the sentences that give orders to a machine.
    """
    heads = [word.split(" ", 1)[0] for word in telling]
    first = ""
    for sentence in _SENTENCE.split(description[:READ], SENTENCES)[:SENTENCES]:
        if sentence.count(" ") < 2 or sentence[:16].lower().startswith(_NO_MATTER):
            continue
        bare = _bare(sentence)
        if bare.count(" ") >= 2 and _names_one(bare, heads):
            return _presentable(bare)
        first = first or bare
    named = _bare(title)
    if first and not _names_one(named, heads):
        return _presentable(first)
    return _presentable(named or first or " ".join(description[:READ].split()))


def _names_one(sentence: str, heads: Sequence[str]) -> bool:
    said = plain(sentence)
    return any([head in said for head in heads])


def _bare(sentence: str) -> str:
    if sentence[:16].lower().startswith(_HELLO):
        sentence = _GREETING.sub("", sentence, count=1)
    return " ".join(sentence.split())


def _presentable(sentence: str) -> str:
    if len(sentence) > LONGEST:
        sentence = sentence[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    lower = sentence.lower()
    if any([mark in lower for mark in _LINK_MARKS]):
        sentence = _LINK.sub("(link)", sentence)
    return sentence[:1].upper() + sentence[1:]


def sentiment(grams: Set[str], text: str) -> str:
    """Return negative, neutral or positive, by the words and pairs of words of a ticket and by how it shouts."""
    telling = _MOODS & grams
    upset = len(_NEGATIVE & telling) + (text.count("!") >= SHOUTS)
    pleased = len(_POSITIVE & telling)
    return "negative" if upset > pleased else "positive" if pleased > upset else "neutral"


@lru_cache(maxsize=1)
def _steps() -> dict[tuple[str, str], list[tuple[frozenset[str], str]]]:
    found: dict[tuple[str, str], list[tuple[frozenset[str], str]]] = {}
    for line in lines("self_fix.txt"):
        head, _, step = line.partition(": ")
        category, language, words = head.split(" ", 2)
        triggers = frozenset(word.strip() for word in words.split(","))
        found.setdefault((category, language), []).append((triggers, step))
    return found


def self_fix(category: str, language: str, grams: Set[str]) -> tuple[str, ...]:
    """Return what the requester can try meanwhile, at most three steps, in German or else in English."""
    language = "de" if language == "de" else "en"
    fitting = [
        step
        for triggers, step in _steps().get((category, language), ())
        if "*" in triggers or not triggers.isdisjoint(grams)
    ]
    return tuple(fitting[:STEPS])
