"""The phrasings the local model learns from, and how whole example tickets are composed from them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from ai import wording

CATEGORIES = ("Hardware", "Software", "Network", "Email", "Access", "Security", "Other")
_LEVEL = {"l": "low", "m": "medium", "h": "high", "c": "critical"}
_VAGUE = tuple(wording.lines("vague_titles.txt"))


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One way to say one matter; ``title`` may equal ``text`` when only a sentence was given."""

    category: str
    priority: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """A composed ticket with its labels; ``group`` is the phrasing it came from."""

    title: str
    description: str
    category: str
    priority: str
    group: int


def _lines(name: str) -> list[str]:
    raw = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line for line in raw if line.strip() and not line.startswith("#")]


def phrasings() -> list[Phrasing]:
    """Return every phrasing of every category, in file order."""
    found = []
    for category in CATEGORIES:
        for line in _lines(f"{category.lower()}.txt"):
            level, _, matter = line.partition(" ")
            title, _, text = (part.strip() for part in matter.partition(" | "))
            found.append(Phrasing(category, _LEVEL[level], title, text or title))
    return found


def priority_phrasings() -> list[tuple[str, str]]:
    """Return (priority, phrase) pairs that name an impact or an urgency and no matter."""
    return [(_LEVEL[line[0]], line[2:].strip()) for line in _lines("priorities.txt")]


def wrappers() -> dict[str, list[str]]:
    """Return greetings, farewells, fillers, prefixes and footers by kind."""
    found: dict[str, list[str]] = {}
    for line in _lines("wrappers.txt"):
        kind, _, text = line.partition(" ")
        found.setdefault(kind, []).append(text)
    return found


def _typo(text: str, chance: random.Random) -> str:
    letters = list(text)
    at = chance.randrange(max(1, len(letters) - 2))
    if chance.random() < 0.5 and len(letters) > 3:
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    elif len(letters) > 3:
        del letters[at]
    return "".join(letters)


def _combine(natural: str, phrase: str) -> str:
    """Return the priority of a matter that is said to have an impact or urgency of its own."""
    order = list(_LEVEL.values())
    if phrase in ("low", "medium"):
        return phrase
    return order[max(order.index(natural), order.index(phrase))]


def compose(
    matters: list[tuple[int, Phrasing]], urgencies: list[tuple[str, str]], variants: int, seed: int
) -> list[Example]:
    """Return ``variants`` example tickets per phrasing, the same ones for the same seed.

    The first variant is the phrasing as it stands; the others are wrapped, cut, misspelled or given an urgency.
    """
    chance = random.Random(seed)
    around = wrappers()
    made = []
    for group, matter in matters:
        bare = matter.text if matter.text != matter.title else ""
        made.append(Example(matter.title, bare, matter.category, matter.priority, group))
        for _ in range(variants - 1):
            title, text, priority = matter.title, matter.text, matter.priority
            form = chance.random()
            if form < 0.2:
                title = chance.choice(_VAGUE)
                text = f"{matter.title}. {matter.text}" if matter.text != matter.title else matter.text
            elif form < 0.35:
                title = " ".join(matter.title.split()[:4])
            elif form < 0.45:
                text = ""
            fits = [u for u in urgencies if not (u[0] in ("low", "medium") and priority in ("high", "critical"))]
            if chance.random() < 0.45 and fits:
                level, phrase = chance.choice(fits)
                priority = _combine(priority, level)
                text = chance.choice((f"{text}. {phrase}", f"{phrase}. {text}", f"{text}, {phrase}"))
            if chance.random() < 0.4:
                text = f"{text} {chance.choice(around['filler'])}"
            if chance.random() < 0.4:
                text = f"{chance.choice(around['greeting'])} {text}"
            if chance.random() < 0.4:
                text = f"{text}\n{chance.choice(around['farewell'])}"
            if chance.random() < 0.15:
                text = f"{text}\n{chance.choice(around['footer'])}"
            if chance.random() < 0.2:
                title = f"{chance.choice(around['prefix'])} {title}"
            if chance.random() < 0.25:
                title, text = _typo(title, chance), _typo(text, chance) if text else text
            if chance.random() < 0.2:
                title, text = title.lower(), text.lower()
            made.append(Example(title, text, matter.category, priority, group))
    return made
