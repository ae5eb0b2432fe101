"""The snippets of how-to/verify-webhooks.md verify the signatures of Aura."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from aura.notifications.signatures import new_secret, sign
from tests.conftest import ROOT

BODY = '{"type":"ticket.classified","data":{"title":"Größe"}}'.encode()


def snippet(language: str) -> str:
    block = re.search(rf"```{language}\n(.*?)```", (ROOT / "docs/how-to/verify-webhooks.md").read_text(), re.DOTALL)
    assert block
    return block[1]


@pytest.fixture
def verify() -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)
    verify: Callable[..., Any] = names["verify"]
    return verify


def test_the_python_snippet_accepts_a_signature_of_either_key(verify: Callable[..., Any]) -> None:
    new, old = new_secret(), new_secret()
    headers = sign([new, old], "m1", BODY)
    assert verify(new, headers, BODY) == verify(old, headers, BODY) == "m1"


def test_the_python_snippet_rejects_any_other_request(verify: Callable[..., Any]) -> None:
    key = new_secret()
    headers = sign([key], "m1", BODY)
    for secret, changes, body in (
        (new_secret(), {}, BODY),
        (key, {}, BODY + b" "),
        (key, {"webhook-id": "m2"}, BODY),
        (key, {"webhook-signature": ""}, BODY),
    ):
        with pytest.raises(ValueError, match="wrong signature"):
            verify(secret, headers | changes, body)
    with pytest.raises(ValueError, match="timestamp out of range"):
        verify(key, sign([key], "m1", BODY, int(time.time()) - 301), BODY)


def test_the_shell_snippet_prints_the_signature(tmp_path: Any) -> None:
    key = new_secret()
    (tmp_path / "body.json").write_bytes(BODY)
    headers = sign([key], "m1", BODY)
    variables = {"SECRET": key, "ID": "m1", "TIMESTAMP": headers["webhook-timestamp"], "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        ["sh", "-c", snippet("sh")], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
    )
    assert f"v1,{result.stdout.strip()}" == headers["webhook-signature"]
