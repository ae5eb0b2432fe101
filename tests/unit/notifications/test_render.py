"""Rendered notifications: templates, languages, limits and hostile text."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from jinja2 import UndefinedError

from aura.notifications import (
    EVENTS,
    DigestItem,
    IncidentFacts,
    TicketFacts,
    as_html,
    render,
    render_digest,
    render_incident,
)
from aura.notifications.render import (
    CC_EVENT,
    LANGUAGES,
    REQUESTER_LANGUAGES,
    ROLES,
    render_message,
    without_text_of_requester,
)
from aura.settings import get_settings

FACTS = TicketFacts(
    id=17,
    title="VPN drops every hour",
    category="Network",
    priority="high",
    description="Since Monday.\n\nSee screenshot.",
    reason="mentions VPN",
    requester="joe@example.com",
    assignee="ann",
)
BASE = "https://aura.example.com"
LINK = f"{BASE}/tickets/17"


class Page(HTMLParser):
    """Collects what a mail program would act on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


TAGS = {"html", "head", "meta", "title", "body", "div", "h1", "p", "br", "a"}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("duplicate_of", [None, 12])
def test_every_event_has_a_template_for_every_role_and_language(
    event: str, role: str, language: str, duplicate_of: int | None
) -> None:
    facts = TicketFacts(17, FACTS.title, "Network", "high", assignee="ann", duplicate_of=duplicate_of)
    message = render_message(event, role, language, facts, BASE)
    assert message.subject.startswith("[Aura #17] ")
    assert FACTS.title in message.subject
    assert "\n" not in message.subject
    assert FACTS.title in message.text
    assert "ann" in message.text
    assert message.text.count(LINK) == 1
    assert ("#12" in message.text) == (duplicate_of is not None)
    html = as_html(message, language)
    assert Page(html).links == [LINK]
    assert f'<html lang="{language}">' in html
    assert "\n\n\n" not in message.text
    assert "{" not in message.text
    assert "None" not in message.text


def test_each_event_has_a_text_of_its_own() -> None:
    for role in ROLES:
        for language in LANGUAGES:
            assert len({render_message(event, role, language, FACTS, BASE).text for event in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("language", REQUESTER_LANGUAGES)
@pytest.mark.parametrize("role", ["requester", "cc"])
def test_requesters_get_each_event_in_their_language(role: str, language: str) -> None:
    events = [CC_EVENT] if role == "cc" else list(EVENTS)
    facts = TicketFacts(17, FACTS.title, "Network", "high", assignee="ann", duplicate_of=12)
    texts = {render_message(event, role, language, facts, BASE).text for event in events}
    assert len(texts) == len(events)
    assert all("#17" in text and "{" not in text for text in texts)
    if language != "en":
        assert texts.isdisjoint({render_message(event, role, "en", facts, BASE).text for event in events})
    assert f'<html lang="{language}">' in as_html(render_message(events[0], role, language, facts, BASE), language)


def test_agents_and_languages_without_a_template_get_the_default_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURA_DEFAULT_LANGUAGE", "fr")
    get_settings.cache_clear()
    try:
        assert render_message("ticket.classified", "requester", "tr", FACTS, BASE).text.startswith("Bonjour")
        assert (
            render_message("ticket.classified", "agent", "fr", FACTS, BASE).text
            == render_message("ticket.classified", "agent", "en", FACTS, BASE).text
        )
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_german_names_categories_and_priorities_in_german() -> None:
    message = render_message("ticket.classified", "agent", "de", FACTS, BASE)
    assert message.subject == "[Aura #17] hoch, Netzwerk: VPN drops every hour"
    assert "Kategorie: Netzwerk\nPriorität: hoch\n" in message.text
    custom = TicketFacts(1, "x", "Kantine", "low")
    assert (
        "Kategorie: Kantine\nPriorität: niedrig\n"
        in render_message("ticket.classified", "requester", "de", custom, BASE).text
    )


@pytest.mark.parametrize(
    ("language", "greeting"),
    [
        ("de-AT", "Guten Tag"),
        ("DE", "Guten Tag"),
        ("fr", "Bonjour"),
        ("pl_PL", "Dzień dobry"),
        ("tr", "Hello"),
        ("und", "Hello"),
        ("", "Hello"),
        ("../de", "Hello"),
    ],
)
def test_a_region_is_ignored_and_a_language_without_a_template_is_the_default(language: str, greeting: str) -> None:
    assert render_message("ticket.classified", "requester", language, FACTS, BASE).text.startswith(greeting)


def test_the_team_is_asked_to_assign_a_ticket_without_an_agent() -> None:
    alone = TicketFacts(17, "t", "Network", "high")
    assert "No agent fits" in render_message("ticket.classified", "team", "en", alone, BASE).text
    assert "Kein Agent passt" in render_message("ticket.classified", "team", "de", alone, BASE).text


def test_the_description_is_in_messages_to_agents_but_never_to_the_requester() -> None:
    for language in LANGUAGES:
        assert (
            "> Since Monday.\n> \n> See screenshot."
            in render_message("ticket.classified", "agent", language, FACTS, BASE).text
        )
        assert "Since Monday" not in render_message("ticket.classified", "requester", language, FACTS, BASE).text


def test_a_hostile_title_stays_text() -> None:
    title = "<script>alert(1)</script> <a href='http://evil.example'>\"&amp; {{ 7*7 }} {% raw %}"
    message = render_message("ticket.classified", "agent", "en", TicketFacts(17, title, "Other", "low"), BASE)
    page = Page(as_html(message, "en"))
    assert page.tags <= TAGS
    assert page.links == [LINK]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "{{ 7*7 }}" in message.subject
    assert "&lt;" not in message.subject + message.text


def test_foreign_links_are_disarmed_everywhere() -> None:
    bait = "see HTTPS://evil.example or www.evil.example\nor ftp://evil.example"
    facts = TicketFacts(17, bait, bait, bait, bait, bait, bait, bait)
    for role in ROLES:
        message = render_message("ticket.escalated", role, "en", facts, BASE)
        for part in (message.subject, message.text, as_html(message, "en")):
            found = {link.lower() for link in re.findall(r"(?i)(?:https?|ftp)://[^\s\"<]+|www\.\S+", part)}
            assert found <= {LINK}


@pytest.mark.parametrize("role", ["requester", "cc", "agent", "team", "subscriber"])
@pytest.mark.parametrize("by_agent", [True, False])
def test_links_stay_in_the_reply_of_an_agent_alone(role: str, by_agent: bool) -> None:
    note = "Read https://kb.example/vpn?a=1&b='2', then\nwww.kb.example."
    facts = TicketFacts(17, "see http://evil.example", "Other", "low", note=note, note_by_agent=by_agent)
    message = render_message("ticket.commented", role, "en", facts, BASE)
    page = Page(as_html(message, "en"))
    assert ("https://kb.example/vpn?a=1&b=" in message.text) is by_agent
    assert "http://evil.example" not in message.text + message.subject
    assert {link for link in page.links if link.startswith("https://kb.")} == (
        {"https://kb.example/vpn?a=1&b='2"} if by_agent else set()
    )
    assert ("www.kb.example" in message.text) is by_agent
    assert page.tags <= TAGS


def test_the_reply_of_an_agent_is_longer_than_an_excerpt() -> None:
    facts = TicketFacts(17, "VPN", "Other", "low", note="word " * 3900, note_by_agent=True)
    for event in ("ticket.commented", "ticket.resolved"):
        assert render_message(event, "requester", "en", facts, BASE).text.count("word") == 3900


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("VPN drops", "Re: VPN drops [Aura #17]"),
        ("Re: VPN drops", "Re: VPN drops [Aura #17]"),
        ("AW: Re[2]: RE : VPN drops", "Re: VPN drops [Aura #17]"),
        ("Re: VPN drops [Aura #17]", "Re: VPN drops [Aura #17]"),
        ("[#12] VPN drops", "Re: VPN drops [Aura #17]"),
        ("Fwd: VPN drops", "Re: Fwd: VPN drops [Aura #17]"),
        ("Reset: the VPN", "Re: Reset: the VPN [Aura #17]"),
        ("a\r\nBcc: b@c", "Re: a Bcc: b@c [Aura #17]"),
        ("Re: ", "[Aura #17] Re:"),
        ("x" * 3000, f"Re: {'x' * 199}… [Aura #17]"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_subject_of_a_reply_is_that_of_the_mail(title: str, subject: str, language: str) -> None:
    facts = TicketFacts(17, title, "Other", "low", by_mail=True)
    for role, event in (
        ("requester", "ticket.classified"),
        ("requester", "ticket.resolved"),
        ("cc", "ticket.commented"),
    ):
        assert render_message(event, role, language, facts, BASE).subject == subject
    assert render_message("ticket.classified", "team", language, facts, BASE).subject.startswith("[Aura #17] ")


@pytest.mark.parametrize(
    ("language", "instead"), [("en", "(sender not verified)"), ("de", "(Absender nicht bestätigt)")]
)
def test_a_withheld_text_of_the_requester_is_in_no_part_of_a_mail(language: str, instead: str) -> None:
    written = TicketFacts(17, "PHISH", "Other", "low", "PHISH", "PHISH", "PHISH", note="PHISH", by_mail=True)
    by_agent = dataclasses.replace(written, note="Your cable arrives.", note_by_agent=True)
    for facts, role, event in (
        (written, "requester", "ticket.classified"),
        (written, "requester", "ticket.commented"),
        (by_agent, "requester", "ticket.resolved"),
        (by_agent, "cc", "ticket.commented"),
    ):
        message = render_message(event, role, language, without_text_of_requester(facts), BASE)
        assert message.subject == f"[Aura #17] {instead}"
        assert "PHISH" not in message.text
        assert ("Your cable arrives." in message.text) is facts.note_by_agent


def test_people_in_cc_have_a_text_for_public_replies_alone() -> None:
    with pytest.raises(ValueError, match="no template for"):
        render_message("ticket.resolved", "cc", "en", FACTS, BASE)
    message = render_message("ticket.commented", "cc", "en", FACTS, BASE)
    assert LINK not in message.text, "they have no access to the page"


def test_a_title_is_one_short_line() -> None:
    title = "first\r\nBcc: victim@example.org\u2028\u202egnp.exe\0 " + "long " * 5000
    message = render_message("ticket.classified", "requester", "en", TicketFacts(17, title, "Other", "low"), BASE)
    assert message.subject.startswith("[Aura #17] first Bcc: victim@example.org gnp.exe long")
    assert message.subject.endswith("…")
    assert len(message.subject) <= 140
    assert message.subject.isprintable()


def test_an_empty_title_has_a_name() -> None:
    nameless = TicketFacts(17, " \n", "Other", "low")
    assert render_message("ticket.classified", "requester", "en", nameless, BASE).subject == "[Aura #17] (no title)"
    assert render_message("ticket.classified", "requester", "de", nameless, BASE).subject == "[Aura #17] (ohne Betreff)"


@pytest.mark.parametrize(
    ("event", "role"), [("ticket.deleted", "agent"), ("ticket.classified", "boss"), ("", "../en/agent")]
)
def test_an_unknown_event_or_role_is_an_error(event: str, role: str) -> None:
    with pytest.raises(ValueError, match="no template for"):
        render_message(event, role, "en", FACTS, BASE)


def test_a_template_that_names_an_unknown_fact_fails() -> None:
    with pytest.raises(UndefinedError):
        render._templates().from_string("{{ ticket.tittle }}").render(ticket={"title": "x"})


@limits(deadline=None)
@given(st.text(), st.text(), st.sampled_from(ROLES), st.sampled_from(LANGUAGES))
def test_any_text_renders_safely(title: str, description: str, role: str, language: str) -> None:
    facts = TicketFacts(17, title, "Other", "low", description=description, reason=title, requester=title)
    message = render_message("ticket.classified", role, language, facts, BASE)
    html = as_html(message, language)
    (message.subject + message.text + html).encode()
    page = Page(html)
    assert page.tags <= TAGS
    assert set(page.links) == {LINK}
    assert "\n" not in message.subject
    assert "\r" not in message.text


@pytest.mark.parametrize(("language", "words"), [("en", "incident proposed"), ("de", "Großstörung vorgeschlagen")])
def test_a_proposal_names_the_page_where_it_is_accepted_and_no_other_link(language: str, words: str):
    facts = IncidentFacts(3, "VPN down https://evil.example/\nBcc: eve@example.com", "Network", "critical", 6)

    message = render_incident(facts, language, BASE)

    assert words in message.subject
    assert "\n" not in message.subject
    assert f"{BASE}/incidents#incident-3" in message.text
    assert "https://evil" not in message.subject + message.text


def test_a_digest_lists_every_urgent_ticket():
    many = [DigestItem("ticket.classified", n, f"Title {n}", "Network", "low") for n in range(1, 100)]
    urgent = [DigestItem("ticket.classified", n, f"Title {n}", "Network", "high") for n in range(200, 270)]

    text = render_digest([*many, *urgent], "en", BASE).text

    assert all(f"#{n} Title {n} (high" in text for n in range(200, 270))
    assert "and 99 more" in text
