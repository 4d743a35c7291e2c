"""The page in a real browser, from disk: what a person on call does with it, by pointer, by keyboard and on a phone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.reports.pages import NIGHT, gate, verdict

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
PHONE = (380, 800)

pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="no chromium with its driver is installed: apt-get install chromium chromium-driver",
    ),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browsed")
    gate(place, f"--seen={NIGHT}", "--profile=nightly", "-q")
    return place


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    # No name resolves, so nothing can leave this machine.
    for flag in (
        *FLAGS.split(),
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture
def page(driver: webdriver.Chrome, place: Path) -> webdriver.Chrome:
    driver.set_window_size(1200, 900)
    driver.get(f"file://{place / 'report.html'}")
    return driver


def one(page: webdriver.Chrome | WebElement, css: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, css)


def some(page: webdriver.Chrome | WebElement, css: str) -> list[WebElement]:
    return page.find_elements(By.CSS_SELECTOR, css)


def asked(page: webdriver.Chrome) -> list[str]:
    """Every address that the page itself asked for since the last call."""
    events: list[dict[str, Any]] = [json.loads(row["message"])["message"] for row in page.get_log("performance")]  # type: ignore[no-untyped-call]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def test_it_opens_from_disk_without_a_request_or_a_complaint(
    driver: webdriver.Chrome, page: webdriver.Chrome, place: Path
) -> None:
    urls = [url for url in asked(page) if not url.startswith(("data:", "chrome"))]
    assert set(urls) == {f"file://{place / 'report.html'}"}
    assert page.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_the_banner_says_what_the_verdict_says(page: webdriver.Chrome, place: Path) -> None:
    line = verdict(place)["line"]
    assert one(page, "header.banner h1").text == line
    assert page.title == line
    assert "RECORDING" in one(page, "header.banner .recording").text


def test_copy_takes_exactly_what_is_to_be_typed(page: webdriver.Chrome, place: Path) -> None:
    page.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
    for card in some(page, "article.card"):
        one(card, "button.copy").click()
        page.set_script_timeout(5)
        copied = page.execute_async_script(
            "const done = arguments[0]; navigator.clipboard.readText().then(done, e => done(String(e)))"
        )
        assert copied == one(card, ".try code").text
        assert copied in [c["try"] for c in verdict(place)["checks"]]
        assert one(card, "button.copy").text == "Copied"


def test_folding_and_the_table_work_by_keyboard_alone(page: webdriver.Chrome) -> None:
    summary = one(page, "article.card details summary")
    body = one(page, "article.card details p")
    assert not body.is_displayed()
    page.execute_script("arguments[0].focus()", summary)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert body.is_displayed()
    rows = "#results-table td.col-result"
    page.execute_script("arguments[0].focus()", one(page, rows))
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert some(page, ".extras-row .log")[0].is_displayed()
    assert page.switch_to.active_element.tag_name == "td", "the focus stays in the table that was drawn anew"


def test_every_control_is_reached_and_named(page: webdriver.Chrome) -> None:
    """What a screen reader reads: each control has a name, and the tab key comes to all of them."""
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [
        n for n in tree if n.get("role", {}).get("value") in ("button", "link", "checkbox", "DisclosureTriangle")
    ]
    assert len(controls) >= 10
    assert [n for n in controls if not n.get("name", {}).get("value")] == []
    names = [n["name"]["value"] for n in controls if n["role"]["value"] == "button"]
    assert len([name for name in names if name.startswith("Copy what to type for ")]) == len(some(page, "article.card"))
    headings = [n["name"]["value"] for n in tree if n.get("role", {}).get("value") == "heading"]
    for heading in ("What to do now", "Runner × guarantee", "How it went before", "Evidence", "Every check"):
        assert heading in headings
    images = [n for n in tree if n.get("role", {}).get("value") in ("image", "img")]
    assert images
    assert all(n["name"]["value"] for n in images), "each drawing says in words what it shows"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: webdriver.Chrome, scheme: str) -> None:
    """WCAG 2 AA: 4.5 to 1, of every text that is shown, in both schemes."""
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    poor = page.execute_script(CONTRAST)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert poor == []


def test_on_a_phone_nothing_is_cut_off(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        wide = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        small = page.execute_script(SMALL)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide[0] <= wide[1] == PHONE[0]
    assert small == [], "text below 9 px is not read at night"


def test_printed_it_is_whole(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = [b for b in some(page, "button.copy") if b.is_displayed()]
    banner = one(page, "header.banner").is_displayed()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert banner
    assert shown == []


CONTRAST = """
const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b; };
const rgb = s => s.match(/[\\d.]+/g).map(Number);
const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
const poor = [];
for (const e of document.querySelectorAll('body *')) {
  const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!text || e.closest('svg, .unseen, script, style, template') || !e.checkVisibility()) continue;
  const a = lum(rgb(getComputedStyle(e).color).slice(0, 3)), b = lum(ground(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) poor.push(`${e.className || e.tagName}: ${ratio.toFixed(2)} ${e.textContent.trim().slice(0, 30)}`);
}
return [...new Set(poor)];
"""
SMALL = """
const small = [];
for (const e of document.querySelectorAll('body *')) {
  const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!text || e.closest('.unseen, script, style, template') || !e.checkVisibility() || e.tagName === 'title') continue;
  const svg = e.closest('svg');
  const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
  const size = parseFloat(getComputedStyle(e).fontSize) * scale;
  if (size < 9) small.push(`${e.tagName} ${size.toFixed(1)} ${e.textContent.trim().slice(0, 30)}`);
}
return [...new Set(small)];
"""
