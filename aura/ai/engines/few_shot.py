"""Few-shot examples from corrected tickets: only what says the category, never other people's data or orders to a model.

Every request to an AI provider carries examples, also the requests about other people's tickets. So an example is no text of a
ticket: it keeps the words of the title and the description that the shipped model knows, which are general words of service
desks. Names, numbers and rare words are not among them. A ticket that gives orders to a model becomes no example.
"""

from __future__ import annotations

import re
from functools import cache

from aura.ai.engines.base import FewShotExample
from aura.ai.engines.model import load
from aura.ai.text import lexicons
from aura.ai.text.features import words
from aura.ai.text.instructions import has_instruction
from aura.ai.text.masking import mask
from aura.ai.text.normalize import normalize

#: Characters of a title and of a description that are read, and of an example.
READ, LONGEST = 2_000, 200
#: Words of a description.
WORDS = 15

_PLACEHOLDER_OR_WORD = re.compile(r"\[[a-z]+ \d+\]|[^\W_]+(?:[-'][^\W_]+)*|\S")
_PLACEHOLDER = re.compile(r"\[[a-z]+ \d+\]")
#: What stands in brackets in a title is an aside, and the words after a form of address are a name.
_BRACKETS = re.compile(r"\([^()]{0,200}\)")
_PERSON = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herrn?|Frau|Hr|Fr|Mme|Monsieur|Madame|Señora?|Sra?|MR|MRS|MS|HERR|FRAU|mr|mrs|ms|herrn?|frau)\b\.?"
    r"\s+[^\W\d_][\w'-]{0,40}(?:\s+[A-ZÄÖÜ][\w'-]{0,40})?"
)
#: Words about a model and its task; an example is optional, so a ticket with one of them is left out even if it is harmless.
_ABOUT_MODELS = re.compile(
    r"\b(?:classif\w*|klassifi\w*|language model|sprachmodell\w*|llms?|gpt\w*|chatbots?|assistants?|prompts?|few.shot|jailbreak"
    r"|system (?:note|message|prompt)|from now on|ab (?:jetzt|sofort|nun)"
    r"|(?:all|every|any|alle\w*|jede\w*) (?:other |future |further |ander\w* )?tickets?"
    r"|(?:all|the|your|other|alle|die|deine|andere\w*) (?:other )?(?:examples|beispiele|instructions|anweisungen)"
    r"|(?:category|kategorie|priority|priorität) (?:is|must|shall|should|ist|muss|soll|=|:))\b"
)


@cache
def _known() -> frozenset[str]:
    """Return the words of the shipped model without names and stop words of one letter."""
    names = lexicons.words("common_names.txt")
    return frozenset(word for word in load().words if " " not in word and len(word) > 1 and word not in names)


@cache
def _categorical() -> frozenset[str]:
    """Return the known words that are no stop words."""
    return _known() - lexicons.words("stop_words.txt")


def example_of(title: str, description: str, category: str, priority: str) -> FewShotExample | None:
    """Return the example of a corrected ticket, None if the ticket gives orders or no word says its category."""
    title, description = title[:READ], description[:READ]
    normalized = normalize(f"{title}\n{description}")
    if has_instruction(normalized) or _ABOUT_MODELS.search(normalized):
        return None
    title = _title(title)
    text = f"{title}: {_words(description)}".strip(": ")[:LONGEST]
    return FewShotExample(text, category, priority) if words(text) else None


def _title(title: str) -> str:
    """Return the known words and the placeholders of a title, in their order."""
    text = mask(_PERSON.sub(" ", _BRACKETS.sub(" ", title))).text
    return " ".join(
        part
        for part in _PLACEHOLDER_OR_WORD.findall(text)
        if _PLACEHOLDER.fullmatch(part) or any([word in _known() for word in words(part)])
    )


def _words(description: str) -> str:
    """Return the known words of a description in alphabetical order, so that they are no sentence."""
    found = words(_PLACEHOLDER.sub(" ", mask(_PERSON.sub(" ", description)).text))
    first = dict.fromkeys(word for word in found if word in _categorical())
    return " ".join(sorted(list(first)[:WORDS]))
