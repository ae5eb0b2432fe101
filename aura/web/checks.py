"""The result of one check of `aura doctor` or of readiness."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check; `fix` says what to do when it failed, or about what it found.

    `code` names the failure for `/health/ready`, which everybody can read.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    code: str = ""
