"""Where CWL-Airflow before 1.2 had its callbacks."""

from cwl_ui_plugin_legacy.callbacks import (
    dag_on_failure,
    dag_on_success,
    task_on_failure,
    task_on_retry,
    task_on_success,
)

__all__ = ["dag_on_failure", "dag_on_success", "task_on_failure", "task_on_retry", "task_on_success"]
