"""`python -m bench.hops`: how many files of Aura one empty embedded job passes, and how often it goes from one to another.

A hop is a call, or a return, from code of one file into code of another. Frames of libraries are transparent: a call by way of
SQLAlchemy or Dramatiq counts as one from the file that made it.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parent.parent)
#: Folders whose files are counted.
PACKAGES = ("aura", "actors", "pipelines", "db")


@dataclass
class Trace:
    """The files that were passed, how often the way led from one to another, and how many functions were called."""

    files: Counter[str] = field(default_factory=Counter)
    hops: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: int = 0


def traced(work: Callable[[], Any]) -> Trace:
    """Call the function in this thread, and return the way that it went."""
    trace, here = Trace(), ""
    prefixes = tuple(f"{ROOT}/{package}/" for package in PACKAGES)

    def move(to: str) -> None:
        nonlocal here
        if to != here:
            if here:
                trace.hops[here, to] += 1
            here = to

    def profile(frame: Any, event: str, _argument: Any) -> None:
        name: str = frame.f_code.co_filename
        if event == "call" and name.startswith(prefixes):
            trace.calls += 1
            trace.files[name[len(ROOT) + 1 :]] += 1
            move(name)

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return trace
