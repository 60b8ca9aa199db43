"""A user without a mouse: what Tab does not reach can't be used, and what shows no focus can't be found."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

MAX_TABS = 150
FOCUSED = "(element) => element === element.ownerDocument.activeElement && element.ownerDocument.hasFocus()"
MARKED = """(element) => {
  if (element instanceof SVGElement) return true; // its shape has a thicker line
  const style = getComputedStyle(element);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
}"""


def reach(page: Page, target: Locator, key: str = "Tab") -> None:
    """Go to a control with the Tab key, as often as it takes; see that one can see where one is."""
    target.wait_for()
    for _ in range(MAX_TABS):
        if target.evaluate(FOCUSED):
            assert target.evaluate(MARKED), f"nothing shows that {target} has the focus"
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {target}")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Go to a control and press a key on it."""
    reach(page, target)
    page.keyboard.press(key)


def type_into(page: Page, target: Locator, text: str) -> None:
    """Go to a field and type, instead of what it has."""
    reach(page, target)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
