"""Training of a local model from labelled tickets, with a comparison to the model in use on held-out tickets.

1. Tickets with equal texts form a group; a group is either for training or held out.
2. A part of each class is held out, chosen by a hash of the text: the same tickets are held out again by a later training,
   so the model in use has not seen them either.
3. The new model is trained on the other tickets, and on the shipped training examples if it has to know their categories.
4. Its confidence is calibrated on tickets that it has not seen.
5. Both models are evaluated on the held-out tickets. `TrainedModel.worse` has the labels that the new one is worse at.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

from aura.ai.engines.local import LocalEngine
from aura.ai.engines.model import Model, read_model
from aura.ai.evaluation.evaluate import evaluate
from aura.ai.text.features import ticket_words
from aura.ai.training.calibration import calibrate, score_examples
from aura.ai.training.data import examples as shipped_examples
from aura.ai.training.data import folds as shipped_folds
from aura.ai.training.datasets import LABELS, Example
from aura.ai.training.fit import TrainingError, cross_validate, fit, set_version, to_json

#: The share that is held out, the share of a large dataset, and the tickets of a large dataset.
HELD_OUT, HELD_OUT_OF_MANY, MANY = 0.2, 0.1, 5_000
#: Fewest tickets for a training, and fewest held-out tickets for a calibration without cross-validation.
LEAST, CALIBRATING = 20, 500
FOLDS = 5
#: Weight of a labelled ticket beside a composed training example, which has 1.
WEIGHT = 4.0

#: Called with the name of a step and the share that is done.
Progress = Callable[[str, float], None]


class TrainedModel(NamedTuple):
    """A new model, the content of its file, and the comparison to the old model."""

    content: str
    model: Model
    report: dict[str, Any]

    @property
    def worse(self) -> list[str]:
        """The labels that the new model is worse at, such as "category: 81.0% right, before 84.2%"."""
        compared = {label: self.report[label] for label in LABELS if label in self.report}
        return [
            f"{label}: {figures['accuracy']:.1%} right, before {figures['before']['accuracy']:.1%}"
            for label, figures in compared.items()
            if figures["accuracy"] < figures["before"]["accuracy"]
        ]


def hold_out(tickets: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the tickets for training and those held out, a part of each class; equal texts are on one side."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for each in tickets:
        groups[_key(each)].append(each)
    share = HELD_OUT_OF_MANY if len(groups) >= MANY else HELD_OUT
    strata: dict[str, list[str]] = defaultdict(list)
    for key, members in groups.items():
        strata[members[0].category or members[0].priority or ""].append(key)
    held = {key for keys in strata.values() for key in sorted(keys)[: _part(len(keys), share)]}
    numbered = {key: number for number, key in enumerate(groups)}
    sides: tuple[list[Example], list[Example]] = ([], [])
    for key, members in groups.items():
        sides[key in held].extend(replace(each, group=numbered[key]) for each in members)
    return sides


def _key(example: Example) -> str:
    text = " ".join(ticket_words(example.title, example.description))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _part(members: int, share: float) -> int:
    return max(round(members * share), 1) if members > 1 else 0


def train(
    tickets: Sequence[Example],
    old: Model,
    precision: float,
    *,
    with_shipped: bool,
    progress: Progress = lambda _step, _share: None,
) -> TrainedModel:
    """Train a model on labelled tickets, and compare it with the old one. Raises TrainingError."""
    start = perf_counter()
    if len(tickets) < LEAST:
        raise TrainingError(f"{len(tickets)} labelled tickets are too few: at least {LEAST} are needed")
    progress("reading", 0.0)
    training, held_out = hold_out([replace(each, weight=WEIGHT) for each in tickets] if with_shipped else tickets)
    progress("training", 0.1)
    raw = fit([*(shipped_examples() if with_shipped else ()), *training])
    progress("calibrating", 0.6)
    enough = len(held_out) >= CALIBRATING
    calibrate(
        raw,
        score_examples(read_model(to_json(raw)), held_out)
        if enough
        else cross_validate(_folds(training, with_shipped)),
    )
    content = to_json(set_version(raw))
    new = read_model(content)
    progress("comparing", 0.9)
    report = {
        "version": new.version,
        "tickets": len(tickets),
        "held_out": len(held_out),
        "with_shipped": with_shipped,
        "categories": list(new.categories),
        "has_priorities": bool(new.priorities),
        "compared_with": old.version,
        **_figures(new, old, held_out, precision),
        "bytes": len(content.encode()),
        "seconds": round(perf_counter() - start, 1),
    }
    progress("done", 1.0)
    return TrainedModel(content, new, report)


def _folds(tickets: Sequence[Example], with_shipped: bool) -> Iterator[tuple[list[Example], list[Example]]]:
    own = [(each, each.group % FOLDS) for each in tickets]
    shipped = shipped_folds(FOLDS) if with_shipped else ((list[Example](), list[Example]()) for _ in range(FOLDS))
    for fold, (training, held_out) in enumerate(shipped):
        yield (
            training + [each for each, at in own if at != fold],
            held_out + [each for each, at in own if at == fold],
        )


def _figures(new: Model, old: Model, held_out: Sequence[Example], precision: float) -> dict[str, Any]:
    comparison: dict[str, Any] = {}
    names = ("accuracy", "macro_f1")
    for model in (new, old):
        report = evaluate(LocalEngine(model.categories, model, precision).classify, held_out).report(
            new.categories, precision
        )
        for label in LABELS:
            if label not in report:
                continue
            figures = {name: report[label][name] for name in names}
            if model is new:
                comparison[label] = {
                    "tickets": report[label]["tickets"],
                    **figures,
                    "applied": report[label]["applied"],
                }
            else:
                comparison[label]["before"] = figures
    return comparison
