from __future__ import annotations

from aura.ai.text.priority_rules import assess
from aura.ai.training.calibration import Scored, calibrate, temperature


def test_the_temperature_of_an_overconfident_model_is_above_one() -> None:
    def scored(high: float, truth: str) -> Scored:
        return Scored(("a", "b"), (high, 0.0), truth)

    assert temperature([scored(3, "a"), scored(3, "a"), scored(3, "b")]) > 1 > temperature([scored(1, "a")] * 20)
    assert temperature([]) == 1.0
    # labels that the model does not have are ignored
    assert temperature([scored(1, "a")] * 20 + [scored(1, "c")]) == temperature([scored(1, "a")] * 20)


def test_calibrating_stores_the_calibration_verdicts_by_predicted_name() -> None:
    model = {"category_temperature": 9.0, "priority_temperature": 9.0}
    scores = [
        Scored(("a", "b"), (2.0, 0.0), "a"),
        Scored(("a", "b"), (2.0, 0.0), "b"),
        Scored(("a", "b"), (0.0, 1.0), "b"),
    ]
    calibrate(model, {"category": scores, "priority": []})
    held_out = model["held_back"]["category"]  # type: ignore[index]
    assert model["category_temperature"] != 9.0
    assert [len(held_out["a"]["right"]), len(held_out["a"]["wrong"])] == [1, 1] and held_out["a"]["right"] == held_out[
        "a"
    ]["wrong"]
    assert [len(held_out["b"]["right"]), len(held_out["b"]["wrong"])] == [1, 0]


def test_verdicts_that_the_rules_bound_do_not_count_for_thresholds() -> None:
    model = {"category_temperature": 1.0, "priority_temperature": 1.0}
    names, scores = ("medium", "high"), (0.0, 3.0)
    past, now = assess("the server was down last week, it is fixed"), assess("the printer is slow")
    assert past.bounded("high") == "medium" and now.bounded("high") == "high"
    verdicts = [Scored(names, scores, "medium", past)] * 3 + [Scored(names, scores, "high", now)]
    calibrate(model, {"category": [], "priority": verdicts})
    held_out = model["held_back"]["priority"]["high"]  # type: ignore[index]
    assert (len(held_out["right"]), held_out["wrong"]) == (1, [])
