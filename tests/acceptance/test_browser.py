"""The pages in a real browser: accessible, not too wide, live without a reload."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from db import api_keys, transaction
from tests import embedded
from tests.acceptance.browser import DESKTOP, PATIENCE, PHONE, TABLET, Visit
from tests.acceptance.conftest import Installation
from tests.conftest import ROOT
from tests.files import HTML, LOG, mail_with, pdf, png

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
    "/account",
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
    with chrome.new_context() as first:  # one login for all
        installation.log_in(first)
        cookies = first.cookies()

    def visit(mode: str = "light", size: dict[str, int] = DESKTOP, script: bool = True) -> Visit:
        context = chrome.new_context(color_scheme=mode, viewport=size, java_script_enabled=script)  # type: ignore[arg-type]
        contexts.append(context)
        context.add_cookies(cookies)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("script", [True, False], ids=["javascript", "no-javascript"])
@pytest.mark.parametrize("size", [DESKTOP, {"width": 360, "height": 800}], ids=["desktop", "narrow"])
def test_a_comment_is_an_internal_note_unless_the_button_names_its_recipients(
    visit: Callable[..., Visit], installation: Installation, script: bool, size: dict[str, int]
):
    # Given a ticket with two people in Cc, one of them with a long address
    requester = f"ada.{uuid.uuid4().hex}@accounting.example.com"
    made = installation.aura("tickets", "create", "VPN drops", "From home", "--requester", requester).stdout
    number = re.findall(r"\d+", made)[0]
    for address in ("bob@example.com", "carl.with.a.rather.long.name@subsidiary.example.com"):
        installation.aura("tickets", "participants", number, "--add", address)
    page = visit(size=size, script=script).open(f"/tickets/{number}")
    done = page.locator("main > [role=status]")
    # Then the page fits, and the form that is open is the one of an internal note
    assert page.locator("main").bounding_box()["width"] <= size["width"]  # type: ignore[index]
    reply = page.get_by_role("button", name=f"Reply to {requester} and 2 in Cc")
    expect(reply).to_be_hidden()
    page.get_by_label("Internal note").fill("A known troublemaker")
    page.get_by_role("button", name="Add internal note").click()
    expect(done).to_contain_text("Internal note added.")
    # And a reply names its recipients
    page.locator("summary", has_text="Reply to requester").click()
    expect(page.get_by_label("Internal note")).to_be_hidden()
    expect(page.locator(".choices")).to_contain_text("carl.with.a.rather.long.name@subsidiary.example.com")
    page.get_by_label("Reply", exact=True).fill("We replaced the cable")
    reply.click()
    expect(done).to_contain_text(f"Reply sent to {requester} and 2 in Cc.")
    # And a resolution is sent only by the button that says so
    page.locator("summary", has_text="Resolve").click()
    expect(page.get_by_role("button", name=f"Resolve and send the resolution to {requester}")).to_be_visible()
    page.get_by_label("Resolution").fill("Never again, troublemaker")
    page.get_by_role("button", name="Resolve with an internal resolution").click()
    expect(done).to_contain_text("Resolved. The resolution is internal.")
    timeline = page.locator(".timeline")
    expect(timeline.get_by_text("Internal", exact=True)).to_be_visible()
    expect(timeline.get_by_text("Public", exact=True)).to_be_visible()
    sent = installation.scalar(
        f"SELECT count(*) FROM notifications WHERE ticket_id = {number} AND body LIKE '%troublemaker%' "
        "AND role NOT IN ('agent', 'team')"
    )
    assert sent == 0


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
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
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
    recorded = {action for (action,) in installation.rows("SELECT action FROM audit_log WHERE who = 'user bob'")}
    assert recorded == {"login.begin", "access.refuse"}
    refusals = re.compile("status of 40[13]")
    complaints = [complaint for each in (operator, viewer) for complaint in each.complaints]
    assert [complaint for complaint in complaints if not refusals.search(complaint)] == []
    for context in contexts:
        context.close()


def test_a_user_sets_up_a_second_factor_and_logs_in_with_it(chrome: Browser, installation: Installation):
    installation.aura("users", "create", "eve", "--role", "viewer", stdin=f"{PASSWORD}\n")
    found: list[str] = []

    def look(visitor: Visit) -> None:
        """Check the page at the widths of a phone, a tablet and a screen, and its accessibility."""
        for width in (360, 768, 1440):
            visitor.page.set_viewport_size({"width": width, "height": 900})
            wide = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            found.extend([f"{visitor.page.url} is {wide} pixels too wide at {width}"] if wide > 0 else [])
        found.extend(visitor.barriers())

    with chrome.new_context() as context:
        installation.log_in(context, "eve")
        visitor = Visit(context, installation.url)
        page = visitor.open("/account")
        look(visitor)
        page.locator("#totp-password").fill(PASSWORD)
        page.get_by_role("button", name="Set up").click()
        page.wait_for_url("**/account/totp")
        look(visitor)
        totp = pyotp.TOTP(page.locator("code").first.inner_text().replace(" ", ""))
        page.get_by_label("Code").fill(totp.now())
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
        look(visitor)
        recovery = page.locator("li code").first.inner_text()
        page.get_by_role("link", name="I stored the codes").click()
        page.wait_for_url("**/account")
        look(visitor)
        assert visitor.complaints == []
    with chrome.new_context() as context:
        visitor = Visit(context, installation.url)
        page = visitor.open("/tickets")
        log_in(page, "eve", PASSWORD)
        expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
        look(visitor)
        page.get_by_label("Code").fill(recovery)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/tickets")
        look(visitor)
        assert visitor.complaints == []
    assert found == []


def test_the_images_of_the_readme_exist():
    for name in re.findall(r"\(docs/images/([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (Path(ROOT) / "docs/images" / name).is_file(), f"{name}: `make images` writes it"
