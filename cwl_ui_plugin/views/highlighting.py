"""Source text as lines of HTML: keywords in colour, nothing hidden, nothing endless."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

HIGHLIGHTED_CHARACTERS = 128 * 1024
HIGHLIGHTED_LINE = 400
"""Longer texts are shown without colours: a lexer may take time by the square of a line."""
MAX_LINE = 5000
MAX_LINES = 10_000
_LANGUAGES = {
    ".cwl": "yaml",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".json": "json",
    ".py": "python",
    ".js": "javascript",
    ".sh": "bash",
}
# Characters that make text look like another one: the direction of writing, and what has no width.
_UNSEEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def source_lines(text: str, name: str) -> list[Markup]:
    """Return the lines of a file as HTML, the first :data:`MAX_LINES` of them."""
    lines = [_cut(visible(line)) for line in _lines(text)[:MAX_LINES]]
    if sum(map(len, lines)) > HIGHLIGHTED_CHARACTERS or max(map(len, lines), default=0) > HIGHLIGHTED_LINE:
        return [escape(line) for line in lines]
    return _highlighted(lines, name)


def _lines(text: str) -> list[str]:
    """Return the lines as YAML counts them."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def visible(text: str) -> str:
    """Return the text with its unseen characters as their numbers."""
    return _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\t", "    "))


def _highlighted(lines: list[str], name: str) -> list[Markup]:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    if not lines:
        return []
    formatter = HtmlFormatter(nowrap=True, classprefix="hl-")
    html = highlight("\n".join(lines), _lexer(name), formatter)
    # Pygments escapes what it is given, and ends each span with its line.
    return [Markup(line) for line in html.split("\n")[: len(lines)]]  # noqa: S704


def _lexer(name: str) -> object:
    from pygments.lexers import get_lexer_by_name

    suffix = name[name.rfind(".") :].lower()
    return get_lexer_by_name(_LANGUAGES.get(suffix, "text"), stripnl=False)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} … ({len(line)} characters)"
