"""Training examples of the shipped model: complete tickets, and tickets composed of phrasings and things."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aura.ai.text import lexicons
from aura.ai.training.datasets import Example

CATEGORIES = ("Hardware", "Software", "Network", "Email", "Access", "Security", "Other")
#: Examples that are composed of one phrasing, and of one thing.
VARIANTS, FRAMES = 8, 3
#: Weight of a complete ticket beside a composed one, which has 1.
WHOLE = 3.0
_T = TypeVar("_T")
_LEVEL = {"l": "low", "m": "medium", "h": "high", "c": "critical"}
_VAGUE = tuple(lexicons.lines("vague_titles.txt"))


@dataclass(frozen=True, slots=True)
class Phrasing:
    """A problem in one wording; ``title`` equals ``text`` for a single sentence."""

    category: str
    priority: str
    title: str
    text: str


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _lines(name: str) -> list[str]:
    return [line for line in _read(name).splitlines() if line.strip() and not line.startswith("#")]


def phrasings() -> list[Phrasing]:
    """Return the phrasings of all categories, in the order of the files."""
    found = []
    for category in CATEGORIES:
        for line in _lines(f"{category.lower()}.txt"):
            level, _, phrasing = line.partition(" ")
            title, _, text = (part.strip() for part in phrasing.partition(" | "))
            found.append(Phrasing(category, _LEVEL[level], title, text or title))
    return found


def priority_phrasings() -> list[tuple[str, str]]:
    """Return pairs of a priority and a phrase of impact or urgency."""
    return [(_LEVEL[line[0]], line[2:].strip()) for line in _lines("priorities.txt")]


def wrappers() -> dict[str, list[str]]:
    """Return greetings, farewells, fillers, prefixes and footers by kind."""
    found: dict[str, list[str]] = {}
    for line in _lines("wrappers.txt"):
        kind, _, text = line.partition(" ")
        found.setdefault(kind, []).append(text)
    return found


def whole() -> list[Example]:
    """Return the complete tickets, written by hand."""
    rows = csv.DictReader(io.StringIO(_read("whole.csv")))
    return [Example(row["title"], row["description"], row["category"], row["priority"], -1, WHOLE) for row in rows]


def things() -> list[tuple[str, str]]:
    """Return pairs of a category and a thing that its tickets are about."""
    lines = [line.split(" ", 1) for line in _lines("things.txt")]
    return [(name, thing.strip()) for name, rest in lines if name in CATEGORIES for thing in rest.split(",")]


def frames() -> dict[str, list[tuple[str, str]]]:
    """Return pairs of a priority and a sentence with a gap for a thing, by category."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in _lines("things.txt"):
        name, _, rest = line.partition(" ")
        if name.startswith("say:"):
            found.setdefault(name.removeprefix("say:"), []).append((_LEVEL[rest[0]], rest[2:]))
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
    """Return the priority of a phrasing with a phrase of impact or urgency."""
    order = list(_LEVEL.values())
    if phrase in ("low", "medium"):
        return phrase
    return order[max(order.index(natural), order.index(phrase))]


def compose(
    phrasings: Sequence[tuple[int, Phrasing]], urgencies: Sequence[tuple[str, str]], variants: int, seed: int
) -> list[Example]:
    """Return ``variants`` examples per phrasing, the same ones for the same seed.

    The first variant is the phrasing itself; the others get greetings, typos, a phrase of urgency, or lose a part.
    """
    chance = random.Random(seed)
    wrapping = wrappers()
    made = []
    for group, phrasing in phrasings:
        bare = phrasing.text if phrasing.text != phrasing.title else ""
        made.append(Example(phrasing.title, bare, phrasing.category, phrasing.priority, group))
        for _ in range(variants - 1):
            title, text, priority = phrasing.title, phrasing.text, phrasing.priority
            form = chance.random()
            if form < 0.2:
                title = chance.choice(_VAGUE)
                text = f"{phrasing.title}. {phrasing.text}" if phrasing.text != phrasing.title else phrasing.text
            elif form < 0.35:
                title = " ".join(phrasing.title.split()[:4])
            elif form < 0.45:
                text = ""
            fits = [u for u in urgencies if not (u[0] in ("low", "medium") and priority in ("high", "critical"))]
            if chance.random() < 0.45 and fits:
                level, phrase = chance.choice(fits)
                priority = _combine(priority, level)
                text = chance.choice((f"{text}. {phrase}", f"{phrase}. {text}", f"{text}, {phrase}"))
            if chance.random() < 0.4:
                text = f"{text} {chance.choice(wrapping['filler'])}"
            if chance.random() < 0.4:
                text = f"{chance.choice(wrapping['greeting'])} {text}"
            if chance.random() < 0.4:
                text = f"{text}\n{chance.choice(wrapping['farewell'])}"
            if chance.random() < 0.15:
                text = f"{text}\n{chance.choice(wrapping['footer'])}"
            if chance.random() < 0.2:
                title = f"{chance.choice(wrapping['prefix'])} {title}"
            if chance.random() < 0.25:
                title, text = _typo(title, chance), _typo(text, chance) if text else text
            if chance.random() < 0.2:
                title, text = title.lower(), text.lower()
            made.append(Example(title, text, phrasing.category, priority, group))
    return made


def about_things(some: Sequence[tuple[str, str]], seed: int) -> list[Example]:
    """Return short tickets with usual sentences about each thing."""
    chance = random.Random(seed)
    sentences = frames()
    made = []
    for category, thing in some:
        fits = sentences[category]
        for level, sentence in chance.sample(fits, min(FRAMES, len(fits))):
            text = sentence.format(thing)
            title, text = chance.choice(((thing, text), (text, ""), (chance.choice(_VAGUE), text)))
            made.append(Example(title, text, category, level, -1))
    return made


def examples() -> list[Example]:
    """Return all training examples of the shipped model."""
    return [
        *compose(list(enumerate(phrasings())), priority_phrasings(), VARIANTS, seed=0),
        *about_things(things(), seed=0),
        *whole(),
    ]


def folds(count: int) -> Iterator[tuple[list[Example], list[Example]]]:
    """Yield pairs of training examples and held-out examples, one pair per fold.

    No phrasing, phrase of urgency, thing or complete ticket is on both sides. Held back are one composed example of each
    phrasing and the complete tickets, each in one fold.
    """
    numbered, urgencies, tickets = list(enumerate(phrasings())), priority_phrasings(), whole()
    for fold in range(count):
        training = [
            *compose(_without(numbered, fold, count), _without(urgencies, fold, count), VARIANTS, seed=fold),
            *about_things(_without(things(), fold, count), seed=fold),
            *_without(tickets, fold, count),
        ]
        held_out = compose(numbered[fold::count], urgencies[fold::count], 2, seed=100 + fold)[1::2]
        yield training, held_out + tickets[fold::count]


def _without(items: Sequence[_T], fold: int, count: int) -> list[_T]:
    return [item for at, item in enumerate(items) if at % count != fold]
