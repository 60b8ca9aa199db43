"""What ``[cwl]`` says of containers: which engine runs them, from which images, and with what network."""

from __future__ import annotations

import json
import math

from cwl_ui_plugin.config import SECTION, ConfigError, flag, number, text

CONTAINER_ENGINES = ("auto", "docker", "podman", "singularity", "udocker", "none")


def allowed_images() -> tuple[str, ...]:
    """Return the patterns of images that tools may run in; none allow every image."""
    value = text("allowed_images").strip()
    if not value.startswith("["):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        patterns = json.loads(value)
    except ValueError as error:
        raise ConfigError(f"[{SECTION}] allowed_images must be a list with commas, or JSON: {error}.") from None
    if not patterns or not all(isinstance(pattern, str) and pattern.strip() for pattern in patterns):
        raise ConfigError(f"[{SECTION}] allowed_images must be a list of names, not {value}.")
    return tuple(pattern.strip() for pattern in patterns)


def allow_container_network() -> bool:
    """Whether containers get the network that their document asks for."""
    value = text("allow_container_network").strip().lower()
    if value not in ("", "true", "false", "1", "0", "t", "f"):
        raise ConfigError(f"[{SECTION}] allow_container_network must be True, False or empty, not {value!r}.")
    return value in ("true", "1", "t") if value else not flag("require_container")


def container_engine() -> str:
    """Return one of :data:`CONTAINER_ENGINES`; ``use_container = False`` means ``none``."""
    if not flag("use_container"):
        return "none"
    engine = text("container_engine").strip().lower()
    if engine not in CONTAINER_ENGINES:
        raise ConfigError(
            f"[{SECTION}] container_engine must be one of {', '.join(CONTAINER_ENGINES)}, not {engine!r}."
        )
    return engine


def container_engine_timeout() -> float:
    """Return how many seconds a container engine is waited for."""
    seconds = number("container_engine_timeout")
    if not 0 < seconds < math.inf:
        raise ConfigError(f"[{SECTION}] container_engine_timeout must be a number of seconds above 0.")
    return seconds
