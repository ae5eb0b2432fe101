"""With a protection off its tests go red; a test that cannot do that proves nothing.

A copy of the project is changed and tested. `make mutants` tries all of them, `make test` every eighteenth.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.mutants.table import MUTANTS, Mutant

#: What a copy needs not: environments, caches, and what git keeps.
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "images")
CHOSEN = MUTANTS if os.environ.get("MUTANTS") == "all" else MUTANTS[::18]
OPTIONS = ("-q", "-x", "-m", "not integration", "-p", "no:cacheprovider", "--hypothesis-profile", "quick")
#: What pytest says when tests failed; 2 to 5 say that it could not run them.
TESTS_FAILED = 1


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutants") / "aura"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_what_a_mutant_changes_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.on) == 1


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CHOSEN, ids=str)
def test_with_a_protection_off_its_tests_go_red(mutant: Mutant, copy: Path) -> None:
    changed = copy / mutant.file
    before = changed.read_text(encoding="utf-8")
    changed.write_text(before.replace(mutant.on, mutant.off), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", *OPTIONS, *mutant.tests],
            cwd=copy,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        changed.write_text(before, encoding="utf-8")
    assert done.returncode == TESTS_FAILED, f"{done.stdout[-3000:]}{done.stderr[-1000:]}"
