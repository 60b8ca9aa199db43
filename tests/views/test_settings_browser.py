"""The settings page in a real browser: where reports go to, keys, what waits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, LocatorAssertions, Page, expect
from support.browsers import barriers
from support.keyboard import press
from support.receiver import Receiver, answering, receiver
from support.served import fits, picture

from cwl_ui_plugin.services.settings import connection_and_keys, report_delivery
from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair, public_of

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("settings_cleared")]
OpenPage = Callable[..., Page]
PAGE = "/cwl/settings"
REFUSED = "400 (BAD REQUEST)"
REPORTS, REPORT_KEY = "Reports Connection process_report", "Key that signs reports"
TRIGGER_KEYS, SIGNING_KEY = "Keys that verify triggers", "Key that signs triggers"


@pytest.fixture
def portal() -> Iterator[Receiver]:
    with receiver() as opened:
        yield opened


def part(page: Page, title: str) -> Locator:
    """A section of the page."""
    return page.get_by_role("region", name=re.compile(f"^{title}"))


def name_receiver(port: int) -> None:
    connection_and_keys.save_report_connection(schema="http", host="127.0.0.1", port=port, endpoint="satellite/v1/")


def test_a_receiver_is_named_by_keyboard_and_answers_a_test_report(open_page: OpenPage, portal: Receiver) -> None:
    page = open_page(PAGE)
    expect(page.get_by_text("No reports are sent. Name a receiver")).to_be_visible()
    expect(page.get_by_role("button", name="Send test report")).to_be_disabled()
    page.get_by_label("Schema").focus()
    the_default_format = ""
    for text in ("127.0.0.1", str(portal.port), "satellite/v1/", the_default_format, "bot", "a-password"):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    expect(page.get_by_label("Host")).to_have_value("127.0.0.1")
    expect(page.get_by_label("Password")).to_have_value("")
    assert "a-password" not in page.content()

    page.get_by_role("button", name="Send test report").press("Enter")
    result = page.locator("#test-result")
    expect(result).to_have_text(re.compile(r"The receiver answered 200\.\s*It took [\d.]+ m?s\."))
    ((route, payload),) = portal.reports
    assert (route, payload["state"], portal.paths) == ("status", "test", ["/satellite/v1/status"])
    portal.mood = lambda _payload: answering(401, b"<i>who are you</i>")
    page.get_by_role("button", name="Send test report").click()
    expect(result.locator(".error")).to_have_text(re.compile(r"answered 401.*<i>who are you</i>.*It took", re.DOTALL))
    picture(page, "settings-test")


def test_a_receiver_that_is_not_there_is_said_and_the_connection_removed(open_page: OpenPage) -> None:
    with receiver() as gone:
        port = gone.port
    name_receiver(port)
    page = open_page(PAGE)
    page.get_by_role("button", name="Send test report").click()
    expect(page.locator("#test-result .error")).to_contain_text(f"http://127.0.0.1:{port}/satellite/v1/status can't be")
    page.get_by_role("button", name="Remove connection").click()
    expect(page.get_by_text("No reports are sent. Name a receiver")).to_be_visible()
    assert not connection_and_keys.report_connection().is_set


@pytest.mark.parametrize(
    ("label", "text", "told"),
    [
        ("Host", "portal.example.org/path", "must be a name or an address only"),
        ("Host", "ftp://portal.example.org", "without schema"),
        ("Endpoint", "http://portal.example.org/v1", "must be a path such as"),
        ("More", "{timeout: 3}", "This is no JSON"),
        ("More", '{"endpoint": "x"}', "the endpoint and the format have fields of their own"),
        ("More", '{"verify": "/nowhere.pem"}', "/nowhere.pem is no file with certificates"),
    ],
)
def test_what_can_not_be_used_is_said_and_what_was_typed_is_kept(
    open_page: OpenPage,
    label: str,
    text: str,
    told: str,
) -> None:
    page = open_page(PAGE, expected=REFUSED)
    page.get_by_label("Host").fill("portal.example.org")
    page.get_by_text("TLS, timeout, headers").click()
    page.get_by_role("textbox", name=label).fill(text)
    part(page, REPORTS).get_by_role("button", name="Save").click()
    field = page.get_by_role("textbox", name=label)
    expect(page.get_by_text(told)).to_be_visible()
    expect(page.get_by_text(told)).to_be_in_viewport()
    expect(field).to_have_value(text)
    expect(field).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(re.escape(told)))
    assert not connection_and_keys.report_connection().is_set


def test_a_connection_that_somebody_broke_elsewhere_is_said(open_page: OpenPage, airflow_home: Path) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Connection(conn_id=connection_and_keys.REPORT_CONNECTION, conn_type="http", host="x", schema="ftp"))
    page = open_page(PAGE)
    expect(part(page, REPORTS).get_by_role("alert")).to_contain_text("must be http or https, not 'ftp'")


def test_a_new_key_is_downloaded_once_and_its_public_key_copied(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(PAGE, permissions=["clipboard-read", "clipboard-write"])
    made = part(page, "New key pair")
    made.get_by_label("Algorithm").select_option("ES384")
    press(page, made.get_by_label("Sign reports with it from now on"), "Space")
    press(page, made.get_by_role("button", name="Generate"))
    expect(made.get_by_text("The new key signs reports from now on.")).to_be_in_viewport()
    with page.expect_download() as download:
        press(page, made.get_by_role("link", name="Download private key"))
    private = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "key.pem"
    public = public_of(private)
    press(page, made.get_by_role("button", name="Copy public key"))
    expect(made.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").strip() == public.strip()
    picture(page, "settings-new-key")

    page.goto(page.url.split("/cwl/")[0] + PAGE)
    assert "PRIVATE KEY" not in page.content()
    kept = part(page, REPORT_KEY)
    expect(kept).to_contain_text(f"Set, fingerprint {fingerprint(public)}, ES384")
    kept.get_by_text("Public key", exact=True).first.click()
    kept.get_by_role("button", name="Copy public key").click()
    expect(kept.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").strip() == public.strip()


def test_keys_are_set_and_removed(open_page: OpenPage, pair: KeyPair) -> None:
    page = open_page(PAGE)
    for title, label in ((TRIGGER_KEYS, "Public keys"), (REPORT_KEY, "Private key"), (SIGNING_KEY, "Private key")):
        section = part(page, title)
        section.get_by_label(label).fill(pair.public if title == TRIGGER_KEYS else pair.private)
        if title == TRIGGER_KEYS:
            section.get_by_label("Algorithms").fill("RS256, ES256")
        if title == REPORT_KEY:
            section.get_by_label("Algorithm").select_option("ES256")
        section.get_by_role("button", name="Save").click()
        expect(part(page, title)).to_contain_text(f"Set, fingerprint {fingerprint(pair.public)}")
        assert "PRIVATE KEY" not in page.content()
    assert connection_and_keys.trigger_key().algorithm == "RS256,ES256"
    for title in (SIGNING_KEY, REPORT_KEY, TRIGGER_KEYS):
        press(page, part(page, title).get_by_role("button", name=re.compile("^Remove")))
        expect(part(page, title).get_by_text("Not set")).to_be_visible()
    assert not connection_and_keys.report_key().is_set


@pytest.mark.parametrize("title", [REPORT_KEY, TRIGGER_KEYS, SIGNING_KEY])
def test_a_key_that_can_not_be_used_is_said_at_its_field_and_not_kept(open_page: OpenPage, title: str) -> None:
    page = open_page(PAGE, expected=REFUSED)
    broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"
    label = "Public keys" if title == TRIGGER_KEYS else "Private key"
    part(page, title).get_by_label(label).fill(broken)
    part(page, title).get_by_role("button", name="Save").click()
    field = part(page, title).get_by_label(label)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_in_viewport()
    expect(field).to_have_accessible_description(re.compile("PEM|key"))
    assert "c2VjcmV0" not in page.content(), "what may be a private key is not shown again"
    assert not any(
        key.is_set
        for key in (
            connection_and_keys.report_key(),
            connection_and_keys.trigger_key(),
            connection_and_keys.signing_key(),
        )
    )


def test_a_pair_is_checked(open_page: OpenPage, pair: KeyPair) -> None:
    connection_and_keys.save_report_key(pair.private, "ES256")
    page = open_page(PAGE, expected=REFUSED)

    def check(key: str, other: str = "") -> LocatorAssertions:
        section = part(page, "Check keys")
        section.get_by_role("textbox", name="Key", exact=True).fill(key)
        section.get_by_label("Other key").fill(other)
        section.get_by_role("button", name="Check").click()
        return expect(part(page, "Check keys").locator(".alert").first)

    check(pair.public, pair.private).to_contain_text("The two keys are of one pair.")
    assert "PRIVATE KEY" not in page.content()
    expect(part(page, "Check keys").get_by_text("It belongs to the key that signs reports.")).to_be_in_viewport()
    check(generate_key_pair("ES256").public, pair.private).to_contain_text("not of one pair")
    check("no key").to_contain_text("PEM")


def test_what_waits_is_shown_and_tried_again(open_page: OpenPage, waiting_run: str) -> None:
    name_receiver(9)
    page = open_page(PAGE)
    waiting = part(page, "Delivery")
    expect(waiting).to_contain_text("1 of 1 run, the oldest since")
    expect(waiting.locator("dl .err")).to_have_text("<script>no</script>")
    waiting.get_by_role("button", name=f"Retry the reports of {waiting_run} now").press("Enter")
    expect(page.get_by_text("Reports that wait are tried again now.")).to_be_visible()
    assert [(run.failures, run.next_try) for run in report_delivery.waiting_runs().items] == [(0, None)]
    waiting.get_by_role("link", name=waiting_run).click()
    expect(page.get_by_role("heading", name=f"Reports of {waiting_run}")).to_be_visible()


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_has_no_barrier_and_fits(open_page: OpenPage, waiting_run: str, pair: KeyPair, width: int) -> None:
    name_receiver(9)
    connection_and_keys.save_report_key(pair.private, "ES256")
    connection_and_keys.save_trigger_key(pair.public, "ES256")
    connection_and_keys.save_signing_key(pair.private)
    page = open_page(PAGE, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="Send test report").click()
    expect(page.locator("#test-result .error")).to_be_visible()
    closed = page.locator("details:not([open]) > summary")
    while closed.count():
        closed.first.press("Enter")
    assert barriers(page) == []
    assert fits(page)
    picture(page, f"settings-{width}", width)


def test_whoever_may_not_read_sees_why(open_page: OpenPage) -> None:
    page = open_page(PAGE, role="viewer", expected="403 (FORBIDDEN)")
    expect(page.locator("main, body").first).to_contain_text(re.compile("not allowed|permission|may not", re.I))
