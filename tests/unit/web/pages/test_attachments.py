"""Attachments on the page of a ticket."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aura.mail import ingest_mail
from tests.embedded import web_app
from tests.files import HTML, LOG, SVG, mail_with, png
from tests.unit.web.clients import anonymous_client, create_key, create_ticket, create_user, log_in


def section(browser: TestClient, ticket_id: int = 1) -> str:
    page = browser.get(f"/tickets/{ticket_id}").text
    found = re.search(r'<section class="card" id="attachments">.*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def test_a_ticket_shows_pictures_and_links_with_type_and_size(browser: TestClient):
    ingest_mail(mail_with(("screenshot.png", png(4, 3)), ("trace.log", LOG), inline=(("logo.png", png()),)))

    shown = section(browser)

    assert '<img src="/tickets/1/attachments/1/picture" alt="Picture: screenshot.png" width="4" height="3"' in shown
    assert '<a href="/tickets/1/attachments/2" download><bdi>trace.log</bdi></a>' in shown
    assert f"PNG image · {len(png(4, 3))} B" in shown
    assert f"Text file · {len(LOG)} B" in shown
    assert shown.count('<span class="tag">inline</span>') == 1
    assert shown.count("<img") == 2


@pytest.mark.parametrize(
    ("name", "ending"),
    [("trace.log", "LOG"), ("backup.tar.gz", "GZ"), ("README", "FILE"), ("a.very-long", "FILE"), ("a.ä", "FILE")],
)
def test_a_file_without_a_picture_shows_its_ending(browser: TestClient, name: str, ending: str):
    ingest_mail(mail_with((name, LOG)))

    assert f'<span class="thumb" aria-hidden="true">{ending}</span>' in section(browser)


def test_the_timeline_names_the_files_of_a_mail_in_words(browser: TestClient):
    ingest_mail(mail_with(("screenshot.png", png())))

    page = browser.get("/tickets/1").text

    assert "1 attachment:" in page and "{&#39;name&#39;" not in page and "{'name'" not in page
    assert "ada@example.com" in page


def test_a_ticket_without_attachments_has_no_section(browser: TestClient):
    create_ticket()

    assert section(browser) == ""


def test_a_hostile_name_is_escaped(browser: TestClient):
    ingest_mail(mail_with(('"><img src=x onerror=alert(1)>.png', png()), ("a<script>.log", LOG)))

    shown = section(browser)

    assert "<script" not in shown and "onerror=alert(1)>" not in shown.replace("onerror=alert(1)_", "")
    assert shown.count("<img") == 1


def test_a_picture_is_shown_in_a_sandbox(browser: TestClient):
    ingest_mail(mail_with(("screenshot.png", png(4, 3))))

    answer = browser.get("/tickets/1/attachments/1/picture")

    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, png(4, 3), "image/png")
    assert answer.headers["Content-Disposition"].startswith("inline;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert browser.get("/tickets/1/attachments/1").headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("content", [HTML, SVG, LOG, png(claimed=(60_000, 60_000))])
def test_nothing_but_a_picture_is_shown(content: bytes, browser: TestClient):
    ingest_mail(mail_with(("photo.png", content)))

    assert browser.get("/tickets/1/attachments/1/picture").status_code == 404
    assert "<img" not in section(browser)
    assert browser.get("/tickets/1/attachments/1").content == content


def test_a_file_that_is_not_stored_has_a_reason_and_no_link(browser: TestClient, configure: Callable[..., Any]):
    configure(AURA_ATTACHMENT_LIMIT="10")
    ingest_mail(mail_with(("trace.log", LOG)))

    shown = section(browser)

    assert "not stored" in shown and "larger than 10 bytes" in shown and "href" not in shown


def test_a_visitor_without_login_sees_no_attachment(database: str):
    ingest_mail(mail_with(("screenshot.png", png())))
    create_key("read")
    create_user("viewer")
    client = anonymous_client(web_app(), Accept="text/html")
    client.follow_redirects = False
    paths = ("/tickets/1/attachments/1", "/tickets/1/attachments/1/picture")

    assert [client.get(path).status_code for path in paths] == [303, 303]
    log_in(client, "viewer")
    assert [client.get(path).status_code for path in paths] == [200, 200]
    assert [client.get(path.replace("tickets/1", "tickets/2")).status_code for path in paths] == [404, 404]
