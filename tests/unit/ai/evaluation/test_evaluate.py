"""Measuring: figures that a person can check by hand, thresholds that hold, charts that show them, files as they come."""

from __future__ import annotations

import gzip
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.base import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.thresholds import LEAST, lower_bound, threshold, thresholds
from aura.ai.evaluation.evaluate import Prediction, ask_all, coverage, measure, reliability
from aura.ai.evaluation.reliability_chart import reliability_chart
from aura.ai.training.data import CATEGORIES
from aura.ai.training.datasets import CATEGORY, Example, UnusableFile, name_of, one_spelling, read_dataset
from db.new_tickets import parse_priority

# -- figures ----------------------------------------------------------------------------------------------------------


def answers() -> list[Prediction]:
    """Four of Network, one of which was taken for Email; two of Email, one of which was taken for Network."""
    return [
        Prediction("Network", "Network", 0.9, True),
        Prediction("Network", "Network", 0.8, True),
        Prediction("Network", "Network", 0.6, False),
        Prediction("Network", "Email", 0.55, False),
        Prediction("Email", "Email", 0.95, True),
        Prediction("Email", "Network", 0.85, True),
    ]


def test_accuracy_precision_recall_and_f1() -> None:
    found = measure(answers(), 0.95)

    assert found["accuracy"] == 0.6667
    network, email = found["per_class"]["Network"], found["per_class"]["Email"]
    assert network == {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}
    assert email == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert found["macro_f1"] == 0.625
    assert found["confusion"] == {"Email": {"Email": 1, "Network": 1}, "Network": {"Email": 1, "Network": 3}}
    assert found["applied"] == {"share": 0.6667, "accuracy": 0.75}


def test_the_same_figures_as_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="compared with the extra [learn]")
    truths = [name for name in "aaabbbccca" for _ in range(3)]
    saids = [name for name in "abcabcabca" for _ in range(3)]
    found = measure([Prediction(t, s, 0.5, False) for t, s in zip(truths, saids, strict=True)], 0.9)

    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truths, saids), abs=1e-4)
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truths, saids, average="macro"), abs=1e-4)
    for name, row in zip("abc", zip(*metrics.precision_recall_fscore_support(truths, saids), strict=True), strict=True):
        assert list(found["per_class"][name].values()) == pytest.approx(row, abs=1e-4)


def test_what_was_said_but_never_true_has_no_f1_of_its_own() -> None:
    found = measure([Prediction("a", "a", 0.9, True), Prediction("a", "ghost", 0.9, True)], 0.95)
    assert found["per_class"]["ghost"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert found["macro_f1"] == found["per_class"]["a"]["f1"] == 0.6667


def test_calibration_compares_how_sure_with_how_often_right() -> None:
    # Given ten answers of 90 % of which nine are right, and ten of 60 % of which three are
    sure = [Prediction("a", "a" if at else "b", 0.9, False) for at in range(10)]
    unsure = [Prediction("a", "a" if at < 3 else "b", 0.6, False) for at in range(10)]
    # Then the first bin is perfect, the second 0.3 off, the mean 0.15
    assert measure(sure, 0.9)["ece"] == 0.0
    assert measure(unsure, 0.9)["ece"] == 0.3
    assert measure(sure + unsure, 0.9)["ece"] == 0.15
    assert [(row["from"], row["tickets"], row["accuracy"]) for row in reliability(sure + unsure)] == [
        (0.6, 10, 0.3),
        (0.9, 10, 0.9),
    ]
    assert reliability([Prediction("a", "a", 1.0, False)])[0]["to"] == 1.0


def test_coverage_is_the_largest_share_that_is_right_often_enough() -> None:
    ranked = [
        Prediction("a", said, sure, False)
        for said, sure in (("a", 0.9), ("a", 0.8), ("b", 0.7), ("a", 0.6), ("b", 0.5))
    ]
    assert coverage(ranked, 0.9) == {"wanted_precision": 0.9, "share": 0.4, "precision": 1.0}
    assert coverage(ranked, 0.75) == {"wanted_precision": 0.75, "share": 0.8, "precision": 0.75}
    assert coverage(ranked, 0.6)["share"] == 1.0
    # of equally sure ones none can be chosen
    assert coverage([Prediction("a", said, 0.9, False) for said in "ab"], 0.9)["share"] == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0, 1)), min_size=1))
def test_any_answers_give_sane_figures(rows: list[tuple[str, str, float]]) -> None:
    found = measure([Prediction(truth, said, sure, sure > 0.5) for truth, said, sure in rows], 0.8)
    for figure in (found["accuracy"], found["macro_f1"], found["ece"], found["coverage"]["share"]):
        assert 0 <= figure <= 1
    assert sum(row["tickets"] for row in found["reliability"]) == len(rows)
    assert sum(count for row in found["confusion"].values() for count in row.values()) == len(rows)
    assert found["coverage"]["share"] == 0 or found["coverage"]["precision"] >= 0.8 - 1e-4


# -- thresholds -------------------------------------------------------------------------------------------------------


def test_a_threshold_keeps_what_is_right_often_enough() -> None:
    right, wrong = [(0.9, True)] * 60, [(0.5, False)] * 10
    found = threshold([*right, *wrong, (0.7, True)], 0.95)
    # 61 of 61 above 0.7, and 61 of 71 above 0.5
    assert found.confidence == 0.7 and found.precision == 1.0 and found.seen == 71
    assert found.share == 61 / 71
    assert found.reached(0.7) and found.reached(1.0) and not found.reached(0.69)


def test_few_lucky_tickets_are_no_evidence() -> None:
    assert threshold([(0.9, True)] * (LEAST - 1), 0.5).confidence is None
    assert threshold([(0.9, True)] * LEAST, 0.95).confidence is None
    assert threshold([(0.9, True)] * 60, 0.95).confidence == 0.9


def test_a_class_that_never_gets_there_is_always_reviewed() -> None:
    never = threshold([(0.9, True), (0.9, False)] * 100, 0.95)
    assert never.confidence is None and not never.reached(1.0)
    assert thresholds({"a": []}, 0.5)["a"].confidence is None


def test_what_is_equally_sure_stands_or_falls_together() -> None:
    # whichever of the equal ones comes first, 100 of 150 are right
    assert threshold([(0.9, True)] * 100 + [(0.9, False)] * 50, 0.8).confidence is None


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans()), max_size=300),
    st.floats(0.05, 0.99),
)
def test_above_any_threshold_the_wanted_precision_was_seen(pairs: list[tuple[float, bool]], wanted: float) -> None:
    found = threshold(pairs, wanted)
    if found.confidence is not None:
        above = [right for sure, right in pairs if sure >= found.confidence]
        assert sum(above) / len(above) >= wanted and found.precision == sum(above) / len(above)
        assert found.share == len(above) / len(pairs)


def test_the_lower_bound_is_wilsons() -> None:
    assert lower_bound(0, 0) == 0.0
    assert lower_bound(10, 10, 1.96) == pytest.approx(0.7225, abs=1e-3)
    assert lower_bound(5, 10, 1.96) == pytest.approx(0.2366, abs=1e-3)
    assert lower_bound(95, 100) < lower_bound(950, 1000) < 0.95


# -- asking an engine -------------------------------------------------------------------------------------------------


def moody(questions: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
    """Answer all but one."""
    return [
        EngineError("it refused", permanent=True)
        if question.title == "bad"
        else Verdict("Email", 0.9, "low", 0.8, "", "moody", "m", latency_ms=float(at + 1), cost=0.25)
        for at, question in enumerate(questions)
    ]


def test_one_ticket_without_an_answer_costs_the_others_nothing() -> None:
    tickets = [Example(title, "", "Email", None) for title in ("good", "bad", "good")]
    seen: list[int] = []
    report = ask_all(moody, tickets, seen.append).report(CATEGORIES, 0.95)

    assert (report["tickets"], report["unanswered"], report["why_unanswered"]) == (3, 1, "it refused")
    assert report["category"]["tickets"] == 2 and report["category"]["accuracy"] == 1.0
    assert "priority" not in report
    assert report["cost"] == 0.5 and report["latency_ms"] == {"p50": 3.0, "p95": 3.0}
    assert seen == [3]


def test_each_ticket_has_a_budget_of_its_own() -> None:
    ids: list[int] = []

    def note(questions: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
        ids.extend(question.id for question in questions)
        return moody(questions)

    ask_all(note, [Example("x", "", "Email", None)] * 100)
    assert len(set(ids)) == 100 and max(ids) < 0


def test_labels_are_compared_by_what_they_mean() -> None:
    tickets = [Example("VPN drops", "tunnel disconnects", label, None) for label in ("network", "NETZWERK", "Network")]
    report = ask_all(LocalEngine(CATEGORIES).classify, tickets).report(CATEGORIES, 0.95)
    assert report["category"]["accuracy"] == 1.0
    assert [name_of(label, CATEGORIES) for label in ("e-mail", "Zugriff", "Sonstiges", "HR")] == [
        "Email",
        "Access",
        "Other",
        "HR",
    ]
    # a category of this very name comes before one that is also called so
    assert name_of("Account", ("Access", "Account")) == "Account"


def test_a_category_has_one_spelling_to_learn_from() -> None:
    said = ["network ", "NETWORK", "Pets", "pets", None]
    found = one_spelling([Example("x", "", label, "low") for label in said], CATEGORIES)
    assert [each.category for each in found] == ["Network", "Network", "Pets", "Pets", None]


# -- labelled files ---------------------------------------------------------------------------------------------------


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
def test_files_are_read_as_spreadsheets_write_them(tmp_path: Path, content: str, name: str) -> None:
    found = read_dataset(file(tmp_path, content, name), {}, parse_priority)
    assert [(e.title, e.description, e.category, e.priority) for e in found.examples] == [
        ("VPN", "drops", "Network", "high")
    ]
    assert found.labels == ("category", "priority") and not found.bad


def test_columns_may_be_called_otherwise(tmp_path: Path) -> None:
    path = file(tmp_path, "Text,Kind\nVPN drops,Network\n")
    found = read_dataset(path, {"description": "text", "category": "Kind"}, parse_priority)
    assert found.examples[0].description == "VPN drops" and found.examples[0].priority is None
    assert found.labels == ("category",)


def test_bad_rows_are_reported_and_the_others_used(tmp_path: Path) -> None:
    rows = [
        "title,category,priority",
        "good,Email,low",
        ",Email,low",
        "x,,",
        "two,Email,low,more",
        "y,Email,soon",
        "z,,soon",
    ]
    found = read_dataset(file(tmp_path, "\n".join(rows)), {}, parse_priority)

    assert [(each.title, each.priority) for each in found.examples] == [("good", "low"), ("y", None)]
    assert [line for line, _ in found.bad] == [3, 4, 5, 6, 7] and found.rejected == 4
    assert [reason.split(",")[0].split(":")[0] for _, reason in found.bad] == [
        "no text",
        "no label",
        "4 cells for 3 columns",
        "only its category counts",
        "no priority that anybody knows",
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
        ("title,category\n1,2\n", {"category": "Kind"}, "no column 'Kind'; there are: title, category"),
        ("title,title,category\n1,2,3\n", {}, "two columns 'title'"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, content: str, columns: dict[str, str], words: str) -> None:
    with pytest.raises(UnusableFile, match=words):
        read_dataset(file(tmp_path, content), columns, parse_priority)


def test_a_broken_archive_is_an_unusable_file(tmp_path: Path) -> None:
    whole = gzip.compress(b"title,category\n" + b"VPN,Network\n" * 1000)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableFile):
        read_dataset(path, {}, parse_priority)
    path.write_bytes(b"no gzip")
    with pytest.raises(UnusableFile):
        read_dataset(path, {}, parse_priority)


def test_the_name_of_a_category_fits_where_it_is_stored(tmp_path: Path) -> None:
    path = file(tmp_path, f'title,category\nVPN,{"x" * 500}\nVPN," two\n lines "\n')
    found = read_dataset(path, {}, parse_priority)
    assert [each.category for each in found.examples] == ["x" * CATEGORY, "two lines"]


def test_a_limit_is_kept(tmp_path: Path) -> None:
    path = file(tmp_path, "title,category\n" + "VPN,Network\n" * 9)
    assert len(read_dataset(path, {}, parse_priority, limit=4).examples) == 4


# -- the chart --------------------------------------------------------------------------------------------------------


def test_the_chart_is_well_formed_and_shows_every_bin() -> None:
    figures = {"category": measure(answers(), 0.95), "<priority>": measure(answers()[:1], 0.95)}
    root = ElementTree.fromstring(reliability_chart(figures, "a < b & c"))

    names = {"svg": "http://www.w3.org/2000/svg"}
    bars = root.findall(".//svg:rect[@class='bar']", names)
    assert len(bars) == len(figures["category"]["reliability"]) + 1
    assert root.find("svg:title", names).text == "a < b & c"  # type: ignore[union-attr]
    hints = [title.text for title in root.findall(".//svg:g/svg:title", names)]
    assert "1 tickets, confidence 0.90, right 1.00" in hints
    for bar in bars:
        assert all(
            math.isfinite(float(bar.attrib[side])) and float(bar.attrib[side]) >= 0 for side in ("x", "y", "height")
        )
