"""Terms of a text: no addresses, numbers, passwords or stop words, cut to a stem and limited."""

from __future__ import annotations

from db.similar.terms import MAX_CHARACTERS, MAX_TERMS, extract_terms, stop_words


def test_terms_hold_no_address_no_number_and_no_password_of_the_usual_kind():
    text = "Please call ada@example.com on 0170 1234567, see https://example.com/x: VPN error 0x80070005 on srv03, Tr0ub4dor"

    assert extract_terms(text) == ["call", "see", "vpn", "0x80070005", "srv03"]
    assert extract_terms("[email 1] cannot reach [card 12]") == ["reach"]


def test_terms_are_distinct_cut_to_a_stem_and_limited():
    assert extract_terms("Connecting connection CONNECTS printer") == ["connect", "printer"]
    assert extract_terms("connection", stem=20) == ["connection"]
    assert extract_terms("alpha bravo delta", limit=2) == ["alpha", "bravo"]
    assert len(extract_terms(" ".join(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyzäöüß"))) == MAX_TERMS


def test_umlauts_are_spelled_out_before_stop_words_are_removed():
    assert extract_terms("Hilfe für den Drucker in Köln") == ["drucker", "koeln"]


def test_text_behind_the_limit_is_not_read():
    assert extract_terms("x " * (MAX_CHARACTERS // 2) + "printer") == []


def test_the_stop_words_are_lower_case_words_of_both_languages():
    assert {"please", "bitte", "fuer"} <= stop_words()
    assert all(word.isalpha() and word == word.casefold() for word in stop_words())
