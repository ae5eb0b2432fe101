"""The folder in which the processes of one worker command share their figures: PROMETHEUS_MULTIPROC_DIR, or one of its own.

prometheus_client reads the variable at its import, so it is set before that. Importing this module does nothing outside a
worker command.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from aura.settings import SettingsError, get_settings

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_NAME = re.compile(r"aura-metrics-\d+-(\d+)-(\d+)")


def choose() -> Path | None:
    """Return the folder; in a worker command with AURA_METRICS_PORT and without the variable, set it to an own folder."""
    command = multiprocessing.parent_process()
    if not os.environ.get(VARIABLE) and command is not None and command.pid is not None:
        with suppress(SettingsError):  # the broker reports them
            if get_settings().metrics_port is not None:
                os.environ[VARIABLE] = str(_own_folder(command.pid))
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def _own_folder(command: int) -> Path:
    """Return the folder of a worker command, which nobody else can write. Raises OSError."""
    path = Path(tempfile.gettempdir(), f"aura-metrics-{os.getuid()}-{command}-{_started(command)}")
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else: set {VARIABLE} to another folder")
    return path


def _started(pid: int) -> int:
    """Return the start time of a process, which tells it from a later one of the same number; 0 where /proc is missing."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def delete_abandoned() -> None:
    """Delete the folders of worker commands that have ended."""
    for path in Path(tempfile.gettempdir()).glob(f"aura-metrics-{os.getuid()}-*"):
        if (match := _NAME.fullmatch(path.name)) and _started(int(match[1])) != int(match[2]):
            shutil.rmtree(path, ignore_errors=True)
