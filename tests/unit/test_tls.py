"""The shared context of outbound HTTPS connections."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from aura.tls import https_context
from tests.receiver import PEM


@pytest.fixture(autouse=True)
def without_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_connections_share_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    assert https_context() is https_context()


def test_the_context_checks_certificates_and_names() -> None:
    assert https_context().verify_mode is ssl.CERT_REQUIRED
    assert https_context().check_hostname


def test_another_ssl_cert_file_gives_another_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    private = https_context()
    assert len(private.get_ca_certs()) == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert https_context().get_ca_certs() == []
