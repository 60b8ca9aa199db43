"""Callbacks that Dag files have named: cwl-ui-plugin reports without them."""

from __future__ import annotations


def dag_on_success(*_arguments: object, **_options: object) -> None:
    """Do nothing."""


dag_on_failure = task_on_success = task_on_failure = task_on_retry = dag_on_success
