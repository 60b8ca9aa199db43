"""Runs: started, watched, waited for, stopped; batches of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cwl_ui_client.errors import (
    NotFound,
    RunFailed,
    RunStopped,
    ServerError,
    Unreachable,
    UnsupportedWorkflow,
    UsageError,
)
from cwl_ui_client.models import Batch, Run, StopReport, run_of
from cwl_ui_client.steps import Answer, Flow, Request, get, path_of, post, run_path, workflow_path

FIRST_POLL_SECONDS = 0.1
MAX_POLL_SECONDS = 1.0
WAIT_SECONDS = 1.0
"""How long a server is asked to wait for the end of a run before it tells how far that is."""
STOP_SECONDS = 600.0
BATCH_SECONDS = 3600.0
_UNSUPPORTED = "unsupported"
Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Key:
    """What a trigger is signed with: a PEM text, and its algorithm.

    ``lifetime`` lets signatures expire after some seconds; ``bind_dag`` signs the dag_id, too: the signature then
    starts no other Dag. Servers may ask for both.
    """

    pem: str = field(repr=False)
    algorithm: str = "RS256"
    lifetime: float | None = None
    bind_dag: bool = False

    @classmethod
    def read(
        cls, path: str | Path, algorithm: str = "RS256", *, lifetime: float | None = None, bind_dag: bool = False
    ) -> Key:
        """Read the key from a file; raise :class:`UsageError` if that can't be."""
        try:
            return cls(Path(path).read_text(encoding="ascii"), algorithm, lifetime, bind_dag)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The key {path} can't be read: {error}.") from error


def new_run_id(prefix: str = "client") -> str:
    """Return a name for a run that no other has."""
    return f"{prefix}-{uuid.uuid4()}"


def start(dag_id: str, job: Mapping[str, object], *, run_id: str | None = None, key: Key | None = None) -> Flow[Run]:
    """Start a run of a job whose files the server sees; with a key, signed, so that no login is needed.

    Where the answer got lost, the run is looked for: it is never started twice.
    """
    run_id = run_id or new_run_id()
    body: dict[str, object] = {"run_id": run_id, "job": job}
    if key is not None:
        body = _signed(dag_id, run_id, job, key)
    try:
        answer = yield from post(f"{workflow_path(dag_id)}/runs", body)
        return run_of(answer)
    except Unreachable as error:
        if not error.sent:
            raise
        try:
            return (yield from get_run(dag_id, run_id))
        except ServerError:
            raise error from None


def _signed(dag_id: str, run_id: str, job: Mapping[str, object], key: Key) -> dict[str, object]:
    """Return the body of a signed trigger: a JWT over ``run_id`` and ``conf``, and as the key says ``dag_id``."""
    try:
        import jwt
    except ImportError as error:
        raise UsageError("To sign, install PyJWT: pip install cwl-ui-client[signing]") from error
    conf = json.dumps({"job": job})
    claims: dict[str, object] = {"run_id": run_id, "conf": conf}
    if key.bind_dag:
        claims["dag_id"] = dag_id
    if key.lifetime is not None:
        claims["exp"] = time.time() + key.lifetime
    try:
        token = jwt.encode(claims, key.pem, algorithm=key.algorithm)
    except Exception as error:  # cryptography and PyJWT raise many kinds
        raise UsageError(f"The key can't sign with {key.algorithm}: {error}") from error
    return {"run_id": run_id, "conf": conf, "check_payload": token}


def get_run(dag_id: str, run_id: str, *, wait: float = 0) -> Flow[Run]:
    """Return a run with its steps; with ``wait`` once it has ended, or after so many seconds.

    A server of an earlier version answers at once.
    """
    return run_of((yield from get(run_path(dag_id, run_id), {"wait": f"{wait:g}"} if wait else None)))


def list_runs(dag_id: str | None = None, **wanted: str) -> Flow[list[Run]]:
    """Return runs, newest first: ``text``, ``tag``, ``shown_state``, ``limit``, ``offset`` as in the REST API."""
    params = {**({"dag_id": dag_id} if dag_id else {}), **wanted}
    answer = yield from get("/runs", params)
    return [run_of(run) for run in answer["runs"]]


def stop(dag_id: str, run_id: str, *, remove: bool = False) -> Flow[StopReport]:
    """Stop a run, and wait until no process of it is left; with ``remove`` delete it, too. Twice is no error."""
    path = f"{run_path(dag_id, run_id)}/stop"
    answer = yield from post(path, {"remove": remove}, timeout=STOP_SECONDS, repeatable=True)
    return StopReport.of(answer)


def run_again(dag_id: str, run_id: str) -> Flow[Run]:
    """Start a run like an earlier one."""
    return run_of((yield from post(f"{run_path(dag_id, run_id)}/again")))


def go_on(dag_id: str, run_id: str) -> Flow[Run]:
    """Let a failed run go on: what failed, and what follows it, runs again."""
    yield from post(f"{run_path(dag_id, run_id)}/continue")
    return (yield from get_run(dag_id, run_id))


def log(
    dag_id: str, run_id: str, task_id: str, *, stream: Stream = "stderr", map_index: int = -1, try_number: int = 1
) -> Flow[str]:
    """Return what the command of a task has printed until now."""
    place = path_of(task_id, str(map_index), str(try_number), stream)
    answer: Answer = yield Request("GET", f"{run_path(dag_id, run_id)}/logs{place}", repeatable=True)
    return answer.body.decode("utf-8", "replace")


def start_batch(
    dag_id: str,
    sheet: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    constants: Mapping[str, object] | None = None,
    start: Literal["all", "good"] = "all",
    name: str = "",
) -> Flow[Batch]:
    """Start a run for each row of a sheet (CSV, TSV, XLSX) whose cells name files that the server sees.

    Raises:
        Invalid: rows are wrong, with a problem for each cell; nothing has started then.

    """
    path = Path(sheet)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    form: dict[str, str | tuple[str, bytes]] = {"sheet": (path.name, path.read_bytes()), "start": start}
    texts = {"mapping": mapping and json.dumps(mapping), "constants": constants and json.dumps(constants), "name": name}
    form |= {key: text for key, text in texts.items() if text}
    answer: Answer = yield Request("POST", f"{workflow_path(dag_id)}/batches", form=form, timeout=BATCH_SECONDS)
    made = answer.json()
    return (yield from get_batch(dag_id, made["batch_id"]))


def get_batch(dag_id: str, batch_id: str) -> Flow[Batch]:
    """Return a batch without its rows."""
    return Batch.of((yield from get(f"{workflow_path(dag_id)}/batches{path_of(batch_id)}", {"limit": "0"})))


def pauses(ceiling: float = MAX_POLL_SECONDS) -> Iterator[float]:
    """Yield for how long to wait before looking again: short at first."""
    pause = FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.3, ceiling)


def check_ending(run: Run) -> None:
    """Raise :class:`RunFailed` with what its steps have said, if a run that has ended did not succeed."""
    if run.state == "success":
        return
    if run.state == "stopped":
        raise RunStopped(f"{run.run_id} was stopped by {run.stopped_by or 'somebody'}.", run)
    failed = [step for step in run.steps if step.state == "failed"]
    ends = [step.stderr for step in failed if step.stderr]
    text = "\n".join([run.error or f"The run {run.run_id} failed.", *ends])
    if any(step.error_kind == _UNSUPPORTED for step in failed):
        raise UnsupportedWorkflow(text)
    raise RunFailed(text, run)


def exists(dag_id: str) -> Flow[bool]:
    """Tell whether the server has a workflow of this name that the user may see."""
    try:
        yield from get(workflow_path(dag_id))
    except NotFound:
        return False
    return True
