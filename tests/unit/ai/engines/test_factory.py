from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from aura.ai import ClassificationRequest
from aura.ai.engines.factory import local_engine, make_engine, model_in_use, reset, use_model
from aura.ai.engines.model import InvalidModel, load
from aura.settings import given
from tests.unit.ai.engines.test_model import pets_model

TICKET = ClassificationRequest("VPN down", "The tunnel drops.")


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    reset()
    yield
    reset()


def test_without_a_key_the_engine_is_the_local_one() -> None:
    assert make_engine(given()).name == "local"
    assert make_engine(given()) is make_engine(given())


def test_with_a_key_the_local_engine_answers_where_openai_fails(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/chat/completions").respond_with_json({"error": {}}, status=500)
    settings = given(OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=httpserver.url_for("/v1"))
    verdicts = make_engine(settings).classify([TICKET, TICKET])
    (local,) = make_engine(given()).classify([TICKET])
    assert [(verdict.category, verdict.engine, verdict.fallback) for verdict in verdicts] == [
        (local.category, "local", "openai: the server answered 500")
    ] * 2


def test_the_remote_engine_of_equal_settings_is_made_once() -> None:
    calls: list[str] = []
    settings = given(OPENAI_API_KEY="sk-test")

    def costs_today() -> float:
        calls.append("costs")
        return 0.5

    engine: Any = make_engine(settings, costs_today)
    assert engine is make_engine(settings, costs_today)
    assert calls == []
    engine.budget.reserve("test-model", 1, 10, 10)
    engine.budget.reserve("test-model", 1, 10, 10)
    assert calls == ["costs"]


def test_the_active_model_classifies_until_the_shipped_one_is_active_again() -> None:
    settings = given(categories=("Cats", "Dogs"))
    use_model("local-1", gzip.compress(pets_model().encode()))
    assert model_in_use() == "local-1"
    assert local_engine(settings).classify([ClassificationRequest("purr", "")])[0].model == "local-1"
    use_model("", None)
    assert (model_in_use(), local_engine(settings).model.version) == ("", load().version)


def test_an_invalid_model_leaves_the_active_one() -> None:
    use_model("local-1", gzip.compress(pets_model().encode()))
    with pytest.raises(InvalidModel):
        use_model("local-2", gzip.compress(b"{}"))
    assert model_in_use() == "local-1"


def test_a_reset_activates_the_shipped_model() -> None:
    use_model("local-1", gzip.compress(pets_model().encode()))
    reset()
    assert model_in_use() == ""
