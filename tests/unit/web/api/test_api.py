"""All routes with hostile values."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from aura.web.auth.requirements import route_scopes
from db import transaction
from db.models import Ticket

HOSTILE = [
    "\0",
    "' OR '1'='1",
    "<script>alert(1)</script>",
    "\u202e",
    "a" * 500,
    "%",
    "-1",
    "\U0001f4a9",
    "../../etc",
    "{}",
]


@pytest.mark.slow
def test_no_hostile_value_is_a_server_error(web: TestClient):
    with transaction() as session:
        session.add(Ticket(source="test", raw="{}", title="x"))
    broken = []
    for path, method, scope in route_scopes(web.app):  # type: ignore[arg-type]
        if scope is None or path.endswith(("/events", "/logout")):
            continue
        for word in HOSTILE:
            quoted = word.replace("%", "%25").replace("\0", "%00").replace("/", "%2F")
            url = "/".join(quoted if each.startswith("{") else each for each in path.split("/"))
            names = (
                "actor",
                "fingerprint",
                "status",
                "cursor",
                "after",
                "subject",
                "reason",
                "category",
                "args",
                "from",
            )
            bodies: list[dict[str, Any]] = [{"json": dict.fromkeys(names, word)}]
            bodies += [{"content": word.encode()}] if word in ("{}", "\0") and method != "GET" else []
            for body in bodies:
                answer = web.request(method, url[:4000], params=dict.fromkeys(names, word), **body)
                broken += [f"{method} {path} {word[:20]!r}"] if answer.status_code >= 500 else []
                kind = answer.headers["content-type"]
                page = kind.startswith("text/html") and not path.startswith("/api/")
                fine = answer.status_code < 400 or page or kind == "application/problem+json"
                broken += [] if fine else [f"{method} {path} {word[:20]!r}: no problem document"]
    assert not broken
