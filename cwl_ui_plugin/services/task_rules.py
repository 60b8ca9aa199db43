"""What is wrong with the rules for tasks (``[cwl] task_rules``, ``queues``, ``pool``), for whoever runs Airflow."""

from __future__ import annotations

import logging

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.task_rules import configured_rules, pools_named

log = logging.getLogger(__name__)


def problems() -> list[str]:
    """Return what is wrong, in words: rules that can't be read, pools that Airflow does not have."""
    try:
        rules = configured_rules()
        config.queues()
    except config.ConfigError as error:
        return [str(error)]
    pools = dict.fromkeys([*pools_named(rules), *filter(None, [config.text("pool")])])
    return [
        f"Airflow has no pool {pool!r}, which [cwl] task_rules or [cwl] pool name: no task of it would ever start. "
        "Make it (Admin, Pools), or name another one."
        for pool in _unknown(list(pools))
    ]


def _unknown(pools: list[str]) -> list[str]:
    """Return those that Airflow does not have; none if its database can't be asked now."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    if not pools:
        return []
    try:
        with create_session(scoped=False) as session:
            known = set(session.scalars(select(Pool.pool).where(Pool.pool.in_(pools))))
    except SQLAlchemyError as error:
        log.debug("The pools can't be looked up: %s", error)
        return []
    return [pool for pool in pools if pool not in known]
