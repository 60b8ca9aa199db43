"""A flame graph as one SVG that any browser shows: each box is a function, as wide as it took, below what called it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

WIDTH, ROW = 1600, 17
CHARACTER = 6.6
"""Pixels of one in the font below."""
NARROWEST = 0.3
Stack = tuple[Sequence[str], float]
"""Names, the outermost first, and seconds."""


@dataclass
class _Box:
    seconds: float = 0.0
    inner: dict[str, _Box] = field(default_factory=dict)

    def depth(self) -> int:
        return 1 + max((box.depth() for box in self.inner.values()), default=0)


def svg(title: str, stacks: Iterable[Stack]) -> str:
    """Return the graph of some stacks; a box says its name, its milliseconds and its share when it is pointed at."""
    root = _Box()
    for names, seconds in stacks:
        box = root
        box.seconds += seconds
        for name in names:
            box = box.inner.setdefault(name, _Box())
            box.seconds += seconds
    height = (root.depth() + 1) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="11">'
    ]
    if root.seconds:
        _draw(parts, title, root, 0.0, 0, root.seconds)
    return "\n".join([*parts, "</svg>\n"])


def _draw(parts: list[str], name: str, box: _Box, left: float, row: int, all_seconds: float) -> None:
    width = box.seconds / all_seconds * WIDTH
    if width < NARROWEST:
        return
    top = row * ROW
    about = f"{name}: {box.seconds * 1000:.1f} ms, {box.seconds / all_seconds:.1%}"
    short = name[: int(width / CHARACTER)] if width > 3 * CHARACTER else ""
    hue = crc32(name.partition(":")[0].encode()) % 360  # functions of a file have the same colour
    parts.append(
        f'<g><title>{escape(about)}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" '
        f'fill="hsl({hue},60%,75%)"/><text x="{left + 2:.1f}" y="{top + 12}">{escape(short)}</text></g>'
    )
    for inner_name, inner in sorted(box.inner.items(), key=lambda item: -item[1].seconds):
        _draw(parts, inner_name, inner, left, row + 1, all_seconds)
        left += inner.seconds / all_seconds * WIDTH
