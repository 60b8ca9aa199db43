"""Which calls of Airflow's own API start a run with a signature, and what is to be done before each."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TypeGuard

from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services.triggering import reserving
from cwl_ui_plugin.services.triggering.reserving import Use

_RUN = re.compile(r"/api/v\d+/dags/([^/]+)/dagRuns/?")
_RUN_OF_TASK = re.compile(r"/execution/(?:.*/)?dag-runs/([^/]+)/([^/]+)/?")
_BACKFILL = re.compile(r"/api/v\d+/backfills(/.*)?")
_ASSET = re.compile(r"/api/v\d+/assets/([^/]+)/materialize/?")


def reservation(path: str, body: object) -> Callable[[], Use | None] | None:
    """Return what reserves the use of the signature that a call brings, or refuses it; None for a call without.

    ``body`` is the JSON value that Airflow reads. What is returned asks the database, and raises ``ServiceError``.
    """
    if not isinstance(body, dict):
        return None
    conf, many = body.get("conf"), body.get("dag_run_conf")
    if _is_signed(conf):
        if run := _RUN.fullmatch(path):
            return partial(reserving.reserve, run[1], _text(body.get("dag_run_id")), conf)
        if run := _RUN_OF_TASK.fullmatch(path):
            return partial(reserving.reserve, run[1], run[2], conf)
        if asset := _ASSET.fullmatch(path):
            return partial(reserving.refuse_for_asset, asset[1])
    if _is_signed(many) and _BACKFILL.fullmatch(path):
        return partial(reserving.refuse_for_dag, _text(body.get("dag_id")))
    return None


def _is_signed(conf: object) -> TypeGuard[dict[str, object]]:
    return isinstance(conf, dict) and bool(conf.get(SIGNATURE))


def _text(value: object) -> str:
    """Return a text; what is none is refused by Airflow, and no signature is of it."""
    return value if isinstance(value, str) else ""
