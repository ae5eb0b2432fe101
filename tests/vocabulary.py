"""Finds retired terms in code, templates, documentation and deployment files: `python -m tests.vocabulary`.

docs/glossary.md is the vocabulary. A term matches whole words, also inside `snake_case` and `CamelCase` names. ALLOWED lists the
legitimate uses, each with a reason; an entry that allows nothing is reported as well.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: A retired term, as a regular expression over lower-case words separated by blanks, and what replaces it.
TERMS: dict[str, str] = {
    # jobs
    r"promis(e|es|ed|ing)": "enqueue, NewJob, enqueued",
    r"kept yet|not kept|kept twice": "completed",
    r"bury|buried|buries|burying": "dead-letter (verb), dead_letter()",
    r"given up|giving up for good": "dead letter, dead-lettered",
    r"eager|takers?|taken at once|takes? the next step at once": "local dispatch, LocalDispatch",
    r"ear|ears": "notifier",
    r"outlets?": "transport",
    r"memo": "cache",
    r"upkeep|chores?": "maintenance, periodic task",
    r"housekeeping|prun(e|es|ed|ing)": "retention, delete expired rows",
    r"journal(?! mode)": "logging",
    r"lanes?": "due bucket, or a name for the rows",
    r"hinted again|given again|gives? again|hands? back|handed back": "dispatched again, release, returned",
    # notifications
    r"telling|told|retold|untold": "notify, notification, recipient; or say, name",
    r"announcements?": "event",
    r"fold|folds|folded|folding": "digest, digested",
    r"(hold|holds|held|holding) (it |them |work )?back": "delay, pause, limit",
    r"wish|wishes|wished": "notification settings: subscriptions, preferences",
    r"notices": "notifications, messages",
    r"notifications? unknown|state unknown|hold unknown|unknown deliver(y|ies)": "in doubt",
    r"wants? to know|wanted to know|who wants": "recipient, subscriber",
    # tickets and analysis
    r"(second|another|first|next|one) look": "re-analysis, reanalyze; check",
    r"looked at (again|once more)|looks? at (it |them )?again": "reanalyzed, reanalyze",
    r"reanalys(e|es|ed|ing)": "reanalyze",
    r"story|stories|journeys?": "timeline, run, pipeline",
    r"remarks?": "comment: public or internal",
    r"who has (it|a ticket|the ticket)|whose it is|has taken": "assignee, owner",
    r"houses?|leaves? the house": "outbound, sent to the AI provider; installation",
    r"entrances?": "source",
    r"moods?": "status, level",
    r"turnstiles?": "load shedding",
    r"outward": "safe HTTP",
    r"precedents?": "few-shot example",
    r"shadow(s|ed)?": "backtest",
    r"spends?|spending": "cost; count (an attempt)",
    r"neighbours?": "external service, other system",
    # scheduler
    r"timetables?|clockwork": "schedule",
    r"aura clock|no clock|clock leads|leading clock": "scheduler",
    r"(a|the|two|several) clocks? (runs?|leads?|looks?|sweeps?|may run)": "scheduler",
    # mail
    r"aura intake|intake email|intake secret": "inbound mail, aura mail, /api/v1/mail, AURA_MAIL_WEBHOOK_SECRET",
    # commands and settings
    r"aura (submit|subscribe|dead(?![- ]letter)|notices|keys)": "the new name of the command",
    r"aura (learn|replay(?! limit)|spend|schedule)": "the new name of the command",
    r"aura (fold above|hold unknown|window|batch(?! )|keep \w+ days|worker threads)": "the new name of the setting",
    # unusual English
    r"alike": "similar, the same",
    r"anew": "again",
    r"for good": "permanently",
    r"of one's own": "own, separate",
    r"said": "a noun: payload, answer, text",
    r"the like": "similar",
    r"doors?": "a name for the thing",
    r"as ever": "as usual",
    r"somebody who|nobody knows whose": "the person's role",
    r"mend(s|ed|ing)?": "fix, correct",
    r"lead(s)? somewhere": "have a target",
}

#: Files whose content is not ours, or is data: tickets, mails, training texts, locks.
SKIPPED = (
    "*.min.js",
    "*.lock",
    "LICENSE",
    "aura/ai/engines/model.json",
    "aura/ai/text/lexicons/*",
    "aura/ai/training/data/*",
    "aura/desk/samples/*.csv",
    "bench/results.json",
    "examples/*.csv",
    "requirements*.txt",
    "tests/data/*",
    "tests/unit/docs/test_vocabulary.py",
    "tests/vocabulary.py",
)
SUFFIXES = (
    *(".py", ".md", ".html", ".txt", ".css", ".js", ".sh", ".yml", ".yaml", ".json", ".toml", ".cfg", ".conf", ".env"),
    *(".service", ".target", ".example", "Makefile", "Procfile", "Dockerfile"),
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A legitimate use of a term: in files that match a pattern, on lines that match a regular expression."""

    files: str
    line: str
    reason: str


ALLOWED = (
    Allowed("CHANGELOG.md", r"is `aura|is `AURA_|process `clock`", "the changelog names what was renamed"),
    Allowed("Makefile", r"-prune ", "an option of find"),
    Allowed("*.css", r"box-shadow|--shadow", "a property of CSS"),
    Allowed("actors/business_time.py", r"fold", "datetime.fold"),
    Allowed("aura/notifications/quiet_hours.py", r"fold", "datetime.fold"),
    Allowed("tests/unit/pipelines/test_crontab.py", r"fold", "datetime.fold"),
    Allowed("pipelines/crontab.py", r"fold", "datetime.fold"),
    Allowed("aura/ai/engines/*.py", r"folded", "case folding"),
    Allowed("aura/ai/text/*.py", r"(?i)fold", "case folding"),
    Allowed("aura/ai/text/content/lines.py", r"wish", "a phrase at the end of mails"),
    Allowed("aura/ai/text/masking/people.py", r"Lane", "a word of postal addresses"),
    Allowed("tests/unit/ai/text/content/*.py", r"door", "a thing in the text of a ticket"),
    Allowed("aura/ai/text/priority_rules.py", r'"wish"', "a level of urgency, a feature of the local model"),
    Allowed("aura/ai/*.py", r'"held_back"', "a key in the files of local models"),
    Allowed("aura/ai/engines/batch_api.py", r'"aura_batch"', "a key in the metadata of OpenAI batches"),
    Allowed("aura/ai/training/*.py", r"(?i)fold", "folds of a cross-validation"),
    Allowed("aura/cli/__init__.py", r"is_eager=True", "an option of typer"),
    Allowed("aura/notifications/channels/email/mime.py", r"fold", "folding of header lines, RFC 5322"),
    Allowed("tests/unit/ai/**/*.py", r"(?i)fold", "case folding, and folds of a cross-validation"),
    Allowed("tests/unit/cli/test_train.py", r"(?i)folds", "folds of a cross-validation"),
    Allowed("tests/unit/*/test_*.py", r"held_back", "a key of model files"),
    Allowed("tests/unit/ai/text/test_masking.py", r"he said", "the text of a ticket"),
    Allowed("tests/unit/ai/text/test_priority_rules.py", r"\bwish\b", "a level of the urgency lexicon"),
    Allowed("docs/explanation/classification.md", r"five folds", "folds of a cross-validation"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A retired term at a place."""

    path: str
    line: int
    term: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.term!r} is retired; use: {self.instead}"


#: One expression for all terms: a group per term, so that a match names its replacement.
_ALL = re.compile(r"\b(?:" + "|".join(f"(?P<t{number}>{term})" for number, term in enumerate(TERMS)) + r")\b")
_INSTEAD = list(TERMS.values())
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words_of(text: str) -> str:
    """Return the text in lower case, with names taken apart into words; lines stay lines."""
    return _CAMEL.sub(" ", text).replace("_", " ").lower()


def find(path: str, text: str) -> Iterator[tuple[Finding, str]]:
    """Yield each retired term of a file's text, allowed or not, with its line."""
    lines = text.splitlines()
    words = words_of(text)
    position = number = 0
    for match in _ALL.finditer(words):
        number += words.count("\n", position, match.start())
        position = match.start()
        instead = _INSTEAD[int((match.lastgroup or "t0")[1:])]
        line = lines[number] if number < len(lines) else ""
        yield Finding(path, number + 1, match[0].replace("\n", " "), instead), line


def allowing(finding: Finding, line: str, allowed: Iterable[Allowed] = ALLOWED) -> Allowed | None:
    """Return the entry that allows a finding, if there is one."""
    return next((a for a in allowed if fnmatch(finding.path, a.files) and re.search(a.line, line)), None)


def files() -> Iterator[Path]:
    """Yield the files of the repository that are checked, also those that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in sorted(set(listed.stdout.splitlines())):
        if name.endswith(SUFFIXES) and not any(fnmatch(name, each) for each in SKIPPED) and (ROOT / name).is_file():
            yield ROOT / name


def main() -> int:
    """Print each retired term that is not allowed, and each entry of ALLOWED that allows nothing."""
    used: set[Allowed] = set()
    findings = []
    for path in files():
        for finding, line in find(str(path.relative_to(ROOT)), path.read_text(errors="replace")):
            entry = allowing(finding, line)
            if entry is None:
                findings.append(finding)
            else:
                used.add(entry)
    for finding in findings:
        print(finding)
    unused = [each for each in ALLOWED if each not in used]
    for each in unused:
        print(f"tests/vocabulary.py: ALLOWED: nothing matches {each.files} {each.line!r}; remove the entry")
    if findings or unused:
        print(f"{len(findings)} retired terms. docs/glossary.md is the vocabulary.", file=sys.stderr)
    return bool(findings or unused)


if __name__ == "__main__":
    sys.exit(main())
