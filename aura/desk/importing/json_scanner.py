"""Splits JSON text into the elements of its lists, without parsing them: bounded memory, and the line of each element.

`ijson` streams too, but has neither lines nor a bound for one string, and ends at the first damaged element.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from aura.desk.importing.report import InvalidImportFile

#: Characters of the longest element, and of a key.
ELEMENT_LIMIT, KEY_LIMIT = 2_000_000, 200
#: Depth of the objects that may be around a list: {"data": {"tickets": [...]}} has two.
LIST_DEPTH = 3
#: Depth of the values of an element; a file with deeper ones is no export.
DEPTH_LIMIT = 500

_STRUCTURE, _STRING = re.compile(r'["{}\[\],:]'), re.compile(r'["\\]')

#: The keys of the objects around a list; empty for the outermost list.
Path = tuple[str, ...]


class Element(NamedTuple):
    """An element of the list at `path`; `text` is None for one that is longer than the limit."""

    path: Path
    line: int
    text: str | None


class Frame:
    """An open list, or an open object around lists."""

    __slots__ = ("after_colon", "is_list", "key")

    def __init__(self, is_list: bool) -> None:
        self.is_list, self.key, self.after_colon = is_list, "", False


class Scanner:
    """Reads chunks of JSON text. With `top_objects`, the objects of the outermost level are the elements.

    After the text, `keys` has the keys of the outermost object, `lists` the paths of all lists, and `complete` says whether all
    brackets were closed.
    """

    def __init__(self, top_objects: bool = False) -> None:
        self.keys: dict[str, None] = {}
        self.lists: dict[Path, None] = {}
        self._top_objects = top_objects
        self._frames: list[Frame] = []
        self._line = 1
        self._in_string = False
        # the present element: its beginning, its open brackets and its text
        self._depth = self._start = self._size = 0
        self._parts: list[str] | None = []
        # a key, or an element that is no object, such as a number
        self._word = ""

    @property
    def complete(self) -> bool:
        """Whether all brackets are closed."""
        return not self._frames and not self._depth

    def elements(self, chunks: Iterable[str]) -> Iterator[Element]:
        """Yield the elements in order."""
        escaped = False
        for text in chunks:
            at, begin, counted = int(escaped), 0, 0
            if escaped and not self._depth:
                self._add_word(text[:1])
            escaped = False
            while True:
                found = (_STRING if self._in_string else _STRUCTURE).search(text, at)
                if found is None:
                    break
                if not self._depth and not self._in_string:
                    self._add_word(text[at : found.start()])
                elif not self._depth:
                    self._add_word(text[at : found.end()])
                at, char = found.end(), found[0]
                if char == "\\":
                    if not self._depth:
                        self._add_word(text[at : at + 1])
                    escaped, at = at == len(text), at + 1
                    continue
                if char == '"':
                    self._in_string = not self._in_string
                    if not self._depth and self._in_string:
                        self._add_word('"')
                    continue
                self._line += text.count("\n", counted, found.start())
                counted = found.start()
                if self._depth:
                    self._depth += 1 if char in "{[" else -1 if char in "}]" else 0
                    if self._depth > DEPTH_LIMIT:
                        raise InvalidImportFile(f"line {self._line}: values are nested more than {DEPTH_LIMIT} deep")
                    if not self._depth:
                        self._add_part(text[begin:at])
                        yield self._finish()
                elif char in "{[" and self._begins_element(char):
                    self._depth, self._start, begin = 1, self._line, found.start()
                    self._parts, self._size = [], 0
                else:
                    yield from self._outside(char)
            if self._depth:
                self._add_part(text[begin:])
            elif at < len(text):
                self._add_word(text[at:])
            self._line += text.count("\n", counted)
        if self._depth:
            yield self._finish()

    def _outside(self, char: str) -> Iterator[Element]:
        """Follow the structure around the elements."""
        frame = self._frames[-1] if self._frames else None
        if char in "{[":
            if char == "[":
                self.lists.setdefault(self._path())
            self._frames.append(Frame(char == "["))
        elif frame is not None and frame.is_list and char in ",]":
            if self._word.strip():
                yield Element(self._path(), self._line, self._word.strip())
        elif frame is not None and char == ":":
            frame.key, frame.after_colon = self._word.strip().strip('"'), True
            if len(self._frames) == 1:
                self.keys.setdefault(frame.key)
        elif frame is not None and char == ",":
            frame.after_colon = False
        if char in "}]" and self._frames:
            self._frames.pop()
        self._word = ""

    def _begins_element(self, char: str) -> bool:
        if not self._frames:
            return self._top_objects and char == "{"
        return self._frames[-1].is_list or (char == "{" and len(self._frames) >= LIST_DEPTH)

    def _path(self) -> Path:
        return tuple(frame.key for frame in self._frames if not frame.is_list)

    def _finish(self) -> Element:
        self._depth = 0
        text = None if self._parts is None else "".join(self._parts)
        in_list = not self._frames or self._frames[-1].is_list
        return Element(self._path() if in_list else ("", *self._path()), self._start, text)

    def _add_part(self, text: str) -> None:
        self._size += len(text)
        if self._size > ELEMENT_LIMIT:
            self._parts = None
        if self._parts is not None:
            self._parts.append(text)

    def _add_word(self, text: str) -> None:
        if len(self._word) < KEY_LIMIT:
            self._word += text[: KEY_LIMIT - len(self._word)]
