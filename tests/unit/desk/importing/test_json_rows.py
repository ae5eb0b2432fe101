"""Rows of JSON files: the list of tickets, damaged elements, nested values."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.desk.importing import json_scanner
from aura.desk.importing.json_rows import document_text, find_list, flatten, read_json, read_json_lines
from aura.desk.importing.lines import Line
from aura.desk.importing.report import InvalidImportFile
from tests.growth import MOST, growth

Message = tuple[int, str]


def read(text: str, chunk: int = 1_000) -> tuple[list[tuple[int, Any]], list[Message], list[Message]]:
    chunks = [text[at : at + chunk] for at in range(0, len(text), chunk)]
    rejected: list[Message] = []
    warnings: list[Message] = []
    path = find_list(chunks, lambda keys: "subject" in keys)
    rows = read_json(
        chunks, path, lambda line, reason: rejected.append((line, reason)), lambda line, t: warnings.append((line, t))
    )
    return [(row.line, row.value) for row in rows], rejected, warnings


@pytest.mark.parametrize("chunk", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('[{"a": 1}, {"a": "]}\\"{"}]', [{"a": 1}, {"a": ']}"{'}]),
        ('{"tickets": [{"id": 1}], "users": [{"id": 5}]}', [{"id": 1}]),
        (
            '{"users": [{"id": 5}], "count": 1, "issues": [{"id": 1, "tags": ["a", {"b": []}]}]}',
            [{"id": 1, "tags": ["a", {"b": []}]}],
        ),
        ('{"data": {"next": null, "records": [{"id": 1}]}}', [{"id": 1}]),
        ('{"vorgänge": [{"id": 1}]}', [{"id": 1}]),
        (
            '{"subject": "x", "custom": [{"id": 1}]}\n{"subject": "y"}',
            [{"subject": "x", "custom": [{"id": 1}]}, {"subject": "y"}],
        ),
        ('{"tickets": []}', []),
        ("[]", []),
        ("", []),
        ('{"ti\\u0063kets": [{"id": 1}]}', [{"id": 1}]),
    ],
)
def test_the_list_of_tickets_is_found(text: str, values: list[Any], chunk: int):
    if not text:
        with pytest.raises(InvalidImportFile, match="no list of tickets"):
            read(text, chunk)
        return
    rows, rejected, warnings = read(text, chunk)

    assert ([value for _, value in rows], rejected, warnings) == (values, [], [])


def test_two_lists_of_other_names_are_refused():
    with pytest.raises(InvalidImportFile, match="lists: foo, bar"):
        read('{"foo": [{"id": 1}], "bar": [{"id": 2}]}')


@pytest.mark.parametrize("chunk", [1, 1_000])
def test_a_damaged_element_has_its_line_and_the_others_are_read(chunk: int):
    rows, rejected, _ = read('[\n{"a": 1},\n{"a": NaN},\n5, "x\\"",\n[1],\n{"a" 2},\n{"a": 3}\n]', chunk)

    assert rows == [(2, {"a": 1}), (7, {"a": 3})]
    assert [line for line, _ in rejected] == [3, 4, 4, 5, 6]


def test_a_file_that_ends_early_has_a_warning():
    rows, rejected, warnings = read('[{"a": 1},\n{"a": 2},\n{"a": ')

    assert ([line for line, _ in rows], [line for line, _ in rejected]) == ([1, 2], [3])
    assert warnings == [(3, "the file ends before its list: it may be incomplete")]


def test_a_huge_element_is_rejected_with_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_scanner, "ELEMENT_LIMIT", 100_000)

    def chunks() -> Iterator[str]:
        yield '[{"a": "'
        for _ in range(300):
            yield "x" * 100_000
        yield '"}, {"a": 1}]'

    rejected: list[Message] = []
    tracemalloc.start()
    try:
        rows = list(read_json(chunks(), (), lambda *message: rejected.append(message), lambda *_: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [row.value for row in rows] == [{"a": 1}]
    assert rejected == [(1, "the element is longer than 2,000,000 characters")]
    assert peak < 2_000_000


def test_json_lines_are_read_line_by_line():
    texts = ['{"a": 1}', "", "{", "[1]", '"text"', '{"a": NaN}', "[" * 100_000, '{"a": 2}']
    rejected: list[int] = []
    lines = [Line(number, text) for number, text in enumerate(texts, start=1)]
    rows = list(read_json_lines([*lines, Line(9, '{"a": 3}', cut=True)], lambda line, _: rejected.append(line)))

    assert [row.value for row in rows] == [{"a": 1}, {"a": 2}]
    assert rejected == [3, 4, 5, 6, 7, 9]


def test_values_of_nested_objects_have_dotted_names():
    row = {
        "key": "X-1",
        "fields": {"status": {"name": "Done", "id": "3"}, "labels": ["a"], "priority": {"value": 2}},
        "n": None,
    }

    assert flatten(row) == {
        "key": "X-1",
        "fields.status": "Done",
        "fields.status.name": "Done",
        "fields.status.id": "3",
        "fields.priority": 2,
        "fields.priority.value": 2,
        "n": None,
    }


def test_a_document_is_its_text():
    def node(kind: str, *content: Any, **more: Any) -> dict[str, Any]:
        return {"type": kind, "content": list(content), **more}

    text = {"type": "text", "text": "Hello"}
    deep: dict[str, Any] = text
    for _ in range(500):
        deep = node("panel", deep)
    document = node(
        "doc",
        node("paragraph", text, {"type": "hardBreak"}, text),
        node("bulletList", node("listItem", node("paragraph", text))),
        deep,
    )

    assert document_text(document).split() == ["Hello", "Hello", "Hello"]


def test_values_that_are_nested_too_deep_are_refused():
    with pytest.raises(InvalidImportFile, match="line 2: values are nested more than 500 deep"):
        read("[{},\n" + "[" * 600)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=5), st.integers(1, 40), st.booleans())
def test_every_array_of_objects_is_read_back(values: list[dict[str, Any]], chunk: int, ascii: bool):
    text = json.dumps(values, ensure_ascii=ascii, indent=1)
    rows, rejected, warnings = read(text, chunk)

    assert ([value for _, value in rows], rejected, warnings) == (values, [], [])


@given(st.text(st.sampled_from('{}[]",:\\ a1\n'), max_size=60))
def test_no_text_raises_another_error(text: str):
    with suppress(InvalidImportFile):
        read(text, 7)


@pytest.mark.parametrize("piece", ["[", "{", '"', "\\", '{"a":', "[]", "{},", '"\\"'])
def test_hostile_text_takes_linear_time(piece: str):
    def scan(text: str) -> None:
        with suppress(InvalidImportFile):
            list(read_json([text], (), lambda *_: None, lambda *_: None))

    assert growth(scan, piece * 20_000) < MOST


def test_the_first_object_of_a_list_and_an_object_around_the_row_are_read():
    row = {
        "ticket": {
            "Subject": "VPN",
            "Requestor": [{"EmailAddress": "ada@example.com"}, {"EmailAddress": "b@example.com"}],
        }
    }

    assert flatten(row) == {"Subject": "VPN", "Requestor.EmailAddress": "ada@example.com"}
