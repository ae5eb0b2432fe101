"""libfaketime: a program that runs with another time of day; timed waits keep their length.

Debian's package `faketime` installs it. Programs that are linked statically, such as RabbitMQ's emulator, do not see it.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path

#: The package that installs the library.
PACKAGE = "faketime"


def library() -> str | None:
    """Return the path of the library, None where it is not installed."""
    return next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


def with_offset(offset: str) -> dict[str, str]:
    """Return the variables of a program whose time of day differs by an offset, such as `-600` seconds."""
    return _variables() | {"FAKETIME": offset}


def with_file(path: Path) -> dict[str, str]:
    """Return the variables of a program that reads its offset from a file, whose content may change at any time."""
    path.write_text("+0\n")
    return _variables() | {"FAKETIME_TIMESTAMP_FILE": str(path), "FAKETIME_NO_CACHE": "1"}


def _variables() -> dict[str, str]:
    found = library()
    assert found, f"apt-get install {PACKAGE}"
    preloaded = os.environ.get("LD_PRELOAD", "")
    return {
        "LD_PRELOAD": f"{found} {preloaded}".strip(),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
