"""The pages in a real browser: accessible, not too wide, live without a reload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from db import api_keys, transaction
from tests import embedded
from tests.acceptance.browser import DESKTOP, PATIENCE, PHONE, TABLET, Visit, chrome
from tests.acceptance.conftest import Installation
from tests.conftest import ROOT
from tests.files import HTML, LOG, mail_with, pdf, png

__all__ = ["chrome"]

PAGES = (
    "/",
    "/tickets",
    "/tickets/new",
    "/tickets/17",
    "/review",
    "/jobs",
    "/queues",
    "/dead-letters",
    "/schedules",
    "/workers",
    "/ai",
    "/incidents",
    "/audit",
    "/login",
)
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One process in embedded mode with the example tickets, shared by the tests of this module."""
    folder = tmp_path_factory.mktemp("browser")
    installation = Installation(folder, {"DATABASE_URL": f"sqlite:///{folder / 'aura.db'}"})
    installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    installation.aura("agents", "import", str(ROOT / "examples/agents.csv"))
    installation.aura("import", str(ROOT / "examples/tickets.csv"))
    installation.wait_until_notified(88, 120)
    yield installation
    installation.close()


@pytest.fixture
def visit(chrome: Browser, installation: Installation) -> Iterator[Callable[..., Visit]]:
    """A function that opens a browser context: visit(mode="dark", size=PHONE). Errors in its console fail the test."""
    contexts, visits = [], []

    def visit(mode: str = "light", size: dict[str, int] = DESKTOP, script: bool = True) -> Visit:
        context = chrome.new_context(color_scheme=mode, viewport=size, java_script_enabled=script)  # type: ignore[arg-type]
        contexts.append(context)
        visits.append(Visit(context, installation.url))
        return visits[-1]

    yield visit
    complaints = [complaint for each in visits for complaint in each.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def with_files(installation: Installation) -> str:
    """The page of a ticket that a mail with a picture, a log and a page of hostile HTML created."""
    mail = mail_with(
        ("screenshot.png", png(640, 400)),
        ("trace.log", LOG),
        ("photo.png", HTML),
        (f"{'a very long name without any blank_' * 5}.pdf", pdf("x")),
        inline=(("logo.png", png(120, 40)),),
    )
    path = installation.folder / "files.eml"
    path.write_bytes(mail)
    printed = installation.aura("mail", "import", str(path)).stdout
    number = re.search(r"ticket (\d+)", printed)
    assert number is not None, printed
    return f"/tickets/{number[1]}"


@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
def test_attachments_are_accessible_shown_and_downloaded(
    visit: Callable[..., Visit], with_files: str, size: dict[str, int], tmp_path: Path
):
    visitor = visit(size=size)
    page = visitor.open(with_files)
    files = page.locator("#attachments li")
    expect(files).to_have_count(5)
    assert visitor.barriers() == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} pixels too wide"

    # the names are aligned, beside pictures and beside the endings of other files
    left = "all => all.map(each => Math.round(each.getBoundingClientRect().left))"
    assert len(set(page.locator("#attachments li > div").evaluate_all(left))) == 1

    # the thumbnails are loaded; a page with the name of a picture is none
    pictures = page.locator("#attachments img")
    expect(pictures).to_have_count(2)
    for number in range(2):
        pictures.nth(number).scroll_into_view_if_needed()
        expect(pictures.nth(number)).to_have_js_property("complete", True)
        assert pictures.nth(number).evaluate("image => image.naturalWidth") in (640, 120)
    expect(files.nth(1)).to_contain_text(f"Text file · {len(LOG)} B")

    # the log is downloaded, by keyboard
    with page.expect_download() as log:
        page.get_by_role("link", name="trace.log", exact=True).focus()
        page.keyboard.press("Enter")
    assert log.value.suggested_filename == "trace.log"
    log.value.save_as(tmp_path / "saved.log")
    assert (tmp_path / "saved.log").read_bytes() == LOG

    # a hostile page is a download, too, and not opened
    with page.expect_download() as hostile:
        page.get_by_role("link", name="photo.png", exact=True).click()
    assert hostile.value.suggested_filename == "photo.png"

    # the picture opens
    page.get_by_role("link", name="Picture: screenshot.png").click()
    page.wait_for_url(re.compile("/picture$"))
    assert page.locator("img").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [640, 400]


@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_page_is_accessible_and_fits_its_window(visit: Callable[..., Visit], mode: str, size: dict[str, int]):
    visitor = visit(mode, size)
    for path in PAGES:
        page = visitor.open(path)

        assert visitor.barriers() == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels too wide"


def test_every_page_works_without_javascript(visit: Callable[..., Visit]):
    visitor = visit(script=False)
    for path in PAGES:
        visitor.page.goto(visitor.url(path))
        expect(visitor.page.locator("h1")).to_be_visible()


def test_a_new_ticket_is_classified_and_notified_without_a_reload(visit: Callable[..., Visit]):
    # Given a ticket created by the form
    page = visit().open("/tickets/new")
    page.get_by_label("Subject").fill("The VPN drops every ten minutes")
    page.get_by_label("Description").fill("Since this morning nobody in sales can reach the CRM.")
    page.get_by_label("Requester", exact=True).fill("ada@example.com")
    page.get_by_role("button", name="Create ticket").click()
    page.wait_for_url(re.compile(r"/tickets/\d+"))
    # Then its page follows the triage without a reload
    page.evaluate("window.stayed = true")
    expect(page.get_by_text("Triage is complete")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".timeline")).to_contain_text("verdict")
    expect(page.locator(".timeline")).to_contain_text("ada@example.com")
    assert page.evaluate("window.stayed") is True


def test_a_category_is_corrected_in_place(visit: Callable[..., Visit]):
    page = visit().open("/tickets/3")
    page.get_by_role("button", name="Security", exact=True).click()

    expect(page.locator("main > [role=status]")).to_contain_text("Changed: category.")
    expect(page.get_by_role("button", name="Security", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".timeline")).to_contain_text("correction")


def test_a_review_is_done_with_one_key(visit: Callable[..., Visit]):
    page = visit().open("/review")
    first = page.locator("main form").get_attribute("action")
    page.keyboard.press("3")

    expect(page.locator("main > [role=status]")).to_contain_text("Ticket")
    expect(page.locator("main form")).not_to_have_attribute("action", first or "")


def test_a_pause_of_a_queue_shows_on_other_pages_until_it_is_resumed(visit: Callable[..., Visit]):
    operator, watcher = visit(), visit().open("/")
    page = operator.open("/queues")
    row = page.locator("tr", has_text="ai.classify")
    row.get_by_text("Pause or limit").click()
    row.get_by_label("Reason to pause ai.classify").fill("the provider moves")
    row.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("main > [role=status]")).to_have_text("Queue ai.classify paused.")

    # When a ticket is created, the overview in another browser shows why it waits
    operator.open("/tickets/new")
    page.get_by_label("Subject").fill("Monitor flickers")
    page.get_by_role("button", name="Create ticket").click()
    expect(watcher.locator("main")).to_contain_text("the provider moves", timeout=PATIENCE)

    operator.open("/queues")
    page.locator("tr", has_text="ai.classify").get_by_role("button", name="Resume").click()
    expect(watcher.locator("main")).not_to_contain_text("the provider moves", timeout=PATIENCE)


def test_keyboard_shortcuts_open_pages_and_the_search(visit: Callable[..., Visit]):
    page = visit().open("/")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url(re.compile("/tickets$"))
    page.keyboard.press("/")
    page.keyboard.type("is:open priority:critical")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=is"))
    expect(page.locator("tbody tr").first).to_contain_text("critical")


def test_a_hidden_tab_closes_its_stream(visit: Callable[..., Visit]):
    page = visit().open("/")
    expect(page.locator("[data-live-state=on]")).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-live-state=off]")).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-live-state=on]")).to_be_visible()


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_users_log_in_act_within_their_role_and_log_out(chrome: Browser, embedded_installation: Installation):
    # Given an installation with an API key, an operator and a viewer
    installation = embedded_installation
    installation.start("run", "aura", "run", "--port", str(installation.port))
    installation.wait_until_ready()
    with embedded.using(installation.variables["DATABASE_URL"]), transaction() as session:
        api_keys.create(session, "intranet", ["submit"])
    for name, role in (("ada", "operator"), ("bob", "viewer")):
        installation.aura("users", "create", name, "--role", role, stdin=f"{PASSWORD}\n")
    contexts = [chrome.new_context() for _ in range(2)]
    operator, viewer = (Visit(context, installation.url) for context in contexts)

    # Then the operator reaches the requested page after the login
    page = operator.open("/tickets/new")
    log_in(page, "ada", "an older password")
    expect(page.get_by_role("alert")).to_contain_text("wrong name or password")
    log_in(page, "ada", PASSWORD)
    page.get_by_label("Subject").fill("The VPN drops every ten minutes")
    page.get_by_role("button", name="Create ticket").click()
    verdicts = page.locator(".timeline > li", has_text="verdict")
    expect(verdicts).to_have_count(1, timeout=PATIENCE)

    # runs the pipeline again from a step
    page.get_by_text("Run again").click()
    page.get_by_role("button", name="from classify").click()
    expect(page.locator("main > [role=status]")).to_have_text("Enqueued again from classify.")
    expect(verdicts).to_have_count(2, timeout=PATIENCE)

    # and needs to log in again after the logout
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile("/login$"))
    operator.open("/tickets/1")
    page.wait_for_url(re.compile("/login"))

    # Then the viewer reads and cannot change anything
    page = viewer.open("/tickets/1")
    log_in(page, "bob", PASSWORD)
    page.get_by_role("button", name="Security", exact=True).click()
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    viewer.open("/audit")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    assert installation.scalar("SELECT count(*) FROM corrections") == 0
    assert installation.scalar("SELECT count(*) FROM audit_log WHERE who = 'user bob' AND action <> 'login.begin'") == 0
    refusals = re.compile("status of 40[13]")
    complaints = [complaint for each in (operator, viewer) for complaint in each.complaints]
    assert [complaint for complaint in complaints if not refusals.search(complaint)] == []
    for context in contexts:
        context.close()


def test_the_images_of_the_readme_exist():
    for name in re.findall(r"\(docs/images/([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (Path(ROOT) / "docs/images" / name).is_file(), f"{name}: `make images` writes it"
