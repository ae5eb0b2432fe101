"""Fixtures of the tests of the job core."""

from __future__ import annotations

from tests.unit.jobs.interrupted import attempt

__all__ = ["attempt"]
