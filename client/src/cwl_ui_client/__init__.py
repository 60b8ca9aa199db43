"""A client of cwl-ui-plugin: upload CWL workflows to an Airflow server, run them, fetch what they deliver.

    with Client.from_env() as client:
        result = client.run("align.cwl", {"reads": Path("reads.fq")}, outdir="results")

Modules are imported when they are asked for: the command ``cwl-ui-plugin`` uses some of them and has to start at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from cwl_ui_client.version import __version__

if TYPE_CHECKING:
    from cwl_ui_client.async_client import AsyncClient
    from cwl_ui_client.client import Client
    from cwl_ui_client.errors import (
        Conflict,
        CwlUiError,
        DownloadError,
        Forbidden,
        Invalid,
        NotFound,
        NotLoggedIn,
        RunFailed,
        RunStopped,
        ServerError,
        Unavailable,
        Unreachable,
        UnsupportedWorkflow,
        UsageError,
        WaitTimeout,
    )
    from cwl_ui_client.models import Batch, Progress, Result, Run, Step, StopReport, Workflow

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Conflict",
    "CwlUiError",
    "DownloadError",
    "Forbidden",
    "Invalid",
    "NotFound",
    "NotLoggedIn",
    "Progress",
    "Result",
    "Run",
    "RunFailed",
    "RunStopped",
    "ServerError",
    "Step",
    "StopReport",
    "Unavailable",
    "Unreachable",
    "UnsupportedWorkflow",
    "UsageError",
    "WaitTimeout",
    "Workflow",
    "__version__",
]
_PLACES = {
    **dict.fromkeys(__all__, "errors"),
    **dict.fromkeys(("Batch", "Progress", "Result", "Run", "Step", "StopReport", "Workflow"), "models"),
    "AsyncClient": "async_client",
    "Client": "client",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
