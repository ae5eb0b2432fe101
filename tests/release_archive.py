"""Writes tests/data/aura-VERSION.tar.xz, the release that tests/acceptance/test_upgrade.py upgrades from.

    python -m tests.release_archive [COMMIT]      HEAD without COMMIT; replaces the archive of the previous release

The same commit gives the same bytes. The archive holds what its processes need at run time.
"""

from __future__ import annotations

import lzma
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

DATA = ROOT / "tests" / "data"
PATHS = ("Procfile", "setup.cfg", "actors", "aura", "db", "pipelines", ":!aura/ai/training/data")


def write(commit: str = "HEAD", folder: Path = DATA) -> Path:
    """Write the archive of a commit, delete other ones, and return its path."""
    version = re.search(r'VERSION = "([^"]+)"', _git("show", f"{commit}:aura/__init__.py").decode())
    assert version is not None
    name = f"aura-{version[1]}"
    archive = _git("archive", "--format=tar", f"--prefix={name}/", commit, "--", *PATHS)
    for previous in folder.glob("aura-*.tar.xz"):
        previous.unlink()
    path = folder / f"{name}.tar.xz"
    path.write_bytes(lzma.compress(archive, preset=9 | lzma.PRESET_EXTREME))
    return path


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    print(write(*sys.argv[1:]))
