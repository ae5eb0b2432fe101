"""Masking: replaces personal data and secrets in a text before it is sent to the AI provider.

    mask("Call ada@example.com, password: hunter2").text  ->  "Call [email 1], password: [password 1]"

E-mail addresses, phone and card numbers, IBANs, national ids, tokens, keys and passwords become a placeholder; equal values get the same
number, so that the text keeps its meaning. All detectors run on the unmasked text. The time is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from aura.ai.text.masking.addresses import addresses
from aura.ai.text.masking.credential_pairs import credential_pairs
from aura.ai.text.masking.credentials import credentials
from aura.ai.text.masking.national_ids import national_ids
from aura.ai.text.masking.numbers import numbers
from aura.ai.text.masking.passwords import passwords
from aura.ai.text.masking.people import people
from aura.ai.text.masking.plain_characters import plain_characters
from aura.ai.text.masking.secrets import secrets
from aura.ai.text.masking.span import Span

__all__ = ["Masked", "mask"]

#: Characters in which two spellings of one number or address may differ.
_IGNORED = re.compile(r"[\s()./\\+>-]+")


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with placeholders, and the number of masked values by kind."""

    text: str
    found: dict[str, int]


def mask(text: str, *, names: bool = False) -> Masked:
    """Return the text in plain characters, with a placeholder for each detected value; `names`: also names and postal addresses."""
    text = plain_characters(text)
    parts: list[str] = []
    found: dict[str, int] = {}
    numbers_by_kind: dict[str, dict[str, int]] = {}
    at = 0
    for span in _merged(
        chain(
            addresses(text),
            national_ids(text),
            numbers(text),
            secrets(text),
            passwords(text),
            credential_pairs(text),
            credentials(text),
            people(text) if names else (),
        )
    ):
        value = _IGNORED.sub("", text[span.start : span.end].casefold())
        numbered = numbers_by_kind.setdefault(span.kind, {})
        number = numbered.setdefault(value, len(numbered) + 1)
        parts += text[at : span.start], f"[{span.kind} {number}]"
        found[span.kind] = found.get(span.kind, 0) + 1
        at = span.end
    return Masked("".join([*parts, text[at:]]), found)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order; overlapping spans become one, of the kind of the first and longest."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
