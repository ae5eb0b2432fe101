from __future__ import annotations

import json
import math

import pytest

from aura.ai.engines.model import MODEL, InvalidModel, load, read_model, score
from aura.ai.text.features import SMOOTHING


def pets_model(**changes: object) -> str:
    """The file of a model with two words and one n-gram."""
    model = {
        "version": "local-1",
        "scale": 1000,
        "categories": ["Cats", "Dogs"],
        "priorities": [],
        "category_bias": [0.0, 0.0],
        "priority_bias": [],
        "category_temperature": 0.5,
        "priority_temperature": 1.0,
        "held_back": {"category": {"Cats": {"right": [0.9] * 60, "wrong": []}}},
        "signals": {},
        "words": {"purr": [1000, 20000, -20000], "bark": [1000, -20000, 20000]},
        "pieces": {"_mia": [1000, 1000, 0]},
    }
    return json.dumps(model | changes)


def test_the_shipped_model_file_is_below_five_megabytes() -> None:
    assert MODEL.stat().st_size < 5_000_000


def test_the_shipped_model_can_be_read_from_its_bytes() -> None:
    assert read_model(MODEL.read_bytes()).version == load().version


def test_a_score_is_weight_times_tf_idf_over_the_smoothed_length() -> None:
    # the word is in the title, which counts twice: 1 + ln 2 times
    tf = 1 + math.log(2)
    model = read_model(pets_model(pieces={}))
    word, word_and_unknown, both_words = (
        score(text, "", model).categories for text in ("purr", "purr zzz", "purr bark")
    )
    assert word == pytest.approx([20 * tf / math.sqrt(tf * tf + SMOOTHING), -20 * tf / math.sqrt(tf * tf + SMOOTHING)])
    assert word_and_unknown == pytest.approx(word)
    assert both_words == pytest.approx([0.0, 0.0])


def test_the_ngrams_of_an_unknown_word_are_scored() -> None:
    cats, dogs = score("miaow", "", read_model(pets_model())).categories
    assert cats > 0 and dogs == 0


def test_an_ngram_counts_as_often_as_the_word_has_it() -> None:
    tf = 1 + math.log(2)
    cats, _ = score("banana", "", read_model(pets_model(pieces={"ana": [1000, 9000, 0]}))).categories
    assert cats == pytest.approx(2 * 9 * tf / math.sqrt(4 * tf * tf + SMOOTHING))


def test_a_rule_signal_adds_its_weight_to_each_priority() -> None:
    changes = {"priorities": ["low", "high"], "priority_bias": [0.5, 0.0], "words": {}, "pieces": {}}
    model = read_model(pets_model(signals={"urgency=stopped": [-2000, 3000]}, **changes))
    assert score("a quiet day", "", model).priorities == [0.5, 0.0]
    assert score("outage", "", model).priorities == [-1.5, 3.0]


def test_the_explanation_names_three_terms_without_common_words_and_stop_words() -> None:
    words = {
        "vpn": 9000,
        "vpn vpn": 9500,
        "vpn tunnel": 8000,
        "tunnel": 7000,
        "the": 9900,
        "the tunnel": 9800,
        "drops": 6000,
    }
    words |= {"again": 5500, "office": 5000, "router": 4000}
    rows = {name: [1000, 0, weight] for name, weight in words.items()}
    model = read_model(pets_model(words=rows, category_bias=[0.0, 1.0]))
    assert score("vpn vpn tunnel the tunnel drops again office router", "", model).explanation == [
        "vpn",
        "tunnel",
        "drops",
    ]


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "7", '"model"', "{}", b"\xff\xfe", "[" * 100_000),
        pets_model(categories=[]),
        pets_model(category_bias=[0.0]),
        pets_model(words={"purr": [1000, 1]}),
        pets_model(words={"purr": "x"}),
        pets_model(words=["purr"]),
        pets_model(scale=0, signals={"impact=team": [1]}),
        pets_model(held_back={"category": {"Cats": [0.9]}}),
    ],
)
def test_content_that_is_no_model_is_refused(content: str | bytes) -> None:
    with pytest.raises(InvalidModel):
        read_model(content)
