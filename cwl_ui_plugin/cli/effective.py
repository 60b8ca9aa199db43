"""What an option of Airflow is, and who has set it: the environment, airflow.cfg, or nobody.

Airflow writes all its defaults into the airflow.cfg that it makes, so a value there that is the default was set by
nobody. Nothing of Airflow is imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import yaml

from cwl_ui_plugin.cli.cfg_file import CfgFile

ENVIRONMENT = "environment"
FILE = "file"
DEFAULT = "default"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAILS = ("_CMD", "_SECRET")


@dataclass(frozen=True)
class Effective:
    """The value of an option; ``origin`` is one of ``environment``, ``file`` and ``default``."""

    value: str | None
    origin: str
    written: str | None = None
    """What stands in airflow.cfg, whether it counts or not."""


class Configuration:
    """The options of one Airflow, from its airflow.cfg (None where there is none) and its environment."""

    def __init__(self, cfg: CfgFile | None, environment: Mapping[str, str]) -> None:
        self._cfg = cfg
        self._environment = environment

    def get(self, section: str, name: str) -> Effective:
        """Return an option as Airflow takes it."""
        written = self._cfg.get(section, name) if self._cfg else None
        variable = variable_of(section, name)
        if variable in self._environment:
            return Effective(self._environment[variable], ENVIRONMENT, written)
        if written is None or same(written, default_of(section, name)):
            return Effective(written, DEFAULT, written)
        return Effective(written, FILE, written)

    def without_effect(self, section: str, name: str) -> list[str]:
        """Return the variables that look as if they set an option, and set only options that are secret."""
        variable = variable_of(section, name)
        return [f"{variable}{tail}" for tail in _TAILS if f"{variable}{tail}" in self._environment]


def variable_of(section: str, name: str) -> str:
    """Return the environment variable that sets an option."""
    return f"AIRFLOW__{section.upper()}__{name.upper()}"


def default_of(section: str, name: str) -> str | None:
    """Return Airflow's own default for an option; None where it has none."""
    option = (_described().get(section, {}).get("options") or {}).get(name) or {}
    default = option.get("default")
    return None if default is None else str(default).replace("{{", "{").replace("}}", "}").strip()


def same(value: str, other: str | None) -> bool:
    """Whether two values mean the same: numbers, and JSON of whatever layout, included."""
    if other is None:
        return not value.strip()
    return bool(_meaning(value) == _meaning(other))


def _meaning(value: str) -> object:
    try:
        return yaml.load(value, Loader=_LOADER)  # noqa: S506 - it is the safe one; JSON is YAML
    except yaml.YAMLError:
        return value.strip()


class _Option(TypedDict, total=False):
    default: object


class _Section(TypedDict, total=False):
    """A section of Airflow's description of its options."""

    options: dict[str, _Option] | None


@cache
def _described() -> dict[str, _Section]:
    spec = importlib.util.find_spec("airflow")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / "config_templates" / "config.yml"
        if path.is_file():
            found: dict[str, _Section] = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506
            return found
    return {}
