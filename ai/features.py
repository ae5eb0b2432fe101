"""A ticket as the words, word pairs and character runs that the local model weighs.

Training and classification both use this module, so they cannot drift apart.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from ai.urgency import Assessment, evidence, judge, plain

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
    re.IGNORECASE | re.MULTILINE,
)
#: One of these is in every text that has noise, and is quicker to look for. None has an i, s or k: Unicode knows more
#: than one letter that is one of those when case is ignored.
_NOISE_MARKS = (":", "--", "from my ", "von me", "may conta")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")


def fold(text: str) -> str:
    """Return the text in lower case, umlauts spelled out, numbers, links and addresses replaced by a stand-in."""
    lower = text.lower()
    if any([mark in lower for mark in _NOISE_MARKS]):
        text = _NOISE.sub(" ", text)
    if "\\\\" in text:
        text = _UNC.sub(" uncpath ", text)
    if "://" in lower or "www." in lower:
        text = _URL.sub(" link ", text)
    if "@" in text:
        text = _MAIL.sub(" addr ", text)
    return _NUMBER.sub("0", plain(text))


def ticket_words(title: str, description: str) -> list[str]:
    """Return the folded words of a ticket; the title counts twice, for it says most."""
    title, _, description = fold(f"{title}\n\0\n{description}").partition("\0")
    first = [word[:30] for word in _WORD.findall(title)]
    return first + first + [word[:30] for word in _WORD.findall(description)]


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
    title, description, said = evidence(title, description)
    return Reading(title, description, ticket_words(title, description), judge(said))
