"""The API against its OpenAPI document: every answer to good and bad requests is documented."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from db import api_keys, transaction
from db.api_keys import SCOPES
from db.models import Agent, Ticket
from tests.embedded import web_app

#: A stream that has no end, what ends the login of who asks, and what is no JSON, which schemathesis cannot write.
LEFT_OUT = ("/api/v1/events", "/api/v1/logout", "/api/v1/tickets/bulk", "/api/v1/mail")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
EXAMPLES = 6


@pytest.mark.slow
def test_every_answer_is_one_that_the_document_names(sqlite: str):
    with transaction() as session:
        session.add(Ticket(source="test", raw="{}", title="VPN drops"))
        session.add(Agent(name="Grace Chen", email="grace@example.com", skills=[]))
        _, key = api_keys.create(session, "test", SCOPES)
    schema = schemathesis.openapi.from_asgi("/openapi.json", web_app())
    wrong: dict[str, str] = {}

    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in LEFT_OUT:
            continue

        @settings(max_examples=EXAMPLES, derandomize=True)
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            (case.query or {}).pop("wait", None)  # or it does
            answer = case.call(headers={"Authorization": f"Bearer {key}"})
            try:
                case.validate_response(answer, checks=CHECKS)
            except BaseException as error:  # a group of failures, each with what was sent
                wrong.setdefault(case.operation.label, f"{answer.status_code}: {error}"[:600])

        ask()

    assert wrong == {}
