"""A ticket as the words, word pairs and character runs that the local model weighs.

Training and classification both use this module, so they cannot drift apart.
"""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import NamedTuple

from aura.ai.text.memo import Memo
from aura.ai.text.priority_rules import Assessment, evidence, plain

#: What the length of a ticket is at least, squared: of a few words nobody is sure, however telling they are.
LEAST_SQUARED = 600.0

_UNC = re.compile(r"\\\\[\w.$\\-]+")
_URL = re.compile(r"https?://\S{1,500}|www\.\S{1,500}")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,60}\.[\w.-]{1,60}")
_NOISE = re.compile(
    r"^[ \t]{0,5}(?:re|fwd?|aw|wg|antw)[ \t]?:|"
    r"^[> \t]{0,5}(?:from|to|cc|sent|von|an|gesendet)[ \t]?:[^\n]{0,200}$|"
    r"sent from my \w+|von meinem \w+ gesendet|this e-?mail may contain confidential[^\n]*|"
    r"-{2,40} ?original message[^\n]*",
    re.MULTILINE,
)
#: One of these is in every text that has noise, and is quicker to look for.
_NOISE_MARKS = (":", "--", "from my ", "von me", "may conta")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")


def _fold(part: str) -> tuple[str, ...]:
    """Return the words of what stands between two blanks: numbers, links and addresses are replaced by a stand-in."""
    if "\\\\" in part:
        part = _UNC.sub(" uncpath ", part)
    if "://" in part or "www." in part:
        part = _URL.sub(" link ", part)
    if "@" in part:
        part = _MAIL.sub(" addr ", part)
    return tuple([word[:30] for word in _WORD.findall(_NUMBER.sub("0", part))])


_folded = Memo(_fold)


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, umlauts spelled out, without what mail programs add."""
    text = plain(text)
    if any([mark in text for mark in _NOISE_MARKS]):
        text = _NOISE.sub(" ", text)
    return list(chain.from_iterable(map(_folded.__getitem__, text.split())))


def ticket_words(title: str, description: str) -> list[str]:
    """Return the folded words of a ticket; the title counts twice, for it says most."""
    return 2 * words(title) + words(description)


def grams(words: list[str]) -> list[str]:
    """Return the words and the pairs of neighbours ("shared drive")."""
    return [*words, *map(" ".join, pairwise(words))]


def pieces(word: str) -> list[str]:
    """Return the runs of three to five characters within a word, its borders marked by "_"; none of a short word."""
    if len(word) < 3:
        return []
    bordered = f"_{word}_"
    return [bordered[at : at + size] for size in (3, 4, 5) for at in range(len(bordered) - size + 1)]


def signals(found: Assessment) -> list[str]:
    """Return what the impact and urgency rules saw, as features of the priority model."""
    return [f"impact={found.impact}", f"urgency={found.urgency}", f"matrix={found.impact}/{found.urgency}"]


class Reading(NamedTuple):
    """What the model sees of a ticket, without what gives orders to a machine."""

    title: str
    description: str
    #: The folded words that count.
    words: list[str]
    assessment: Assessment


def read(title: str, description: str) -> Reading:
    """Read one ticket."""
    title, description, _, assessment = evidence(title, description)
    return Reading(title, description, ticket_words(title, description), assessment)
