"""The documentation as text: links, spelling, figures, navigation, and which blocks are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from bench import results
from bench.page import written
from tests.conftest import ROOT
from tests.documents import DOCS, LANGUAGES, blocks, name_of, pages, parse


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split()]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_has_a_target() -> None:
    found = tracked("*.md")
    assert len(found) > 40
    for page in found:
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
            path, _, anchor = target.replace("\\", "").partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), f"{name_of(page) if DOCS in page.parents else page.name}: {target}"
            assert not anchor or anchor in anchors(linked), f"{page.name}: {target}"


def test_the_spelling_is_correct() -> None:
    checked = [*tracked("*.md"), *tracked("deploy"), ROOT / "aura/settings.py", ROOT / ".env.example"]
    command = [Path(sys.executable).parent / "codespell", "--ignore-words-list", "hist", *checked]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stdout + result.stderr == ""


def test_the_figures_of_the_pages_are_those_of_the_results() -> None:
    for path, text in written(results.load()).items():
        assert path.read_text() == text, f"{path.name} differs from bench/results.json: run `python -m bench.page`"


def _leaves(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [leaf for each in entries for leaf in _leaves(each)]


def test_the_navigation_lists_every_page_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(_leaves(nav)) == [name_of(page) for page in pages() if DOCS in page.parents]


def test_the_index_links_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", (DOCS / "index.md").read_text()))
    assert linked == {name_of(page) for page in pages() if DOCS in page.parents} - {"index.md"}


def test_every_page_names_its_readers() -> None:
    for page in pages():
        if page.name not in ("README.md", "index.md"):
            paragraph = page.read_text().split("\n\n")[1].replace("\n", " ")
            assert paragraph.startswith("For "), name_of(page)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_few_blocks_are_not_run_and_each_names_the_reason() -> None:
    not_run = [block for page in pages() for block in blocks(page) if block.not_run]
    assert all(len(block.not_run) > 15 for block in not_run)
    assert len(not_run) <= 17, "\n".join(f"{block.page}:{block.line} {block.not_run}" for block in not_run)


def test_a_block_below_a_comment_is_not_run() -> None:
    [run, skipped, nested] = parse(
        "page.md", "```sh\na\n```\n\n<!-- not run: no cluster -->\n```sh\nb\n```\n\n1. x\n\n   ```sh\n   c\n   ```\n"
    )
    assert (run.code, run.not_run) == ("a\n", "")
    assert (skipped.code, skipped.not_run) == ("b\n", "no cluster")
    assert (nested.code, nested.line) == ("c\n", 12)


def test_every_language_of_a_block_is_known() -> None:
    others = {"text", "ini", "yaml", "js"}
    for page in pages():
        fences = re.findall(r"^ *```(\w*)$", page.read_text(), re.MULTILINE)
        languages = set(fences[::2])
        assert languages <= {*LANGUAGES, *others}, f"{name_of(page)}: {languages}"


def test_every_request_with_a_body_has_a_content_type() -> None:
    for page in pages():
        for block in blocks(page, "sh", "bash", "console"):
            for command in re.sub(r"\\\n", " ", block.code).splitlines():
                if re.search(r"\bcurl\b.* (-d|--data\S*) ", command):
                    assert "Content-Type" in command, f"{block.page}:{block.line}: {command}"
