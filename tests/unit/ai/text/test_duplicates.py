from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.duplicates import find_duplicate, similarity

REPORT = "The VPN drops every ten minutes when I work from home"


def test_texts_of_the_same_words_are_duplicates() -> None:
    assert similarity(REPORT, REPORT) == 1.0


def test_greeting_signature_prefix_case_and_punctuation_do_not_count() -> None:
    wrapped = f"Re: AW: {REPORT.upper()}!!!\n"
    assert similarity(wrapped, REPORT) == 1.0
    assert similarity(f"Hello team,\n{REPORT}.\nBest regards, Anna\nAcme Ltd", REPORT) == 1.0
    assert similarity(f"Hallo zusammen,\n{REPORT}\nViele Grüße\nPeter", REPORT) == 1.0


def test_texts_of_different_topics_are_not_similar() -> None:
    assert similarity(REPORT, "The printer on the second floor has a paper jam") < 0.3


def test_texts_with_different_numbers_are_not_duplicates() -> None:
    assert find_duplicate("Server srv01 in rack 2 is down", [(1, "Server srv07 in rack 9 is down")]) is None


def test_empty_texts_are_not_similar() -> None:
    assert similarity("", "") == 0.0
    assert similarity("Hello,\n", "Good morning,\n") == 0.0


def test_the_best_candidate_wins() -> None:
    candidates = [(1, "printer jam"), (2, REPORT + " and from the train"), (3, REPORT), (4, REPORT)]
    assert find_duplicate(f"Fwd: {REPORT}", candidates) == 3
    assert find_duplicate("mouse is broken", candidates) is None


def test_long_texts_are_compared_by_their_beginning() -> None:
    assert similarity("word " * 20_000, "word " * 20_000) == 1.0
    assert similarity(" " * 100_000, "-" * 100_000) == 0.0


@given(st.text(max_size=200), st.text(max_size=200))
def test_similarity_is_symmetric_and_between_zero_and_one(a: str, b: str) -> None:
    assert 0.0 <= similarity(a, b) <= 1.0
    assert similarity(a, b) == similarity(b, a)


ALERT = "job {} failed in batch_scheduler at {} 23:00:00"


def test_another_failed_job_is_no_duplicate_and_the_same_one_at_another_time_is() -> None:
    first = ALERT.format("invoice_eu_07", "11/04/2026")
    assert find_duplicate(ALERT.format("invoice_eu_08", "11/04/2026"), [(1, first)]) is None
    assert find_duplicate(ALERT.format("invoice_us_07", "11/04/2026"), [(1, first)]) is None
    assert find_duplicate(ALERT.format("invoice_eu_07", "11/05/2026"), [(1, first)]) == 1


def test_another_host_of_the_same_alert_is_no_duplicate() -> None:
    text = "PROBLEM Host Alert: {} is DOWN\nHost {} has not answered to ping for five minutes, please check cable and power"
    assert (
        find_duplicate(text.format("edge-sw-01", "edge-sw-01"), [(1, text.format("edge-sw-02", "edge-sw-02"))]) is None
    )
    assert find_duplicate(text.format("edge-fw", "edge-fw"), [(1, text.format("edge-sw", "edge-sw"))]) is None


def test_a_footer_a_forward_and_a_question_about_progress_do_not_hide_a_duplicate() -> None:
    footer = "This message is confidential and intended only for the addressee. Any disclosure is prohibited."
    for again in (
        f"{REPORT}\n\nKind regards\nAnn\n\n{footer}",
        f"FW: VPN\nFrom: Ann\nTo: Desk\nSubject: VPN\n\n{REPORT}",
        f"{REPORT}. Any news?",
        f"Hello,\n{REPORT}\nThank you in advance for your help.",
    ):
        assert find_duplicate(again, [(1, f"VPN\n{REPORT}" if again.startswith("FW") else REPORT)]) == 1, again
