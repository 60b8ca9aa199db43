"""Which secondary files the patterns of a workflow name for the files of a job, wherever these files are.

cwltool itself is asked, in a process of its own that is bounded and knows nothing of this one's environment: patterns
may be expressions. Nothing is read there; every file counts as there, and what is looked for is noted.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from cwl_ui_plugin.cwl.errors import CwlError, JobError, Problem
from cwl_ui_plugin.cwl.files import file_objects
from cwl_ui_plugin.cwl.plan import START_DOCUMENT, step_document_text
from cwl_ui_plugin.interpreters import module_command

TIMEOUT_SECONDS = 60.0
MEMORY_BYTES = 2 * 1024**3
MAX_NAMES = 100_000
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")
_LAST_OUTPUT = 600


def names_secondary_files(compiled: Path) -> bool:
    """Whether any input of a compiled workflow has secondary files."""
    return '"secondaryFiles"' in step_document_text(compiled, START_DOCUMENT)


def secondary_locations(compiled: Path, source: Path, job: Mapping[str, object]) -> list[str]:
    """Return the locations that secondary files of the job's files would have, whether required or not.

    Raises:
        JobError: the job does not fit, or an expression fails or takes too long.

    """
    if not names_secondary_files(compiled):
        return []
    request = json.dumps({"compiled": str(compiled), "source": str(source), "job": job})
    with tempfile.TemporaryDirectory(prefix="cwl-secondary-") as folder:
        answer = _asked(request, folder)
    if "locations" in answer:
        return _beside(answer["locations"], {str(item["location"]) for item in _files_in(job)})
    raise JobError(answer["message"], tuple(Problem(**problem) for problem in answer["problems"]))


def _beside(found: list[str], primaries: set[str]) -> list[str]:
    """Return the locations beside files of the job; defaults of the workflow are the server's own."""
    folders = tuple(f"{location.rpartition('/')[0]}/" for location in primaries)
    return [location for location in found if location.startswith(folders) and location not in primaries]


def _files_in(node: object) -> Iterator[dict[str, object]]:
    return (item for item in file_objects(node) if item["class"] == "File" and isinstance(item.get("location"), str))


def _asked(request: str, folder: str) -> dict[str, Any]:
    variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    child = subprocess.Popen(
        module_command("cwl_ui_plugin.cwl.engine.secondary_names"),
        env={**variables, "HOME": folder, "TMPDIR": folder},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, complaints = child.communicate(request, timeout=TIMEOUT_SECONDS)
        answer: dict[str, object] = json.loads(output)
    except subprocess.TimeoutExpired:
        raise JobError(
            f"The secondary files that the workflow names could not be told within {TIMEOUT_SECONDS:.0f} seconds."
        ) from None
    except ValueError:
        raise JobError(
            f"The secondary files that the workflow names could not be told: {complaints.strip()[-_LAST_OUTPUT:]}"
        ) from None
    finally:
        _kill(child)
    return answer


def _kill(child: subprocess.Popen[str]) -> None:
    from cwl_ui_plugin.cwl.processes.task_processes import kill_session

    kill_session(child.pid)
    child.wait()


def _main() -> None:
    """Answer the request on standard input: ``{"locations": [...]}`` or ``{"message": ..., "problems": [...]}``."""
    answer_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(TIMEOUT_SECONDS), int(TIMEOUT_SECONDS)))
    json.dump(_answered(json.load(sys.stdin)), answer_to)
    answer_to.flush()


def _answered(request: dict[str, Any]) -> dict[str, object]:
    try:
        return {"locations": _looked_for(Path(request["compiled"]), Path(request["source"]), request["job"])}
    except CwlError as error:
        return {"message": error.message, "problems": [problem.as_json() for problem in error.problems]}
    except MemoryError:
        return {"message": "Telling the secondary files takes too much memory.", "problems": []}


def _looked_for(compiled: Path, source: Path, job: dict[str, object]) -> list[str]:
    from cwltool.stdfsaccess import StdFsAccess

    from cwl_ui_plugin.cwl.engine import execution
    from cwl_ui_plugin.cwl.engine.run_settings import RunSettings

    asked: dict[str, None] = {}

    class Nothing(StdFsAccess):
        """A file system where everything is there and has nothing in it."""

        def exists(self, location: str) -> bool:
            if len(asked) < MAX_NAMES:
                asked[location] = None
            return True

        def isfile(self, _location: str) -> bool:
            return True

        def isdir(self, _location: str) -> bool:
            return False

        def listdir(self, _location: str) -> list[str]:
            return []

        def size(self, location: str) -> int:
            raise FileNotFoundError(location)

        def open(self, _location: str, _mode: str) -> IO[bytes]:
            return io.BytesIO()

    folder, settings = Path(tempfile.gettempdir()), RunSettings("none", "")
    completed = execution.initial_job(compiled, source, job, folder, settings, Nothing).completed
    given = (str(item["location"]) for item in _files_in(completed))  # whole objects, by expressions
    return list(dict.fromkeys([*asked, *given]))[:MAX_NAMES]


if __name__ == "__main__":
    _main()
