from __future__ import annotations

from aura.ai.text.memo import KEPT, Memo


def test_what_was_made_is_not_made_again() -> None:
    asked: list[str] = []

    def length(word: str) -> int:
        asked.append(word)
        return len(word)

    memo = Memo(length)
    assert [memo[word] for word in ("printer", "vpn", "printer", "vpn")] == [7, 3, 7, 3]
    assert asked == ["printer", "vpn"]


def test_only_so_many_characters_are_remembered() -> None:
    memo = Memo(str.upper)
    for number in range(3 * KEPT // 1_000):
        word = f"{number:01000}"
        assert memo[word] == word.upper()
        assert sum(map(len, memo)) <= KEPT
    assert memo["x" * 2 * KEPT] == "X" * 2 * KEPT and len(memo) == 1
    assert memo["vpn"] == "VPN" and sum(map(len, memo)) <= KEPT
