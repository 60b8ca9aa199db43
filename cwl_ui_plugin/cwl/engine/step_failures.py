"""From what cwltool raises and says while it runs a step to the :class:`StepError` that users are shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cwltool.errors import UnsupportedRequirement, WorkflowException
from schema_salad.exceptions import SchemaSaladException

from cwl_ui_plugin.cwl import complaints
from cwl_ui_plugin.cwl.engine.container_jobs import ImageUnavailable
from cwl_ui_plugin.cwl.engine.cwltool_internals import (
    NO_CONTAINER_TEXT,
)
from cwl_ui_plugin.cwl.engine.disk import DiskTooFull
from cwl_ui_plugin.cwl.engine.job_recorder import Recorder
from cwl_ui_plugin.cwl.engine.problems import problems_of
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import (
    Step,
)
from cwl_ui_plugin.cwl.temporary_errors import may_pass


@contextmanager
def ending_badly(step: Step, source: Path, recorder: Recorder | None = None) -> Iterator[None]:
    """Turn what cwltool raises while it runs a step into a :class:`StepError`."""
    recorder = recorder or Recorder(Path())
    try:
        yield
    except (SchemaSaladException, WorkflowException) as error:
        passes = isinstance(error, (DiskTooFull, ImageUnavailable)) or may_pass(error)
        status = "temporaryFail" if passes else "permanentFail"
        raise failure_of(step, recorder, error, status, _cause(error, source)) from error
    except OSError as error:
        status = "temporaryFail" if may_pass(error) else "permanentFail"
        raise failure_of(step, recorder, error, status, str(error)) from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # cwltool meets some values of a wrong type with Python's own errors
        cause = f"cwltool failed on its values with {error!r}"
        raise failure_of(step, recorder, error, "permanentFail", cause) from error


def _cause(error: Exception, source: Path) -> str:
    if complaints.is_of_expression(str(error)):
        return complaints.plain(str(error))
    return next((problem.message for problem in problems_of(error, source)), str(error))


def failure_of(step: Step, recorder: Recorder, error: Exception | None, status: str, cause: str = "") -> StepError:
    """Build the StepError of a failed step: in its words, and with a kind that says whether another try may help."""
    message = recorder.explain(cause)
    lost, kind = recorder.lost()
    if lost:
        message, status = f"{lost} ({message})", kind
    elif full := recorder.full_disk():
        message, status = f"{message} ({full})", "temporaryFail"
    elif recorder.is_in_trouble():
        status = "temporaryFail"
    if NO_CONTAINER_TEXT in message:
        message = (
            f"it needs a container ({step.container}), and this worker has no container engine: install docker, "
            "podman, singularity or udocker there, or see [cwl] container_engine"
        )
    elif not isinstance(error, UnsupportedRequirement):
        return StepError(
            f"Step {step.id}: {message}",
            kind=status,
            stderr=recorder.stderr_end(),
            exit_code=recorder.exit_code,
            command=recorder.command,
        )
    return StepError(f"Step {step.id}: {message}", kind="unsupported")
