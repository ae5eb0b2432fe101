"""What was found out about words, remembered: most words of a ticket were in another one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

#: So many characters of words are remembered before all are forgotten, which bounds what odd texts can fill.
KEPT = 100_000

T = TypeVar("T")


class Memo(dict[str, T], Generic[T]):
    """What `make` returns for a word, made when it is first asked for; quicker to ask than ``lru_cache``, which keeps order."""

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make
        self._room = KEPT

    def __missing__(self, word: str) -> T:
        self._room -= len(word)
        if self._room < 0:
            self.clear()
            self._room = KEPT - len(word)
        found = self[word] = self._make(word)
        return found
