"""The dashboard in a real browser: every page reads well, and what happens shows without a reload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import DESKTOP, PHONE, Visit, chrome
from tests.acceptance.conftest import House
from tests.conftest import ROOT

__all__ = ["chrome"]

PAGES = (
    "/",
    "/tickets",
    "/tickets/new",
    "/tickets/17",
    "/review",
    "/jobs",
    "/queues",
    "/dead",
    "/schedules",
    "/workers",
    "/ai",
    "/incidents",
    "/audit",
    "/login",
)
PASSWORD = "correct horse battery"
#: Milliseconds that something may take to show by itself.
PATIENCE = 30_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Everything in one process, with the example tickets; many tests look at it."""
    folder = tmp_path_factory.mktemp("browser")
    house = House(folder, {"DATABASE_URL": f"sqlite:///{folder / 'aura.db'}"})
    house.start("run", "aura", "run", "--port", str(house.port))
    house.serves()
    house.aura("agents", "import", str(ROOT / "examples/agents.csv"))
    house.aura("import", str(ROOT / "examples/tickets.csv"))
    house.finished(88, 120)
    yield house
    house.close()


@pytest.fixture
def visit(chrome: Browser, house: House) -> Iterator[Callable[..., Visit]]:
    """A function that lets a visitor in: visit(mode="dark", size=PHONE). What the browser complained about fails the test."""
    contexts, visits = [], []

    def visit(mode: str = "light", size: dict[str, int] = DESKTOP, script: bool = True) -> Visit:
        context = chrome.new_context(color_scheme=mode, viewport=size, java_script_enabled=script)  # type: ignore[arg-type]
        contexts.append(context)
        visits.append(Visit(context, house.url))
        return visits[-1]

    yield visit
    complaints = [said for each in visits for said in each.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_page_can_be_used_by_everybody(visit: Callable[..., Visit], mode: str, size: dict[str, int]):
    visitor = visit(mode, size)
    for path in PAGES:
        page = visitor.open(path)

        assert visitor.barriers() == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels too wide"


def test_every_page_reads_without_javascript(visit: Callable[..., Visit]):
    visitor = visit(script=False)
    for path in PAGES:
        visitor.page.goto(visitor.url(path))
        expect(visitor.page.locator("h1")).to_be_visible()


def test_a_ticket_is_classified_and_announced_before_the_reader_s_eyes(visit: Callable[..., Visit]):
    # Given somebody who reports a ticket by the form
    page = visit().open("/tickets/new")
    page.get_by_label("In a few words").fill("The VPN drops every ten minutes")
    page.get_by_label("What happens").fill("Since this morning nobody in sales can reach the CRM.")
    page.get_by_label("Who reports it").fill("ada@example.com")
    page.get_by_role("button", name="Report").click()
    # Then its page tells how it goes on, without a reload
    page.evaluate("window.stayed = true")
    expect(page.get_by_text("Nothing is left to do").or_(page.get_by_text("a person should look"))).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.locator(".story")).to_contain_text("verdict")
    expect(page.locator(".story")).to_contain_text("ada@example.com")
    assert page.evaluate("window.stayed") is True


def test_a_category_is_corrected_in_place(visit: Callable[..., Visit]):
    page = visit().open("/tickets/3")
    page.get_by_role("button", name="Security", exact=True).click()

    expect(page.locator("main > [role=status]")).to_contain_text("changed")
    expect(page.get_by_role("button", name="Security", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".story")).to_contain_text("correction")


def test_a_review_is_done_with_one_key_each(visit: Callable[..., Visit]):
    page = visit().open("/review")
    first = page.locator("main form").get_attribute("action")
    page.keyboard.press("3")

    expect(page.locator("main > [role=status]")).to_contain_text("ticket")
    expect(page.locator("main form")).not_to_have_attribute("action", first or "")


def test_a_pause_shows_on_the_other_pages_and_ends(visit: Callable[..., Visit]):
    operator, watcher = visit(), visit().open("/")
    page = operator.open("/queues")
    row = page.locator("tr", has_text="ai.classify")
    row.get_by_text("Pause or limit").click()
    row.get_by_label("why ai.classify is paused").fill("the provider moves")
    row.get_by_role("button", name="Pause").click()
    expect(page.locator("main > [role=status]")).to_have_text("ai.classify is paused")

    # When a ticket comes, the overview of somebody else says what it waits for
    operator.open("/tickets/new")
    page.get_by_label("In a few words").fill("Monitor flickers")
    page.get_by_role("button", name="Report").click()
    expect(watcher.locator("main")).to_contain_text("the provider moves", timeout=PATIENCE)

    operator.open("/queues")
    page.locator("tr", has_text="ai.classify").get_by_role("button", name="Resume").click()
    expect(watcher.locator("main")).not_to_contain_text("the provider moves", timeout=PATIENCE)


def test_keys_lead_everywhere(visit: Callable[..., Visit]):
    page = visit().open("/")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url(re.compile("/tickets$"))
    page.keyboard.press("/")
    page.keyboard.type("is:open priority:critical")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=is"))
    expect(page.locator("tbody tr").first).to_contain_text("critical")


def test_a_tab_that_nobody_sees_asks_for_nothing(visit: Callable[..., Visit]):
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


def test_people_log_in_do_what_their_role_allows_and_log_out(chrome: Browser, embedded_house: House):
    # Given a house that is not open any more, with an operator and a viewer
    house = embedded_house
    house.start("run", "aura", "run", "--port", str(house.port))
    house.serves()
    house.aura("api-keys", "create", "intranet", "--scope", "submit")
    for name, role in (("ada", "operator"), ("bob", "viewer")):
        house.aura("users", "create", name, "--role", role, said=f"{PASSWORD}\n")
    contexts = [chrome.new_context() for _ in range(2)]
    operator, viewer = (Visit(context, house.url) for context in contexts)

    # Then the operator comes to what was asked for after the login, not before
    page = operator.open("/tickets/new")
    log_in(page, "ada", "an older password")
    expect(page.get_by_role("alert")).to_contain_text("name or password are wrong")
    log_in(page, "ada", PASSWORD)
    page.get_by_label("In a few words").fill("The VPN drops every ten minutes")
    page.get_by_role("button", name="Report").click()
    verdicts = page.locator(".story > li", has_text="verdict")
    expect(verdicts).to_have_count(1, timeout=PATIENCE)

    # runs it again from a step
    page.get_by_text("Run it again").click()
    page.get_by_role("button", name="from classify").click()
    expect(page.locator("main > [role=status]")).to_have_text("promised again from classify on")
    expect(verdicts).to_have_count(2, timeout=PATIENCE)

    # and has no way back in after the logout
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile("/login$"))
    operator.open("/tickets/1")
    page.wait_for_url(re.compile("/login"))

    # Then the viewer reads, and changes nothing
    page = viewer.open("/tickets/1")
    log_in(page, "bob", PASSWORD)
    page.get_by_role("button", name="Security", exact=True).click()
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    viewer.open("/audit")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    assert house.ask("SELECT count(*) FROM corrections") == 0
    assert house.ask("SELECT count(*) FROM audit_log WHERE who = 'user bob' AND action <> 'login.begin'") == 0
    refusals = re.compile("status of 40[13]")
    assert [said for each in (operator, viewer) for said in each.complaints if not refusals.search(said)] == []
    for context in contexts:
        context.close()


def test_the_pictures_of_the_readme_are_there():
    for name in re.findall(r"\(docs/images/([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (Path(ROOT) / "docs/images" / name).is_file(), f"{name}: `make images` makes it"
