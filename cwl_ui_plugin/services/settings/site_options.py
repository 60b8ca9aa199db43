"""The switches of ``[cwl]`` that say what is trusted, what may run and how reports are sent, and where each is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.options import OPTIONS, Option
from cwl_ui_plugin.services import health, task_rules
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.variables import TRIGGER_KEY

SHOWN = (
    "require_signed_conf",
    "require_exp",
    "jwt_backend_user",
    "unsigned_trigger_user",
    "uploads_without_login",
    "allow_weak_keys",
    "require_container",
    "allowed_images",
    "allow_container_network",
    "allowed_hosts",
    "report_poll_interval",
    "keep_reports_days",
    "output_roots",
    "task_rules",
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
    warning: str = ""
    """What the value opens."""

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
        problem=" ".join(_PROBLEMS[option.name]()) if option.name in _PROBLEMS else "",
        warning=_WARNINGS[option.name]() if option.name in _WARNINGS else "",
    )


def _unsigned_warning() -> str:
    name = config.text("unsigned_trigger_user").strip()
    if not name:
        return ""
    if connection_and_keys.trigger_key().is_set:
        return f"Not used while the Variable {TRIGGER_KEY} is set: calls must be signed."
    return f"Whoever reaches this server may call {addresses.TRIGGERS} as {name}, without a login."


def _uploads_warning() -> str:
    if not config.flag("uploads_without_login"):
        return ""
    return "Who has a key for triggers, or may call without a login, may upload code that workers run."


_WARNINGS: dict[str, Callable[[], str]] = {
    "unsigned_trigger_user": _unsigned_warning,
    "uploads_without_login": _uploads_warning,
}
_PROBLEMS: dict[str, Callable[[], Iterable[str]]] = {
    "output_roots": lambda: [*config.root_problems().values(), *health.storage_problems()],
    "task_rules": task_rules.problems,
}
