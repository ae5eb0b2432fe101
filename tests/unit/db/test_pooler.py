"""Which mode of a pooler fits AURA_DATABASE_PREPARE; tests/integration/test_poolers.py finds the modes of a real PgBouncer."""

from __future__ import annotations

import pytest

from db.pooler import Mode, WrongPoolerMode, check


@pytest.mark.parametrize(("mode", "prepares"), [("transaction", True), ("statement", True), ("statement", False)])
def test_a_mode_that_does_not_fit_is_refused_with_the_setting(mode: Mode, prepares: bool):
    with pytest.raises(WrongPoolerMode, match="AURA_DATABASE_PREPARE=false"):
        check(mode, prepares)


@pytest.mark.parametrize(
    ("mode", "prepares"), [("none", True), ("session", True), ("session", False), ("transaction", False)]
)
def test_a_mode_that_fits_is_used(mode: Mode, prepares: bool):
    check(mode, prepares)
