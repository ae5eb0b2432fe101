"""Installs the servers and tools that the tests need: by apt as root on Debian, else an error names the command."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")

#: Programs that some tests run, and the Debian packages that contain them.
TOOLS = {
    "curl": "curl",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "node": "nodejs",
    "npm": "npm",
    "faketime": "faketime",
}

_installing = threading.Lock()


class ServiceMissing(Exception):
    """A program is not installed; the message names the command that installs it."""


def missing_tools() -> list[str]:
    """Return the Debian packages of the tools that are not installed."""
    return [package for program, package in TOOLS.items() if not shutil.which(program)]


def tool(program: str) -> str:
    """Return the path of a tool, which is installed if it is missing. Raises ServiceMissing with the command."""
    install(lambda: [] if shutil.which(program) else [TOOLS[program]])
    found = shutil.which(program)
    assert found, f"{TOOLS[program]} has no {program}"
    return found


def install(packages: Callable[[], list[str]]) -> None:
    """Install the Debian packages that are missing, without starting a server. Raises ServiceMissing with the command."""
    with _installing:
        missing = packages()
        if not missing:
            return
        install = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
        if not shutil.which("apt-get"):
            raise ServiceMissing(f"the tests need {', '.join(missing)}: install it, on Debian with: {install}")
        if os.geteuid() != 0:
            raise ServiceMissing(f"the tests need {', '.join(missing)}; run: sudo sh -c 'apt-get update && {install}'")
        print(f"tests: installing {', '.join(missing)}", file=sys.stderr)
        with _daemons_stay_off():
            for command in ("apt-get -qq update", install):
                result = subprocess.run(
                    [*command.split(), "-o", "DPkg::Lock::Timeout=300"],
                    env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                if result.returncode:
                    raise ServiceMissing(f"`{command}` failed, run it by hand:\n{result.stdout[-2000:]}")


@contextlib.contextmanager
def _daemons_stay_off() -> Iterator[None]:
    """Keep Debian from starting the daemons that it installs; an existing policy stays unchanged."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
