"""Learning: from labelled tickets a new local model, measured beside the old one on tickets that neither has seen.

1. Texts that say the same are one, so that none is on both sides.
2. Of each class a part is held back, chosen by the text's own hash: the same tickets are held back the next time, so that
   the old model, if it was learned here, has not seen them either.
3. The new model learns from the others, and from the shipped seeds if it is meant to know their categories.
4. Its confidence is calibrated on tickets it has not seen.
5. Both judge what was held back. A model that is worse at anything is not activated unless it is forced to be.
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
from aura.ai.evaluation.evaluate import ask_all
from aura.ai.text.features import ticket_words
from aura.ai.training.calibration import calibrate, score_examples
from aura.ai.training.data import examples as seeds
from aura.ai.training.data import folds as seed_folds
from aura.ai.training.datasets import LABELS, Example
from aura.ai.training.fit import Untrainable, cross_validate, fit, packed, seal

#: The share that is held back, and the one of a large file, from where on it is large.
HELD_BACK, HELD_BACK_OF_MANY, MANY = 0.2, 0.1, 5_000
#: The fewest tickets that something can be learned from; and held-back ones on which confidence can be calibrated.
LEAST, CALIBRATING = 20, 500
FOLDS = 5
#: What a ticket of this desk counts beside one that was composed of seeds.
WEIGHT = 4.0

Progress = Callable[[str, float], None]


class TrainedModel(NamedTuple):
    """A new model as its file and ready to use, and how good it is beside the old one."""

    content: str
    model: Model
    report: dict[str, Any]

    @property
    def worse(self) -> list[str]:
        """What the new model is worse at, such as "category: 81.0% right, before 84.2%"."""
        compared = {label: self.report[label] for label in LABELS if label in self.report}
        return [
            f"{label}: {found['accuracy']:.1%} right, before {found['before']['accuracy']:.1%}"
            for label, found in compared.items()
            if found["accuracy"] < found["before"]["accuracy"]
        ]


def hold_out(tickets: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return what is learned from and what is held back, a part of each class; equal texts are on one side."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for each in tickets:
        groups[_key(each)].append(each)
    share = HELD_BACK_OF_MANY if len(groups) >= MANY else HELD_BACK
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
    said = " ".join(ticket_words(example.title, example.description))
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


def _part(members: int, share: float) -> int:
    return max(round(members * share), 1) if members > 1 else 0


def train(
    tickets: Sequence[Example],
    old: Model,
    precision: float,
    *,
    with_seeds: bool,
    progress: Progress = lambda _what, _share: None,
) -> TrainedModel:
    """Learn a model from labelled tickets, and compare it with the old one. Raises Untrainable."""
    start = perf_counter()
    if len(tickets) < LEAST:
        raise Untrainable(f"{len(tickets)} labelled tickets are too few: at least {LEAST} are needed")
    progress("reading", 0.0)
    kept, held = hold_out([replace(each, weight=WEIGHT) for each in tickets] if with_seeds else tickets)
    progress("training", 0.1)
    raw = fit([*(seeds() if with_seeds else ()), *kept])
    progress("calibrating", 0.6)
    enough = len(held) >= CALIBRATING
    calibrate(
        raw, score_examples(read_model(packed(raw)), held) if enough else cross_validate(_folds(kept, with_seeds))
    )
    content = packed(seal(raw))
    new = read_model(content)
    progress("comparing", 0.9)
    report = {
        "version": new.version,
        "tickets": len(tickets),
        "held_back": len(held),
        "with_seeds": with_seeds,
        "categories": list(new.categories),
        "has_priorities": bool(new.priorities),
        "compared_with": old.version,
        **_figures(new, old, held, precision),
        "bytes": len(content.encode()),
        "seconds": round(perf_counter() - start, 1),
    }
    progress("done", 1.0)
    return TrainedModel(content, new, report)


def _folds(kept: Sequence[Example], with_seeds: bool) -> Iterator[tuple[list[Example], list[Example]]]:
    own = [(each, each.group % FOLDS) for each in kept]
    seeded = seed_folds(FOLDS) if with_seeds else ((list[Example](), list[Example]()) for _ in range(FOLDS))
    for fold, (learned, held_back) in enumerate(seeded):
        yield (
            learned + [each for each, at in own if at != fold],
            held_back + [each for each, at in own if at == fold],
        )


def _figures(new: Model, old: Model, held: Sequence[Example], precision: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = ("accuracy", "macro_f1")
    for model in (new, old):
        report = ask_all(LocalEngine(model.categories, model, precision).classify, held).report(
            new.categories, precision
        )
        for label in LABELS:
            if label not in report:
                continue
            figures = {name: report[label][name] for name in names}
            if model is new:
                found[label] = {"tickets": report[label]["tickets"], **figures, "applied": report[label]["applied"]}
            else:
                found[label]["before"] = figures
    return found
