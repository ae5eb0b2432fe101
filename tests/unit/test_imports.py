"""What import-linter cannot see: it takes packages only, and aura.py and settings.py are modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.conftest import ROOT

ROOMS = {"aura", "web", "pipelines", "actors", "ai", "notices", "db", "bench", "tests"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_settings_stand_on_no_other_room():
    tree = ast.parse((ROOT / "settings.py").read_text())

    assert not ROOMS & set(imported(tree))


def test_the_command_imports_a_room_only_when_a_command_needs_it():
    tree = ast.parse((ROOT / "aura.py").read_text())
    at_start = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])

    assert not ROOMS & set(imported(at_start))


def test_every_room_is_under_the_linter():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}

    assert packages <= ROOMS, "add the new package to [importlinter] in setup.cfg and to ROOMS"
