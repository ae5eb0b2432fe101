"""The words: links lead somewhere, figures are those that were measured, and all is spelt well."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bench import results
from bench.page import written
from tests.conftest import ROOT


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split()]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    pages = tracked("*.md")
    assert len(pages) > 10
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


def test_words_are_spelt_well() -> None:
    pages = [*tracked("*.md"), *tracked("deploy"), ROOT / "aura/settings.py", ROOT / ".env.example"]
    command = [Path(sys.executable).parent / "codespell", "--ignore-words-list", "hist", *pages]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.stdout + checked.stderr == ""


def test_figures_are_those_that_were_measured():
    for path, text in written(results.load()).items():
        assert path.read_text() == text, f"{path.name} is not what bench/results.json says: run `python -m bench.page`"
