"""The checker of retired terms finds them in every form, and allows what is legitimate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import vocabulary
from tests.vocabulary import ALLOWED, TERMS, Allowed, allowing, find


def terms(text: str, path: str = "aura/sample.py") -> list[str]:
    return [finding.term for finding, line in find(path, text) if allowing(finding, line) is None]


@pytest.mark.parametrize(
    "text",
    [
        "Return the promise.",
        "promised_jobs = 1",
        "class JobPromise: ...",
        "from aura.jobs import Ear",
        "what was given up",
        "jobs.given_up",
        "a ticket is looked at again",
        "who has it is told",
        "it leaves the house",
        "run `aura dead groups`",
        "AURA_FOLD_ABOVE=30",
        "AURA_KEEP_SENT_DAYS",
        "a thing of one's own",
        "import turnstile",
        "python -m aura clock",
        "the wishes of people",
        "def taking(said): ...",
        "middleware/journal.py",
    ],
)
def test_a_retired_term_is_found(text: str) -> None:
    assert terms(text)


@pytest.mark.parametrize(
    "text",
    [
        "The compromise of a year in the warehouse",
        "aura dead-letters groups",
        "aura_dead_letters",
        "AURA_REPLAY_LIMIT",
        "aura schedules list",
        "PRAGMA journal_mode = WAL",
        "title.casefold()",
        "We learned to search for early pears",
    ],
)
def test_a_similar_word_is_not_found(text: str) -> None:
    assert terms(text) == []


def test_a_finding_names_the_place_and_the_replacement() -> None:
    [(finding, line)] = find("db/jobs.py", "first\n\n    def bury(self): ...\n")
    assert line == "    def bury(self): ..."
    assert str(finding) == "db/jobs.py:3: 'bury' is retired; use: dead-letter (verb), dead_letter()"


def test_an_entry_allows_its_files_and_lines_alone() -> None:
    entry = Allowed("docs/*.md", "cross-validation", "folds of a cross-validation")
    [(finding, line)] = find("docs/a.md", "five folds of a cross-validation")
    assert allowing(finding, line, [entry]) is entry
    [(finding, line)] = find("docs/a.md", "five folds")
    assert allowing(finding, line, [entry]) is None
    [(finding, line)] = find("db/a.py", "five folds of a cross-validation")
    assert allowing(finding, line, [entry]) is None


def test_every_entry_has_a_reason() -> None:
    assert all(len(each.reason) > 10 for each in ALLOWED)


def test_every_term_is_a_lower_case_expression() -> None:
    for term in TERMS:
        assert term == term.lower().replace("_", " ") or "\\w" in term
        assert re.compile(term)


def test_the_command_reports_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.py").write_text("jobs = 1\n")
    (tmp_path / "bad.py").write_text("# what was promised\n")
    monkeypatch.setattr(vocabulary, "ROOT", tmp_path)
    monkeypatch.setattr(vocabulary, "ALLOWED", ())
    monkeypatch.setattr(vocabulary, "files", lambda: iter([tmp_path / "good.py"]))
    assert vocabulary.main() == 0
    monkeypatch.setattr(vocabulary, "files", lambda: iter(tmp_path.glob("*.py")))
    assert vocabulary.main() == 1
    assert capsys.readouterr().out == "bad.py:1: 'promised' is retired; use: enqueue, NewJob, enqueued\n"


def test_an_entry_that_allows_nothing_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "files", lambda: iter(()))
    assert vocabulary.main() == 1
