"""The local engine: classifies tickets with a local model, without network, in less than a millisecond a ticket.

The text of a ticket is only compared with word lists and weights; nothing in it is executed or followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from aura.ai.engines.base import ClassificationRequest, Verdict
from aura.ai.engines.model import Model, Scores, load, score, softmax
from aura.ai.engines.thresholds import threshold, thresholds
from aura.ai.text.language import UNDETERMINED
from aura.ai.text.priority_rules import first_priority, lift
from aura.ai.text.self_fix import self_fix
from aura.ai.text.sentiment import sentiment
from aura.ai.text.summary import summary

#: Confidence of a priority that the rules alone gave: about their accuracy on labelled tickets.
RULES_CONFIDENCE = 0.5
#: Of the priorities that one person gives, the share that a second person gives too: the precision a model can reach.
AGREEMENT = 0.85
#: The priority that pages people at night needs the precision of a category.
PAGING = "critical"


#: Languages of the shipped model, and of tickets whose language is not sure; a model trained on own tickets knows theirs.
KNOWN_LANGUAGES = ("en", "de", UNDETERMINED, "")


class LocalEngine:
    """Classifies with a local model, by default the shipped one.

    ``precision`` is the wanted share of correct categories among the verdicts applied without review, see
    ``aura.ai.engines.thresholds``; for priorities it is multiplied by ``AGREEMENT``, except for critical.
    """

    name = "local"

    def __init__(self, categories: Sequence[str], model: Model | None = None, precision: float = 0.95) -> None:
        self.model = model or load()
        self.categories = tuple(categories)
        spare = "Other" if "Other" in self.categories else self.categories[-1]
        self._names = tuple(name if name in self.categories else spare for name in self.model.categories)
        held_out = self.model.held_out
        priorities = held_out.get("priority", {})
        self.thresholds = {
            "category": thresholds(held_out.get("category", {}), precision),
            "priority": thresholds(priorities, precision * AGREEMENT),
        }
        if PAGING in priorities:
            self.thresholds["priority"][PAGING] = threshold(priorities[PAGING], precision)

    def needs_review(self, category: str, confidence: float) -> bool:
        """Return whether a person has to review a category of this confidence."""
        return not self._reaches("category", category, confidence)

    def _reaches(self, label: str, name: str, confidence: float) -> bool:
        limit = self.thresholds[label].get(name)
        return limit is not None and limit.reached(confidence)

    def classify(self, requests: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per request, in order. Never raises for any text."""
        return [self._classify_one(request) for request in requests]

    def _classify_one(self, request: ClassificationRequest) -> Verdict:
        start = perf_counter()
        scores = score(request.title, request.description, self.model)
        category, confidence = self._category(scores)
        modelled, priority_confidence = self._priority(request, scores)
        judged = scores.features.assessment.bounded(modelled)
        priority = lift(judged, request.claimed_priority)
        # the accuracy of a lifted or bounded priority was never measured
        sure = priority == modelled and (
            not self.model.priorities or self._reaches("priority", judged, priority_confidence)
        )
        ticket = scores.features
        unread = self._unread(request.language)
        return Verdict(
            category=category,
            confidence=confidence,
            priority=priority,
            priority_confidence=priority_confidence,
            reason=_reason(category, priority, judged, scores) + (unread and f" {unread}"),
            engine=self.name,
            model=self.model.version,
            # a ticket of instructions alone is summarized by its title
            summary=summary(ticket.title, ticket.description, scores.explanation) or summary(request.title, "", ()),
            sentiment=sentiment(scores.terms, ticket.description),
            self_fix=self_fix(category, request.language, scores.terms),
            words=tuple(scores.explanation),
            review=bool(unread) or not sure or self.needs_review(category, confidence),
            latency_ms=round((perf_counter() - start) * 1000, 3),
        )

    def _unread(self, language: str) -> str:
        """Return why a person has to read a ticket in this language, empty if the model knows it."""
        if language in KNOWN_LANGUAGES or self.model is not load():
            return ""
        return f'The language of the ticket is "{language}", which the shipped model does not know: a person has to read it.'

    def _category(self, scores: Scores) -> tuple[str, float]:
        # several categories of the model may map to one configured category
        shares = dict.fromkeys(self._names, 0.0)
        for name, share in zip(self._names, softmax(scores.categories, self.model.category_temperature), strict=True):
            shares[name] += share
        category = max(shares, key=shares.__getitem__)
        return category, round(shares[category], 4)

    def _priority(self, request: ClassificationRequest, scores: Scores) -> tuple[str, float]:
        if not self.model.priorities:
            return first_priority(request.title, request.description), RULES_CONFIDENCE
        shares = softmax(scores.priorities, self.model.priority_temperature)
        best = shares.index(max(shares))
        return self.model.priorities[best], round(shares[best], 4)


def _reason(category: str, priority: str, judged: str, scores: Scores) -> str:
    words = ", ".join([f'"{word}"' for word in scores.explanation])
    category_reason = f", because of {words}" if words else ", the closest match"
    priority_reason = scores.features.assessment.reason() or "the usual priority of such tickets"
    lifted = f"; one level up from {judged}, as the requester asked" if priority != judged else ""
    return f"{category}{category_reason}. Priority {priority}: {priority_reason}{lifted}."
