from __future__ import annotations

from aura.ai.text.normalize import fold, normalize


def test_a_normalized_text_is_lower_case_with_umlauts_spelled_out() -> None:
    assert fold("GRÖẞE für\tÄrzte") == "groesse fuer\taerzte"
    assert fold("It’s DOWN") == "it's down"


def test_a_normalized_text_has_single_spaces() -> None:
    assert normalize("  Übergabe\n\nist   DA ") == "uebergabe ist da"
