"""A listener that imports cwltool in the scheduler, which forks the task processes of the LocalExecutor.

A task then finds it imported, and starts its command in milliseconds instead of seconds. ``[cwl] preload`` switches
it off.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Preload when a scheduler starts; a failure only costs the time that was to be saved."""
    from cwl_ui_plugin import config

    if "scheduler" not in sys.argv or not config.flag("preload"):
        return  # a component does not know yet what kind of job it is when it says that it starts
    try:
        from cwl_ui_plugin.cwl.execution import preload

        preload()
    except Exception:
        log.exception("cwltool could not be preloaded; each step will import it by itself")
