"""The switches of ``[cwl]`` that say what is trusted, what may run and how reports are sent, and where each is set."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin import config
from cwl_ui_plugin.options import OPTIONS, Option

SHOWN = (
    "require_signed_conf",
    "require_exp",
    "jwt_backend_user",
    "allow_weak_keys",
    "require_container",
    "allowed_images",
    "allow_container_network",
    "allowed_hosts",
    "report_poll_interval",
    "keep_reports_days",
    "output_roots",
)
_SOURCES = {"env var": "environment", "cmd": "command", "secret": "secret", "airflow.cfg": "airflow.cfg"}


@dataclass(frozen=True)
class Switch:
    """An option: its value, where that comes from, and what it means. ``variable`` is its name in the environment."""

    name: str
    value: str
    source: str
    description: str
    variable: str
    problem: str = ""
    """Why the value, or a part of it, is of no use."""

    @property
    def is_default(self) -> bool:
        """Whether nobody has set it."""
        return self.source == "default"


def switches() -> list[Switch]:
    """Return the switches, as this API server sees them."""
    from airflow.configuration import conf

    section = conf.as_dict(display_source=True, display_sensitive=True).get(config.SECTION, {})
    described = {option.name: option for option in OPTIONS}
    return [_switch(described[name], section.get(name)) for name in SHOWN]


def _switch(option: Option, found: object) -> Switch:
    value, source = found if isinstance(found, tuple) else (option.default, "default")
    return Switch(
        name=option.name,
        value=str(value),
        source=_SOURCES.get(str(source), "default"),
        description=option.description,
        variable=f"AIRFLOW__{config.SECTION.upper()}__{option.name.upper()}",
        problem=" ".join(config.root_problems().values()) if option.name == "output_roots" else "",
    )
