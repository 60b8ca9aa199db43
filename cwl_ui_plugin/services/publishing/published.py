"""Which workflows the site publishes to everybody, without a login (``[cwl] trs_published``)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from cwl_ui_plugin import config
from cwl_ui_plugin.services.stored_workflows import open_store


def patterns() -> tuple[str, ...]:
    """Return the patterns of names of workflows that are published; none by default."""
    return tuple(part.strip() for part in config.text("trs_published").split(",") if part.strip())


def is_published(dag_id: str) -> bool:
    """Whether everybody may read a workflow and its sources."""
    return any(fnmatchcase(dag_id, pattern) for pattern in patterns())


def published() -> set[str]:
    """Return all workflows that are published."""
    return {dag_id for dag_id in open_store().dag_ids() if is_published(dag_id)} if patterns() else set()
