"""Masking: what identifies a person or opens a door is replaced before text leaves the house.

    mask("Call ada@example.com, password: hunter2").text  ->  "Call [email 1], password: [password 1]"

Addresses, phone and card numbers, IBANs, tokens, keys and passwords get a stand-in, equal ones the same number, so that
the meaning survives. Every detector reports where it found something; only then is anything replaced, so that none is
misled by what another one wrote. The time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from aura.ai.text.masking.addresses import addresses
from aura.ai.text.masking.numbers import numbers
from aura.ai.text.masking.pairs import pairs
from aura.ai.text.masking.passwords import passwords
from aura.ai.text.masking.plain import plain
from aura.ai.text.masking.secrets import secrets
from aura.ai.text.masking.span import Span

__all__ = ["Masked", "mask"]

#: What does not tell two spellings of one number or address apart.
_NO_MATTER = re.compile(r"[\s()./\\+>-]+")


@dataclass(frozen=True, slots=True)
class Masked:
    """The text with stand-ins, and how many values of each kind they stand for."""

    text: str
    found: dict[str, int]


def mask(text: str) -> Masked:
    """Return the text, without invisible and look-alike characters, and a stand-in for each value that must not leave."""
    text = plain(text)
    parts: list[str] = []
    found: dict[str, int] = {}
    names: dict[str, dict[str, int]] = {}
    at = 0
    for span in _merged(chain(addresses(text), numbers(text), secrets(text), passwords(text), pairs(text))):
        value = _NO_MATTER.sub("", text[span.start : span.end].casefold())
        known = names.setdefault(span.kind, {})
        number = known.setdefault(value, len(known) + 1)
        parts += text[at : span.start], f"[{span.kind} {number}]"
        found[span.kind] = found.get(span.kind, 0) + 1
        at = span.end
    return Masked("".join([*parts, text[at:]]), found)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order; those that overlap are one, of the kind that begins first and reaches farthest."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
