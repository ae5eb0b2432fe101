"""A mail with three attachments, from an IMAP mailbox with OAuth to the page where its files are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.browser import DESKTOP, Visit
from tests.acceptance.conftest import Installation
from tests.files import LOG
from tests.oauth_mailbox import PICTURE_SIZE, OAuthMailbox, mail_with_attachments
from tests.oauth_server import TokenServer
from tests.receiver import PEM
from tests.services import Dovecot


@pytest.fixture
def desk(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthMailbox]:
    with TokenServer(dovecot.start().token_port) as tokens:
        yield OAuthMailbox(dovecot, tokens)


def test_the_files_of_a_mail_are_opened_on_the_page_of_its_ticket(
    desk: OAuthMailbox, build: Callable[..., Installation], sqlite_url: str, chrome: Browser, tmp_path: Path
):
    installation = build(DATABASE_URL=sqlite_url, SSL_CERT_FILE=str(PEM), **desk.environment("microsoft"))
    installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    desk.deliver(mail_with_attachments())

    assert installation.aura("mail", "fetch", "--once").stdout.endswith(": ticket 1\n")

    installation.wait_until_notified(1)
    with chrome.new_context(viewport=DESKTOP) as context:  # type: ignore[arg-type]
        installation.log_in(context)
        visitor = Visit(context, installation.url)
        page = visitor.open("/tickets/1")
        expect(page.locator("#attachments li")).to_have_count(3)
        with page.expect_download() as log:
            page.get_by_role("link", name="printer.log", exact=True).click()
        log.value.save_as(tmp_path / "saved.log")
        assert (tmp_path / "saved.log").read_bytes() == LOG
        page.get_by_role("link", name="Picture: fire.png").click()
        page.wait_for_url("**/picture")
        size = page.locator("img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
        assert tuple(size) == PICTURE_SIZE
        assert visitor.complaints == []
