"""Fixtures of the commands' tests."""

from __future__ import annotations

from tests.unit.cli.dead import letter

__all__ = ["letter"]
