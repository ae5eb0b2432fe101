"""A ticket as the words, word pairs and character runs that the local model weighs.

Training and classification both use this module, so they cannot drift apart.
"""

from __future__ import annotations

import re
from itertools import pairwise

from ai.urgency import Assessment, judge, plain, without_commands

#: Characters of a description that are read; what a ticket is about stands at its beginning.
READ = 4_000

_UNC = re.compile(r"\\\\[\w.$\\-]+")
_URL = re.compile(r"https?://\S{1,500}|www\.\S{1,500}")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,60}\.[\w.-]{1,60}")
_NOISE = re.compile(
    r"^[ \t]{0,5}(?:re|fwd?|aw|wg|antw)[ \t]?:|"
    r"sent from my \w+|von meinem \w+ gesendet|this e-?mail may contain confidential[^\n]*|"
    r"-{2,40} ?original message[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[a-z0]+(?:'[a-z]+)?")


def fold(text: str) -> str:
    """Return the text in lower case, umlauts spelled out, numbers, links and addresses replaced by a stand-in."""
    text = _MAIL.sub(" addr ", _URL.sub(" link ", _UNC.sub(" uncpath ", _NOISE.sub(" ", text))))
    return _NUMBER.sub("0", plain(text))


def ticket_words(title: str, description: str) -> list[str]:
    """Return the folded words of a ticket; the title counts twice, for it says most."""
    first = [word[:30] for word in _WORD.findall(fold(title))]
    return first + first + [word[:30] for word in _WORD.findall(fold(description))]


def grams(words: list[str]) -> list[str]:
    """Return the words and the pairs of neighbours ("shared drive")."""
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def pieces(words: list[str]) -> list[str]:
    """Return the runs of three to five characters within each word, its borders marked by "_"."""
    found: list[str] = []
    for word in words:
        if len(word) > 2:
            bordered = f"_{word}_"
            for size in (3, 4, 5):
                found.extend(bordered[at : at + size] for at in range(len(bordered) - size + 1))
    return found


def signals(found: Assessment) -> list[str]:
    """Return what the impact and urgency rules saw, as features of the priority model."""
    return [f"impact={found.impact}", f"urgency={found.urgency}", f"matrix={found.impact}/{found.urgency}"]


def read(title: str, description: str) -> tuple[list[str], list[str], list[str], Assessment]:
    """Return word grams, character pieces, rule signals and the assessment they come from."""
    title, description = without_commands(title[:READ]), without_commands(description[:READ])
    words = ticket_words(title, description)
    found = judge(f"{title}\n{description}")
    return grams(words), pieces(words), signals(found), found
