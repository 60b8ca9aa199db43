"""Files of a job that are on the network (http, https, drs): fetched before the first step, once for all runs.

::

    <tmp_folder>/.fetched/<key>/<name>     a file that was fetched; the key is made from address and checksum
    <tmp_folder>/.fetched/<key>.lock       held by the task that fetches it

Whoever knows the address may have the file, which may hold a key; no job can name it here, and nobody can list these
files. It is kept for ``[cwl] keep_fetched_days`` after its last use, and not asked for again meanwhile.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.cwl.jobs.types import is_remote

_WAIT_SECONDS = 0.2
_NAMELESS = "download"


def brought(job: Mapping[str, Any], check_stopped: Callable[[], None]) -> dict[str, Any]:
    """Return a checked job with all of its files here. ``check_stopped`` is called often; what it raises ends it.

    Raises:
        StepError: a file can't be fetched, or is not what its checksum says; ``temporaryFail`` where that may pass.
        OSError: it can't be written.

    """
    from cwl_ui_plugin.fetching.errors import FetchError

    try:
        return {name: _local(value, check_stopped) for name, value in job.items()}
    except FetchError as error:
        kind = "temporaryFail" if error.may_pass else "permanentFail"
        raise StepError(f"An input can't be fetched: {error}", kind=kind) from error


def _local(value: Any, check_stopped: Callable[[], None]) -> Any:
    if isinstance(value, list):
        return [_local(item, check_stopped) for item in value]
    if not isinstance(value, dict):
        return value
    here = {name: _local(item, check_stopped) for name, item in value.items()}
    if value.get("class") == "File" and is_remote(value.get("location")):
        path = _file(value["location"], here.pop("checksum", None), check_stopped)
        here |= {"location": path.as_uri(), "basename": value.get("basename") or path.name}
    return here


def _file(location: str, checksum: object, check_stopped: Callable[[], None]) -> Path:
    from cwl_ui_plugin.fetching.checksums import of_file_object

    expected = of_file_object(checksum) if checksum else {}
    key = hashlib.sha256(json.dumps([location, expected], sort_keys=True).encode()).hexdigest()
    folder = config.fetched_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder / f"{key}.lock", check_stopped):
        place = folder / key
        if not last_use.use(place, folder):
            _fetch(location, expected, place, check_stopped)
        return next(path for path in place.iterdir() if path.is_file())


def _fetch(location: str, expected: Mapping[str, str], place: Path, check_stopped: Callable[[], None]) -> None:
    from cwl_ui_plugin.fetching import drs, site
    from cwl_ui_plugin.fetching.fetch import fetch_file, name_in

    rules, url, headers, name = site.host_rules(), location, {}, None
    sums = dict(expected)
    if location.startswith(f"{drs.SCHEME}://"):
        found = drs.resolve(location, rules, site.document_limits())
        url, headers, name = found.url, dict(found.headers), found.name
        sums = {**found.checksums, **expected}
    if name is None or name_problem(name):
        name = name_in(url if name is None else location)
    made = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    made.mkdir()
    try:
        target = made / (_NAMELESS if name_problem(name) else name)
        options: dict[str, Any] = {"headers": headers, "checksums": sums}
        fetch_file(url, target, rules, site.input_limits(), on_chunk=lambda _size: check_stopped(), **options)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _held(lock: Path, check_stopped: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that another task may have for hours."""
    with lock.open("a") as file:
        while True:
            check_stopped()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_WAIT_SECONDS)
        yield
