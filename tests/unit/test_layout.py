"""Layout of the unit tests: one file for each module with behaviour, and names that name their subject.

The tests of `aura/web/health.py` are in `tests/unit/web/test_health.py`, those of `actors/sla.py` in
`tests/unit/actors/test_sla.py`. A file whose tests are too many is divided: `test_<module>_<aspect>.py`. A package may have
a file of its own, `test_<package>.py`, in its folder or beside it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNIT = Path("tests/unit")
CODE = ("actors", "aura", "db", "pipelines")
#: Statements of a module from which on it must have a test file, and of its functions: below are data, types and routes
#: that only call a function.
STATEMENTS, IN_FUNCTIONS = 15, 6

_MASKING = (
    "ai/text/test_masking.py",
    "the patterns of all kinds are tested together: which one matches first is the behaviour",
)
_QUOTES = ("mail/test_replies.py", "replies of real mail programs show together which text is quoted")
_ROWS = ("desk/importing/test_importer.py", "its results are those of an import: the stored tickets and the report")
_PEOPLE = ("mail/test_cc.py", "people are added by mails, and removed people get no mail")
_CHANNEL = "the package's only module besides its __init__ and templates"
_COMMAND = ("tests/acceptance/test_embedded.py", "the command is tested as a process")
_LOGIN = ("web/auth/test_login.py", "its results are those of a login: the session, or the refusal")
_BROKER = ("tests/integration/test_rabbitmq.py", "tested against a real RabbitMQ, which unit tests do not start")
_DIALECT = "both databases pass one conformance test"

#: Modules whose tests are in another file: the file, below tests/unit unless it says more, and the reason.
ELSEWHERE: dict[str, tuple[str, str]] = {
    "db/fence.py": ("tests/integration/test_failover.py", "tested against a real primary with a standby"),
    "aura/ai/text/masking/addresses.py": _MASKING,
    "aura/ai/text/masking/credential_pairs.py": _MASKING,
    "aura/ai/text/masking/numbers.py": _MASKING,
    "aura/ai/text/masking/passwords.py": _MASKING,
    "aura/ai/text/masking/secrets.py": _MASKING,
    "aura/attachments/content.py": (
        "actors/test_attachments.py",
        "a content is read while an actor moves or deletes it",
    ),
    "aura/attachments/pdf.py": (
        "attachments/test_text.py",
        "a process of its own, which aura/attachments/text.py starts",
    ),
    "aura/attachments/storage/s3.py": ("tests/integration/test_s3.py", "tested against a real S3 server"),
    "aura/cli/demo.py": _COMMAND,
    "aura/cli/run.py": _COMMAND,
    "aura/cli/scheduler.py": _COMMAND,
    "aura/desk/attachments.py": ("web/api/test_attachments.py", "files are added by uploads and mails"),
    "aura/desk/demo.py": _COMMAND,
    "aura/desk/importing/json_scanner.py": (
        "desk/importing/test_json_rows.py",
        "the scanner yields the rows that the tests compare",
    ),
    "aura/desk/importing/reading.py": _ROWS,
    "aura/desk/importing/report.py": _ROWS,
    "aura/desk/importing/tickets.py": _ROWS,
    "aura/desk/participants.py": _PEOPLE,
    "aura/desk/unsubscribe.py": _PEOPLE,
    "aura/mail/attributions.py": _QUOTES,
    "aura/mail/bounces.py": ("mail/test_auto_replies.py", "one classification: a bounce is one kind of automatic mail"),
    "aura/mail/identity.py": ("mail/test_ingest.py", "a mail is a duplicate of mails ingested before it"),
    "aura/mail/mail_signatures.py": _QUOTES,
    "aura/mail/quoted_headers.py": _QUOTES,
    "aura/mail/requesters.py": ("mail/test_ingest.py", "the requester of a mail is that of its ticket"),
    "aura/mail/structure.py": ("mail/test_parse.py", "the parts of a mail are seen in the parsed mail"),
    "aura/mail/ticket_texts.py": _QUOTES,
    "aura/mail/unsubscribe.py": _PEOPLE,
    "aura/cli/mail.py": ("tests/integration/test_mail_sources.py", "the commands are tested with a real mail server"),
    "aura/jobs/notifier.py": ("tests/integration/test_jobs_postgresql.py", "LISTEN/NOTIFY exists on PostgreSQL only"),
    "aura/jobs/rabbitmq/admin.py": _BROKER,
    "aura/jobs/rabbitmq/confirms.py": _BROKER,
    "aura/jobs/rabbitmq/inspection.py": _BROKER,
    "aura/jobs/rabbitmq/publisher.py": _BROKER,
    "aura/notifications/channels/apprise/transport.py": ("notifications/channels/test_apprise.py", _CHANNEL),
    "aura/notifications/channels/email/address.py": (
        "notifications/channels/test_email.py",
        "an address is tested as the server gets it",
    ),
    "aura/notifications/channels/email/html.py": (
        "notifications/channels/test_email.py",
        "a message is tested as it arrives",
    ),
    "aura/notifications/channels/email/mime.py": (
        "notifications/channels/test_email.py",
        "a message is tested as it arrives",
    ),
    "aura/notifications/channels/email/transport.py": ("notifications/channels/test_email.py", _CHANNEL),
    "aura/notifications/channels/slack/transport.py": ("notifications/channels/test_slack.py", _CHANNEL),
    "aura/notifications/channels/teams/transport.py": ("notifications/channels/test_teams.py", _CHANNEL),
    "aura/notifications/channels/webhook/transport.py": ("notifications/channels/test_webhook.py", _CHANNEL),
    "aura/web/api/jobs.py": (
        "web/test_query_parameters.py",
        "the routes call other modules; their own part is the parameters",
    ),
    "aura/web/media_types.py": ("web/test_body_formats.py", "a media type decides how a body is read"),
    "aura/web/api/mail.py": ("web/test_app_openapi.py", "the routes call functions of aura.mail and db.inbound_mails"),
    "db/oauth_logins.py": ("oauth/test_logins.py", "rows of logins are encrypted and decrypted by aura.oauth.logins"),
    "db/inbound_mails.py": ("mail/test_ingest.py", "rows of mails are made by ingesting mails"),
    "db/migrations/online.py": (
        "tests/integration/test_jobs_postgresql.py",
        "indexes are built online on PostgreSQL only",
    ),
    "db/similar/index_postgresql.py": ("db/similar/test_similar.py", _DIALECT),
    "db/similar/index_sqlite.py": ("db/similar/test_similar.py", _DIALECT),
    "db/statements/postgresql.py": ("db/statements/test_statements.py", _DIALECT),
    "db/statements/sqlite.py": ("db/statements/test_statements.py", _DIALECT),
    "aura/ai/engines/database_state.py": (
        "ai/engines/test_shared_state.py",
        "each kind of shared state passes one conformance test",
    ),
    "db/alerts.py": (
        "pipelines/test_alerts.py",
        "its states are those of alerts that rules find and messages announce",
    ),
    "db/alert_figures.py": ("pipelines/test_alert_rules.py", "its figures are those of the rules"),
    "pipelines/embedded.py": ("tests/integration/test_running.py", "it runs workers, relay and scheduler together"),
    "aura/web/auth/devices.py": _LOGIN,
    "aura/web/auth/pending.py": _LOGIN,
    "db/login_links.py": _LOGIN,
    "db/second_factor.py": _LOGIN,
    "db/user_sessions.py": ("web/auth/test_sessions.py", "its results are those of requests: who has a session"),
}

#: Test files without a module, and the reason.
WITHOUT_MODULE = {
    "cli/test_main.py": "the command itself: aura/cli/__init__.py and aura/__main__.py",
    "test_growth.py": "tests the measurement that other tests use",
    "jobs/test_hops.py": "counts the files that one job passes, over all modules",
    "jobs/test_standalone.py": "runs the example of aura/jobs/README.md",
    "jobs/test_state_machine.py": "random sequences of all operations on jobs",
    "test_imports.py": "imports of all packages",
    "test_layout.py": "this file",
    "test_soak_figures.py": "figures of bench/soak, which is no part of the product",
}
#: Folders of tests of a top-level folder that is no code, or of documents.
OTHER_FOLDERS = ("deploy", "docs")

#: Words that stand for a subject instead of naming one, anywhere in a name.
NOWHERE = frozenset({"what", "who", "whoever", "whom", "something", "somebody", "anybody", "everybody"})
#: The same at the beginning: later in a name, `it` and `they` mean the subject that was named before.
NOT_FIRST = frozenset({"it", "they", "them", "that", "this", "these", "those", "none"})
#: `one` as a noun: `one_that_failed`, `a_discarded_one_keeps`, `it_would` after a clause without a subject.
NOT_INSIDE = re.compile(
    r"^(one|many)_(that|which|has|is|whose|are)_|_(discarded|guilty|bad|good|rare|previous|next)_ones?_|_it_would_"
)


def modules() -> Iterator[Path]:
    for top in CODE:
        for path in sorted((ROOT / top).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if path.name != "__init__.py" and "versions" not in relative.parts:
                yield relative


def files_of_tests() -> list[Path]:
    return sorted(path.relative_to(ROOT / UNIT) for path in (ROOT / UNIT).rglob("test_*.py"))


def has_behaviour(source: str) -> bool:
    """Return whether a module has more statements than the bounds, docstrings aside, in all and in its functions."""
    tree = ast.parse(source)
    inside: set[ast.stmt] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inside |= {node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function}
    in_functions = sum(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in inside)
    return sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) > STATEMENTS and in_functions >= IN_FUNCTIONS


def folder_of(path: Path) -> Path:
    """Return the folder of a module's or package's tests, below tests/unit."""
    return Path(*path.parent.parts[1:]) if path.parts[0] == "aura" else path.parent


def has_test_file(module: Path) -> bool:
    return any((ROOT / UNIT / folder_of(module)).glob(f"test_{module.stem}.py"))


def names_a_module(test: Path) -> bool:
    """Return whether a test file has the name of a module or package, or of one and an aspect of it."""
    for top in ("aura", "."):
        folder = ROOT / top / test.parent
        if not folder.is_dir():
            continue
        name = test.stem.removeprefix("test_")
        words = name.split("_")
        for length in range(len(words), 0, -1):
            subject = folder / "_".join(words[:length])
            if subject.with_suffix(".py").is_file() or (subject / "__init__.py").is_file():
                return True
        if name == test.parent.name and (folder / "__init__.py").is_file():
            return True
    return False


def test_every_module_with_behaviour_has_a_test_file_of_its_name():
    missing = [
        str(module)
        for module in modules()
        if str(module) not in ELSEWHERE and has_behaviour((ROOT / module).read_text()) and not has_test_file(module)
    ]
    assert missing == []


def test_every_module_that_is_tested_elsewhere_exists_with_its_test_file_and_a_reason():
    for module, (file, reason) in ELSEWHERE.items():
        assert (ROOT / module).is_file(), module
        assert (ROOT / (file if file.startswith("tests/") else UNIT / file)).is_file(), file
        assert reason, module


def test_every_test_file_has_the_name_of_a_module_or_a_reason():
    unknown = [
        str(test)
        for test in files_of_tests()
        if test.parts[0] not in OTHER_FOLDERS and not names_a_module(test) and str(test) not in WITHOUT_MODULE
    ]
    assert unknown == []


def test_every_test_file_without_a_module_exists_and_has_a_reason():
    files = {str(test) for test in files_of_tests()}
    assert [name for name, reason in WITHOUT_MODULE.items() if name not in files or not reason] == []


def names_of_tests() -> Iterator[tuple[str, str]]:
    for folder in (UNIT, Path("tests/integration")):
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    yield str(path.relative_to(ROOT)), node.name


def has_pronoun(name: str) -> bool:
    """Return whether a name has a word in the place of its subject."""
    subject = name.removeprefix("test_")
    words = subject.split("_")
    return bool(NOWHERE & set(words)) or words[0] in NOT_FIRST or NOT_INSIDE.search(f"{subject}_") is not None


def test_every_test_names_its_subject():
    assert [found for found in names_of_tests() if has_pronoun(found[1])] == []


@pytest.mark.parametrize(
    ("name", "pronoun"),
    [
        ("test_it_is_replayed_once", True),
        ("test_what_is_not_due_is_not_due", True),
        ("test_who_may_migrate", True),
        ("test_a_discarded_one_keeps_the_reason", True),
        ("test_one_that_was_replayed_is_not_replayed", True),
        ("test_ten_concurrent_requests_share_one_call", False),
        ("test_without_the_check_it_would_write", True),
        ("test_a_mail_is_refused_before_it_is_sent", False),
    ],
)
def test_a_pronoun_is_found_in_a_name(name: str, pronoun: bool):
    assert has_pronoun(name) is pronoun


@pytest.mark.parametrize(
    ("source", "behaviour"),
    [
        ("x = 1\n" * 40, False),
        ("def f():\n" + "    x = 1\n" * 16, True),
        ("def f():\n    '''" + "text\n" * 30 + "'''\n", False),
        ("x = 1\n" * 20 + "def f():\n    return 1\n", False),
    ],
    ids=["data", "a function", "a docstring", "data and one statement"],
)
def test_a_module_has_behaviour_when_its_functions_have_statements(source: str, behaviour: bool):
    assert has_behaviour(source) is behaviour
