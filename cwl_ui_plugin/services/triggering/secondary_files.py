"""Which secondary files belong to the files of a job, for those who send them."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cwl_ui_plugin.cwl.engine.secondary_names import names_secondary_files, secondary_locations
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.services.errors import InvalidJob, NotFound, Unavailable
from cwl_ui_plugin.services.workflows.details import readable_documents, stored_version

AT_ONCE = 2
WAIT_SECONDS = 60.0
_places = threading.BoundedSemaphore(AT_ONCE)


def secondary_files(dag_id: str, job: Mapping[str, object]) -> list[str]:
    """Return the locations that the patterns of a workflow name for the files of a job; nothing is looked up there.

    Raises:
        NotFound: no such workflow.
        InvalidJob: the job does not fit, or an expression fails.
        Unavailable: too many ask at the same time, or the compiled documents can't be read.

    """
    version = stored_version(dag_id)
    if version is None:
        raise NotFound(f"There is no CWL workflow {dag_id!r}.")
    with readable_documents(dag_id):
        compiled = version.compiled
        if not names_secondary_files(compiled):
            return []
    inputs = {name: value for name, value in job.items() if ":" not in name}
    if not _places.acquire(timeout=WAIT_SECONDS):
        raise Unavailable("Too many ask for secondary files at the moment. Try again.")
    try:
        return secondary_locations(compiled, version.source, inputs)
    except JobError as error:
        raise InvalidJob(error.message, error.problems) from error
    finally:
        _places.release()
