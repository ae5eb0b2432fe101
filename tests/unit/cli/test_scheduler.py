"""`aura scheduler`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, wait_until
from tests.services import free_port

pytestmark = pytest.mark.integration


def test_the_scheduler_waits_for_the_database_at_its_start(tmp_path: Path):
    url = f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura"
    env = {**os.environ, "DATABASE_URL": url, "AURA_ENV": "development", "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "aura", "scheduler"], env=env, cwd=tmp_path, stderr=log)
    try:
        text = (tmp_path / "log").read_text
        wait_until(lambda: "scheduler waits for the database" in text(), 60)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "hunter2" not in text()
    finally:
        process.kill()
        process.wait()
