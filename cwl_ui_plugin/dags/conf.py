"""The conf of a run, as the tasks read it: ``{"job": {...}, "check_payload"?: "<JWT>", "cwl_grant"?: "<JWT>"}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin.cwl.errors import JobError

SIGNATURE = "check_payload"


@dataclass(frozen=True)
class RunConf:
    """What a run was asked for; what folders its job names is read by :mod:`cwl_ui_plugin.dags.folders.placement`."""

    job: dict[str, Any]


def read_conf(conf: dict[str, Any] | None) -> RunConf:
    """Read the conf of a run; raise :class:`JobError` if there is no job in it.

    Whether that run may do anything is another question, see :mod:`cwl_ui_plugin.dags.access.permits`.
    """
    job = (conf or {}).get("job", {})
    if not isinstance(job, dict):
        raise JobError('The conf must be {"job": {...}}, with the inputs of the workflow in "job".')
    return RunConf(job=job)
