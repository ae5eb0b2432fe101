"""The job system without the service desk, embedded: the README's example runs, and loads none of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, environment_variables
from tests.standalone import example, program


def test_the_example_of_the_readme_runs_embedded_without_the_service_desk(tmp_path: Path):
    (tmp_path / "greetings.py").write_text(example())
    clean = {name: value for name, value in os.environ.items() if name not in environment_variables()}

    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/jobs.db"}

    result = subprocess.run(
        [sys.executable, "-c", program()],
        cwd=tmp_path,
        env=clean | database | {"AURA_ENV": "development", "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (result.stdout.splitlines(), result.returncode) == (["[('Ada', 3)]", "[]"], 0), result.stderr


def test_the_example_has_twenty_lines_of_code():
    assert sum(bool(line.strip()) for line in example().splitlines()) <= 20
