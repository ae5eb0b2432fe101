from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from aura.ai.training.data import CATEGORIES
from aura.ai.training.datasets import CATEGORY, Example, UnusableFile, name_of, one_spelling, read_dataset
from db.new_tickets import parse_priority


def test_a_label_stands_for_a_category_by_its_usual_names() -> None:
    labels = ("network", "NETZWERK", "e-mail", "Zugriff", "Sonstiges")
    assert [name_of(label, CATEGORIES) for label in labels] == ["Network", "Network", "Email", "Access", "Other"]
    assert name_of("HR", CATEGORIES) == "HR"


def test_an_equal_name_is_preferred_to_another_usual_name() -> None:
    assert name_of("Account", ("Access", "Account")) == "Account"


def test_the_spellings_of_a_category_become_one() -> None:
    labels = ["network ", "NETWORK", "Pets", "pets", None]
    examples = one_spelling([Example("x", "", label, "low") for label in labels], CATEGORIES)
    assert [each.category for each in examples] == ["Network", "Network", "Pets", "Pets", None]


def file(folder: Path, content: str | bytes, name: str = "tickets.csv") -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("title,description,category,priority\nVPN,drops,Network,P2\n", "a.csv"),
        ("\ufefftitle;description;category;priority\r\nVPN;drops;Network;HIGH\r\n", "a.csv"),
        ("Priority\tCategory\tTitle\tDescription\nhoch\tNetwork\tVPN\tdrops\n", "a.csv"),
        ("title,description,category,priority\nVPN,<p>drops</p>,Network,high\n", "a.csv.gz"),
    ],
)
def test_files_of_spreadsheets_are_read(tmp_path: Path, content: str, name: str) -> None:
    dataset = read_dataset(file(tmp_path, content, name), {}, parse_priority)
    assert [(each.title, each.description, each.category, each.priority) for each in dataset.examples] == [
        ("VPN", "drops", "Network", "high")
    ]
    assert dataset.labels == ("category", "priority") and not dataset.bad


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = file(tmp_path, "Text,Kind\nVPN drops,Network\n")
    dataset = read_dataset(path, {"description": "text", "category": "Kind"}, parse_priority)
    assert dataset.examples[0].description == "VPN drops" and dataset.examples[0].priority is None
    assert dataset.labels == ("category",)


def test_bad_rows_are_reported_and_the_others_are_read(tmp_path: Path) -> None:
    rows = [
        "title,category,priority",
        "good,Email,low",
        ",Email,low",
        "x,,",
        "two,Email,low,more",
        "y,Email,soon",
        "z,,soon",
    ]
    dataset = read_dataset(file(tmp_path, "\n".join(rows)), {}, parse_priority)

    assert [(each.title, each.priority) for each in dataset.examples] == [("good", "low"), ("y", None)]
    assert [line for line, _ in dataset.bad] == [3, 4, 5, 6, 7] and dataset.rejected == 4
    assert [reason.split(",")[0].split(":")[0] for _, reason in dataset.bad] == [
        "no text",
        "no label",
        "4 cells for 3 columns",
        "only the category is used",
        "unknown priority",
    ]


@pytest.mark.parametrize(
    ("content", "columns", "words"),
    [
        ("", {}, "the file is empty"),
        ("\n\n", {}, "the file is empty"),
        ("title,category\n", {}, "no ticket"),
        ("title,category\n,Email\n", {}, "line 2: no text"),
        ("a,b\n1,2\n", {}, "no column title or description"),
        ("title,b\n1,2\n", {}, "no column category or priority"),
        ("title,category\n1,2\n", {"category": "Kind"}, "no column 'Kind'; available: title, category"),
        ("title,title,category\n1,2,3\n", {}, "two columns are called 'title'"),
    ],
)
def test_a_file_that_is_no_dataset_is_an_error_with_a_reason(
    tmp_path: Path, content: str, columns: dict[str, str], words: str
) -> None:
    with pytest.raises(UnusableFile, match=words):
        read_dataset(file(tmp_path, content), columns, parse_priority)


def test_a_broken_gzip_file_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(b"title,category\n" + b"VPN,Network\n" * 1000)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableFile):
        read_dataset(path, {}, parse_priority)
    path.write_bytes(b"no gzip")
    with pytest.raises(UnusableFile):
        read_dataset(path, {}, parse_priority)


def test_a_long_category_is_cut_and_a_category_of_two_lines_joined(tmp_path: Path) -> None:
    path = file(tmp_path, f'title,category\nVPN,{"x" * 500}\nVPN," two\n lines "\n')
    dataset = read_dataset(path, {}, parse_priority)
    assert [each.category for each in dataset.examples] == ["x" * CATEGORY, "two lines"]


def test_at_most_the_limit_of_tickets_is_read(tmp_path: Path) -> None:
    path = file(tmp_path, "title,category\n" + "VPN,Network\n" * 9)
    assert len(read_dataset(path, {}, parse_priority, limit=4).examples) == 4
