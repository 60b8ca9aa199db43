"""What every page is operated with: buttons and fields that can be seen, and menus, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, keep
from support.served import NARROW, fits

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
MIN_CONTRAST = 3.0
CONTROLS = (
    ".btn:not(:disabled, [aria-disabled=true]), .switch, input:is([type=text], [type=search], [type=number], "
    "[type=date], :not([type])), select, textarea"
)
CONTRASTS = """(selector) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const part = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const [red, green, blue] = rgb(color).slice(0, 3).map((value) => part(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgb(color)[3] === 255) return color;
    }
  };
  return [...document.querySelectorAll(selector)].filter((item) => item.checkVisibility()).map((item) => {
    const style = getComputedStyle(item);
    const edges = [style.borderTopColor, style.backgroundColor].filter((color) => rgb(color)[3] === 255);
    return [Math.max(0, ...edges.map((color) => ratio(color, behind(item)))), item.outerHTML.slice(0, 120)];
  });
}"""
MENU = """{% from "cwl_ui_plugin/macros.html" import menu %}<h1>Menus</h1>
<div class="scroll" tabindex="0" role="region" aria-label="Runs"><table><tr><td>one</td><td style="text-align: end">
{% call menu("", "one") %}<a href="#first">Compare with another run</a>
<button type="button" data-confirm="ask">Delete</button>
<button disabled>Stop</button><button class="danger" type="button">Remove</button>{% endcall %}
</td></tr></table></div><p>Elsewhere</p>
<div class="row">{% call menu() %}<a href="#other">Other</a>{% endcall %}
<button class="btn">Run</button><button class="btn" disabled>Run</button>
<button class="btn danger">Stop</button><button class="btn danger" aria-disabled="true">Stop</button>
<button class="btn outline">Edit</button></div>
<dialog id="ask" aria-label="Ask"><button class="btn outline" data-close>Cancel</button></dialog>"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_button_and_field_has_an_edge(open_page: OpenPage, workflow: str, run_id: str, scheme: str) -> None:
    run = urlencode({"dag_id": workflow, "run_id": run_id})
    page = open_page("/cwl/workflows", color_scheme=scheme, reduced_motion="reduce")
    root = page.url.removesuffix("/workflows")
    for path in ("/workflows", f"/workflows/{workflow}/run", f"/run?{run}", "/runs", "/settings"):
        page.goto(root + path)
        found = page.evaluate(CONTRASTS, CONTROLS)
        assert found
        assert [one for one in found if one[0] < MIN_CONTRAST] == [], path


@pytest.fixture
def menus(open_page: OpenPage, flask_app: Any) -> Page:
    page = open_page("/cwl/runs", viewport=NARROW)
    with flask_app.test_request_context("/cwl/runs"):
        html = flask_app.jinja_env.from_string(MENU).render()
    page.evaluate("(html) => document.querySelector('main').innerHTML = html", html)
    return page


def test_a_menu_by_keyboard(menus: Page) -> None:
    opener = menus.locator("summary").first
    items = menus.locator("details").first.locator(".menu-items")
    opener.focus()
    menus.keyboard.press("ArrowDown")
    expect(items.get_by_role("link")).to_be_focused()
    menus.keyboard.press("ArrowUp")
    expect(items.get_by_role("button", name="Remove")).to_be_focused()
    menus.keyboard.press("Escape")
    expect(items).to_be_hidden()
    expect(opener).to_be_focused()
    menus.keyboard.press("Enter")
    menus.keyboard.press("ArrowDown")
    menus.keyboard.press("ArrowDown")
    menus.keyboard.press("Enter")
    expect(menus.get_by_role("dialog", name="Ask")).to_be_visible()
    menus.keyboard.press("Escape")
    expect(opener).to_be_focused()  # not lost in a menu that is closed
    menus.keyboard.press("Enter")
    expect(items).to_be_visible()
    for _ in range(4):
        menus.keyboard.press("Tab")
    expect(items).to_be_hidden()


def test_a_menu_by_mouse(menus: Page) -> None:
    first, second = menus.locator("details").all()
    first.locator("summary").click()
    box = first.locator(".menu-items").bounding_box()
    opener = first.locator("summary").bounding_box()
    assert box and opener and box["x"] >= 0
    assert box["x"] + box["width"] == pytest.approx(opener["x"] + opener["width"], abs=1)
    assert fits(menus)
    first.get_by_role("button", name="Remove").click(trial=True)  # the table around it does not cut it off
    keep(menus, "menus")
    assert barriers(menus) == []
    second.locator("summary").click()
    expect(first.locator(".menu-items")).to_be_hidden()
    menus.get_by_text("Elsewhere").click()
    expect(second.locator(".menu-items")).to_be_hidden()
    first.locator("summary").click()
    first.get_by_role("link").click()
    expect(first.locator(".menu-items")).to_be_hidden()
    assert menus.url.endswith("#first")
