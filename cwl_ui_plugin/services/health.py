"""Whether the plugin is set up in this Airflow."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.names import BUNDLE
from cwl_ui_plugin.services import task_rules

SERIALIZED_INTERVAL = ("core", "min_serialized_dag_update_interval")
NOT_MIGRATED = (
    "The plugin's tables are not those of this version: run `airflow db migrate`, then restart Airflow's components."
)
log = logging.getLogger(__name__)


def is_ready() -> bool:
    """Whether the database answers and the Dag bundle is configured: what an upload and a trigger need."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.session import create_session
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session(scoped=False) as session:
            session.execute(text("SELECT 1"))
        DagBundlesManager().get_bundle(BUNDLE)  # type: ignore[no-untyped-call]
    except (SQLAlchemyError, ValueError) as error:
        log.warning("Not ready: %s", error)
        return False
    return True


@dataclass(frozen=True)
class MissingSetting:
    """A setting of Airflow that the plugin needs, and that is not as it must be."""

    section: str
    name: str
    needed: str
    reason: str

    def __str__(self) -> str:
        return f"[{self.section}] {self.name} must be {self.needed}: {self.reason}. `cwl-ui-plugin init` sets it."


def problems() -> list[str]:
    """Return what is wrong with the set-up, for whoever runs Airflow."""
    overlaps = dict.fromkeys(config.root_problems().values())
    return [
        *([] if is_migrated() else [NOT_MIGRATED]),
        *map(str, missing_settings()),
        *overlaps,
        *storage_problems(),
        *task_rules.problems(),
    ]


def storage_problems() -> list[str]:
    """Return why places of object stores that the site names are none, and why browsers can't send to one."""
    from cwl_ui_plugin.fetching import site

    reads: tuple[Callable[[], object], ...] = (
        site.intermediate_root,
        site.destinations,
        site.uploads_root,
        site.workflows_root,
        config.uploads_origin,
        site.storage_rules,  # which reads other places, too
    )
    found: dict[str, None] = {}
    for read in reads:
        try:
            read()
        except config.ConfigError as error:
            found[str(error)] = None
    return list(found)


class _NotMigratedError(Exception):
    """The tables are of another version."""


def is_migrated() -> bool:
    """Whether the plugin's tables are those of this version; also if the database can't be asked now."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        _check_migrated()
    except _NotMigratedError:
        return False
    except SQLAlchemyError as error:
        log.debug("The version of the plugin's tables can't be told: %s", error)
    return True


@cache
def _check_migrated() -> None:
    """Raise unless the tables are those of this version; asked no more once they are."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import CwlDBManager

    with create_session(scoped=False) as session:
        if not CwlDBManager(session).check_migration():  # type: ignore[no-untyped-call]
            raise _NotMigratedError


def log_problems() -> None:
    """Log what is wrong with the set-up, when a server starts."""
    for problem in problems():
        log.warning("%s", problem)


def missing_settings() -> tuple[MissingSetting, ...]:
    """Return what is needed and not set; it asks Airflow's configuration only."""
    from airflow.configuration import conf

    missing = []
    section, name = SERIALIZED_INTERVAL
    if conf.getint(section, name, fallback=0) > 0:
        missing.append(
            MissingSetting(section, name, "0", "else a new version of a workflow is not known to Airflow for a while")
        )
    if not _has_bundle(conf.get("dag_processor", "dag_bundle_config_list", fallback="")):
        missing.append(
            MissingSetting(
                "dag_processor",
                "dag_bundle_config_list",
                f"a list with the bundle {BUNDLE!r}",
                "it turns uploaded workflows into Dags",
            )
        )
    return tuple(missing)


def _has_bundle(text: str) -> bool:
    try:
        return any(bundle.get("name") == BUNDLE for bundle in json.loads(text))
    except (ValueError, TypeError, AttributeError):
        return False
