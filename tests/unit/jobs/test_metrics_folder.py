"""The folder in which the processes of a worker command share their figures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aura.jobs import metrics_folder
from tests.conftest import ROOT, wait_until
from tests.services import free_port


def test_outside_a_worker_command_nothing_is_created(
    monkeypatch: pytest.MonkeyPatch, configure: Callable[..., Any], tmp_path: Path
):
    monkeypatch.delenv(metrics_folder.VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    configure(AURA_METRICS_PORT="9100")

    assert metrics_folder.choose() is None

    assert metrics_folder.VARIABLE not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_folders_of_ended_commands_are_deleted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = metrics_folder._own_folder(os.getpid())
    assert living.stat().st_mode & 0o077 == 0
    ended = tmp_path / f"aura-metrics-{os.getuid()}-{os.getpid()}-17"
    for path in (ended, tmp_path / "aura-metrics-x", tmp_path / "another"):
        path.mkdir()

    metrics_folder.delete_abandoned()

    assert {path.name for path in tmp_path.iterdir()} == {living.name, "aura-metrics-x", "another"}


def test_a_foreign_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = metrics_folder._own_folder(os.getpid())
    own.rmdir()
    own.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="PROMETHEUS_MULTIPROC_DIR"):
        metrics_folder._own_folder(os.getpid())


@pytest.mark.integration
def test_a_worker_command_serves_its_metrics_with_the_port_alone(tmp_path: Path):
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name != metrics_folder.VARIABLE}
    env |= {"DATABASE_URL": f"sqlite:///{tmp_path}/aura.db", "AURA_ENV": "development", "PYTHONPATH": str(ROOT)}
    env |= {"AURA_METRICS_PORT": str(port), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "aura", "migrate"], env=env, check=True, capture_output=True, cwd=tmp_path)
    command = [str(Path(sys.executable).with_name("dramatiq")), "actors", "--processes", "1", "--threads", "1"]
    worker = subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL)

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    try:
        wait_until(lambda: 'aura_attempts_total{actor="classify",outcome="completed"}' in page(), 90, "no metrics")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
