"""Usage as a drawing: an area for the cores, another for the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.monitoring.resource_usage import Usage

WIDTH, HEIGHT = 1000, 120


@dataclass(frozen=True)
class Area:
    """A filled line; ``top`` is what its highest point stands for."""

    name: str
    kind: str
    top: str
    path: str


def areas(usage: Usage) -> tuple[Area, Area]:
    """Return the drawings of the cores and of the memory."""
    most_cores, most_memory = max(usage.cores), max(usage.memory)
    return (
        Area("CPU", "cpu", f"{most_cores:.1f} cores", _path(usage.cores, most_cores)),
        Area("Memory", "memory", bytes_text(most_memory), _path(usage.memory, most_memory)),
    )


def _path(values: Sequence[float], most: float) -> str:
    """Return the outline of an area in steps, from left to right and back along the bottom."""
    width = WIDTH / len(values)
    parts = [f"M0 {HEIGHT}"]
    height = -1.0
    for number, value in enumerate(values):
        y = HEIGHT - (HEIGHT - 2) * value / most if most else HEIGHT
        if y != height:
            parts.append(f"H{number * width:.1f}V{y:.1f}")
            height = y
    return "".join([*parts, f"H{WIDTH}V{HEIGHT}Z"])
