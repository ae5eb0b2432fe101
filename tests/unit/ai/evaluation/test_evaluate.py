from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.base import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.local import LocalEngine
from aura.ai.evaluation.evaluate import Prediction, coverage, evaluate, measure, reliability
from aura.ai.training.data import CATEGORIES
from aura.ai.training.datasets import Example


def predictions() -> list[Prediction]:
    """Return predictions for four tickets of Network, one wrong, and two of Email, one wrong."""
    return [
        Prediction("Network", "Network", 0.9, True),
        Prediction("Network", "Network", 0.8, True),
        Prediction("Network", "Network", 0.6, False),
        Prediction("Network", "Email", 0.55, False),
        Prediction("Email", "Email", 0.95, True),
        Prediction("Email", "Network", 0.85, True),
    ]


def test_accuracy_precision_recall_and_f1() -> None:
    metrics = measure(predictions(), 0.95)

    assert metrics["accuracy"] == 0.6667
    network, email = metrics["per_class"]["Network"], metrics["per_class"]["Email"]
    assert network == {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}
    assert email == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert metrics["macro_f1"] == 0.625
    assert metrics["confusion"] == {"Email": {"Email": 1, "Network": 1}, "Network": {"Email": 1, "Network": 3}}
    assert metrics["applied"] == {"share": 0.6667, "accuracy": 0.75}


def test_the_metrics_equal_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="compared with the extra [learn]")
    truths = [name for name in "aaabbbccca" for _ in range(3)]
    predicted = [name for name in "abcabcabca" for _ in range(3)]
    metrics = measure([Prediction(t, s, 0.5, False) for t, s in zip(truths, predicted, strict=True)], 0.9)

    assert metrics["accuracy"] == pytest.approx(sklearn.accuracy_score(truths, predicted), abs=1e-4)
    assert metrics["macro_f1"] == pytest.approx(sklearn.f1_score(truths, predicted, average="macro"), abs=1e-4)
    for name, row in zip(
        "abc", zip(*sklearn.precision_recall_fscore_support(truths, predicted), strict=True), strict=True
    ):
        assert list(metrics["per_class"][name].values()) == pytest.approx(row, abs=1e-4)


def test_a_label_that_is_only_predicted_does_not_lower_the_macro_f1() -> None:
    metrics = measure([Prediction("a", "a", 0.9, True), Prediction("a", "ghost", 0.9, True)], 0.95)
    assert metrics["per_class"]["ghost"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert metrics["macro_f1"] == metrics["per_class"]["a"]["f1"] == 0.6667


def test_the_calibration_error_is_the_mean_difference_of_confidence_and_accuracy() -> None:
    # Given ten predictions of 90 %, nine right, and ten of 60 %, three right
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


def test_coverage_is_the_largest_share_with_the_wanted_precision() -> None:
    ranked = [
        Prediction("a", predicted, confidence, False)
        for predicted, confidence in (("a", 0.9), ("a", 0.8), ("b", 0.7), ("a", 0.6), ("b", 0.5))
    ]
    assert coverage(ranked, 0.9) == {"wanted_precision": 0.9, "share": 0.4, "precision": 1.0}
    assert coverage(ranked, 0.75) == {"wanted_precision": 0.75, "share": 0.8, "precision": 0.75}
    assert coverage(ranked, 0.6)["share"] == 1.0
    # predictions of equal confidence are covered together
    assert coverage([Prediction("a", predicted, 0.9, False) for predicted in "ab"], 0.9)["share"] == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0, 1)), min_size=1))
def test_the_metrics_of_any_predictions_are_within_their_bounds(rows: list[tuple[str, str, float]]) -> None:
    metrics = measure(
        [Prediction(truth, predicted, confidence, confidence > 0.5) for truth, predicted, confidence in rows], 0.8
    )
    for figure in (metrics["accuracy"], metrics["macro_f1"], metrics["ece"], metrics["coverage"]["share"]):
        assert 0 <= figure <= 1
    assert sum(row["tickets"] for row in metrics["reliability"]) == len(rows)
    assert sum(count for row in metrics["confusion"].values() for count in row.values()) == len(rows)
    assert metrics["coverage"]["share"] == 0 or metrics["coverage"]["precision"] >= 0.8 - 1e-4


def answer_all_but_bad(requests: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
    """Return a verdict on each ticket, an error for "bad"."""
    return [
        EngineError("it refused", permanent=True)
        if request.title == "bad"
        else Verdict("Email", 0.9, "low", 0.8, "", "moody", "m", latency_ms=float(at + 1), cost=0.25)
        for at, request in enumerate(requests)
    ]


def test_tickets_without_a_verdict_are_counted_and_the_others_measured() -> None:
    tickets = [Example(title, "", "Email", None) for title in ("good", "bad", "good")]
    counts: list[int] = []
    report = evaluate(answer_all_but_bad, tickets, counts.append).report(CATEGORIES, 0.95)

    assert (report["tickets"], report["unanswered"], report["last_error"]) == (3, 1, "it refused")
    assert report["category"]["tickets"] == 2 and report["category"]["accuracy"] == 1.0
    assert "priority" not in report
    assert report["cost"] == 0.5 and report["latency_ms"] == {"p50": 3.0, "p95": 3.0}
    assert counts == [3]


def test_each_ticket_has_its_own_id_for_the_budget() -> None:
    ids: list[int] = []

    def record(questions: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
        ids.extend(question.id for question in questions)
        return answer_all_but_bad(questions)

    evaluate(record, [Example("x", "", "Email", None)] * 100)
    assert len(set(ids)) == 100 and max(ids) < 0


def test_the_labels_of_tickets_are_compared_by_their_usual_names() -> None:
    tickets = [Example("VPN drops", "tunnel disconnects", label, None) for label in ("network", "NETZWERK", "Network")]
    report = evaluate(LocalEngine(CATEGORIES).classify, tickets).report(CATEGORIES, 0.95)
    assert report["category"]["accuracy"] == 1.0
