"""Rows of JSON files: JSON Lines, an array of objects, or an object with a list inside, as REST APIs of help desks answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aura.desk.importing.json_scanner import ELEMENT_LIMIT, Path, Scanner
from aura.desk.importing.lines import LINE_LIMIT, Line
from aura.desk.importing.report import InvalidImportFile, Log
from db.new_tickets import parse_json

#: Keys of the list of tickets in the answers of REST APIs, in lower case.
LIST_KEYS = (
    "tickets",
    "issues",
    "result",
    "results",
    "items",
    "records",
    "values",
    "data",
    "requests",
    "entries",
    "rows",
)
#: Depth of nested objects whose values become values of the row.
NESTING = 4
#: Keys whose value stands for an object: {"name": "Closed", "id": 6} is "Closed".
NAME_KEYS = ("display_value", "displayValue", "name", "value")


class JsonRow(NamedTuple):
    """An object of the file and the line of its beginning."""

    line: int
    value: dict[str, Any]


def read_json_lines(lines: Iterable[Line], reject: Log) -> Iterator[JsonRow]:
    """Yield the objects of a JSON Lines file."""
    for line in lines:
        if line.cut:
            reject(line.number, f"the line is longer than {LINE_LIMIT:,} characters")
        elif line.text.strip():
            yield from _parsed(line.number, line.text, reject)


def read_json(chunks: Iterable[str], path: Path | None, reject: Log, warn: Log) -> Iterator[JsonRow]:
    """Yield the objects of the list at the path of keys; None stands for the objects of the outermost level."""
    scanner = Scanner(top_objects=path is None)
    line = 1
    for element in scanner.elements(chunks):
        line = element.line
        if element.path != (path or ()):
            continue
        if element.text is None:
            reject(line, f"the element is longer than {ELEMENT_LIMIT:,} characters")
        else:
            yield from _parsed(line, element.text, reject)
    if not scanner.complete:
        warn(line, "the file ends before its list: it may be incomplete")


def find_list(chunks: Iterable[str], is_ticket: Callable[[Sequence[str]], bool]) -> Path | None:
    """Return the path of keys to the list of tickets, or None for objects of the outermost level. Raises InvalidImportFile.

    `is_ticket` says whether the keys of an object are those of a ticket.
    """
    scanner = Scanner()
    candidates: dict[Path, None] = {}
    for element in scanner.elements(chunks):
        if not element.path:
            return ()
        if element.text is None or element.text.startswith("{"):
            if element.path[-1].lower() in LIST_KEYS and "" not in element.path:
                return element.path
            candidates.setdefault(element.path)
    if is_ticket(list(scanner.keys)):
        return None
    named = [path for path in scanner.lists if not path or path[-1].lower() in LIST_KEYS]
    if named or len(candidates) == 1:
        return next(iter(named or candidates))
    lists = ", ".join(".".join(path) for path in scanner.lists)[:200]
    raise InvalidImportFile(
        f"no list of tickets under a key such as {', '.join(LIST_KEYS[:3])}; lists: {lists or 'none'}"
    )


def flatten(value: dict[str, Any], prefix: str = "", depth: int = NESTING) -> dict[str, Any]:
    """Return the values of nested objects by dotted names; an object with a name is its name, too.

    {"fields": {"status": {"name": "Done"}}} gives "fields.status" and "fields.status.name". Of a list of objects the first one
    counts, such as the first requestor; an object around the whole row, {"helpdesk_ticket": {...}}, is left out.
    """
    if not prefix and len(value) == 1:
        (inner,) = value.values()
        value = inner if isinstance(inner, dict) else value
    flat: dict[str, Any] = {}
    for key, each_value in value.items():
        name = f"{prefix}{key}"
        inner = _first_object(each_value)
        if isinstance(inner, dict):
            if inner.get("type") == "doc":
                flat[name] = document_text(inner)
                continue
            short = next((inner[each] for each in NAME_KEYS if isinstance(inner.get(each), str | int | float)), None)
            if short is not None:
                flat[name] = short
            if depth:
                flat |= {name: each for name, each in flatten(inner, f"{name}.", depth - 1).items() if name not in flat}
        elif not isinstance(inner, list):
            flat[name] = inner
    return flat


def _first_object(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value


def document_text(node: Any, depth: int = 50) -> str:
    """Return the text of a document in the Atlassian Document Format, which Jira Cloud uses for descriptions."""
    if not isinstance(node, dict) or not depth:
        return ""
    if node.get("type") == "text":
        return str(node.get("text", ""))
    if node.get("type") == "hardBreak":
        return "\n"
    content = node.get("content")
    inner = "".join(document_text(each, depth - 1) for each in content) if isinstance(content, list) else ""
    blocks = ("paragraph", "heading", "listItem", "codeBlock", "blockquote", "tableRow")
    return f"{inner.rstrip()}\n" if node.get("type") in blocks else inner


def _parsed(line: int, text: str, reject: Log) -> Iterator[JsonRow]:
    try:
        value = parse_json(text)
        if not isinstance(value, dict):
            raise ValueError(f"a JSON object is expected, not {type(value).__name__}")
    except ValueError as error:
        reject(line, f"not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error))
        return
    yield JsonRow(line, value)
