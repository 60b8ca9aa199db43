"""Documentation of inputs as HTML: Markdown without anything that could harm the page around it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

MAX_LENGTH = 20_000
_WITHOUT = ["image"]
"""Pictures would be fetched from anywhere."""
_LEVELS_ABOVE = 2
"""Headings of a page that those of a text stand below: the page's own, and a section's."""
_LOWEST = 6


def to_html(text: str | None) -> Markup:
    """Return Markdown as HTML; HTML in it is shown as text, and links lead to http, https and mailto only."""
    if not text or not text.strip():
        return Markup()
    return Markup(_renderer().render(text[:MAX_LENGTH]))  # noqa: S704 - made by a renderer that escapes


@cache
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).disable(_WITHOUT)
    renderer.validateLink = _is_harmless  # type: ignore[method-assign]
    renderer.add_render_rule("link_open", _open_link)
    renderer.add_render_rule("heading_open", _demoted)
    renderer.add_render_rule("heading_close", _demoted)
    return renderer


def _is_harmless(url: str) -> bool:
    return url.strip().lower().startswith(("http://", "https://", "mailto:"))


def _demoted(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    tokens[index].tag = f"h{min(int(tokens[index].tag[1:]) + _LEVELS_ABOVE, _LOWEST)}"
    return str(renderer.renderToken(tokens, index, options, env))


def _open_link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(renderer.renderToken(tokens, index, options, env))
