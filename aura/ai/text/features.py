"""Features of a ticket for the local model: words, word pairs, character n-grams within words, and rule signals.

Training and classification both use this module, so that their features are the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from aura.ai.text.content import content
from aura.ai.text.instructions import strip_ticket
from aura.ai.text.normalize import fold
from aura.ai.text.priority_rules import Assessment, assess, assessed_text

#: Added to the squared length of a ticket's vector, so that a ticket of few words gets low scores.
SMOOTHING = 600.0
#: Characters of a word that count.
LONGEST_WORD = 30
#: Parts of texts between spaces whose words are cached, and characters of the longest such part: about 4 MB.
CACHED, CACHED_LENGTH = 10_000, 40

_UNC = re.compile(r"\\\\[\w.$\\-]+")
_URL = re.compile(r"https?://\S{1,500}|www\.\S{1,500}")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,60}\.[\w.-]{1,60}")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")


def _tokens(part: str) -> list[str]:
    """Return the words of a text without spaces; numbers, links and addresses are replaced by a placeholder."""
    if "\\\\" in part:
        part = _UNC.sub(" uncpath ", part)
    if "://" in part or "www." in part:
        part = _URL.sub(" link ", part)
    if "@" in part:
        part = _MAIL.sub(" addr ", part)
    return [word[:LONGEST_WORD] for word in _WORD.findall(_NUMBER.sub("0", part))]


_cached_tokens = lru_cache(CACHED)(_tokens)


def words(text: str) -> list[str]:
    """Return the folded words of a text."""
    return list(
        chain.from_iterable(
            [_cached_tokens(part) if len(part) <= CACHED_LENGTH else _tokens(part) for part in fold(text).split()]
        )
    )


def ticket_words(title: str, description: str) -> list[str]:
    """Return the folded words of a ticket; those of the title count twice."""
    return 2 * words(title) + words(description)


def word_pairs(words: list[str]) -> list[str]:
    """Return the pairs of adjacent words ("shared drive")."""
    return list(map(" ".join, pairwise(words)))


def words_and_pairs(words: list[str]) -> list[str]:
    """Return the words and the pairs of adjacent words."""
    return [*words, *word_pairs(words)]


def ngrams(word: str) -> list[str]:
    """Return the runs of three to five characters of a word, its ends marked by "_"; none for a word of one or two."""
    if len(word) < 3:
        return []
    bordered = f"_{word}_"
    return [bordered[at : at + size] for size in (3, 4, 5) for at in range(len(bordered) - size + 1)]


def signals(assessment: Assessment) -> list[str]:
    """Return impact and urgency as features of the priority model."""
    impact, urgency = assessment.impact, assessment.urgency
    return [f"impact={impact}", f"urgency={urgency}", f"matrix={impact}/{urgency}"]


class TicketFeatures(NamedTuple):
    """The content of a ticket without the instructions in it, its words and the assessment of the priority rules."""

    title: str
    description: str
    #: Folded, those of the title twice.
    words: list[str]
    assessment: Assessment


def extract(title: str, description: str) -> TicketFeatures:
    """Return the features of a ticket's content; at most 4,000 characters of its title and description are read."""
    title, description = strip_ticket(*content(title, description))
    return TicketFeatures(
        title, description, ticket_words(title, description), assess(assessed_text(title, description))
    )
