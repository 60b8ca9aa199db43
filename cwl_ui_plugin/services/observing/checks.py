"""Whether everything is as it has to be, each check with words what to do.

``fail``: uploads or runs can't work as it is; ``warn``: something is late, or will be short. The answer about health
has the status 503 as long as any check fails: for whoever decides where to send calls.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.dags.names import BUNDLE
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.library.errors import LibraryError, StoreAway
from cwl_ui_plugin.observing import stats
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.reports import pulse
from cwl_ui_plugin.services import health
from cwl_ui_plugin.services.observing import places
from cwl_ui_plugin.services.observing.bounded import TimedOut, answer_of, ask
from cwl_ui_plugin.services.observing.disks import FOLDERS, Disk, disk_of
from cwl_ui_plugin.storing.reading import StoredPlace

Status = Literal["ok", "warn", "fail"]
OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"
_ORDER = (OK, WARN, FAIL)
_lock = threading.Lock()
ANSWER_SECONDS = 5.0
"""How long a check may take; a network file system that hangs must not hang this answer."""
KEEP_SECONDS = 5.0
"""How long an answer is kept: whoever asks, the database is not asked more often."""
LATE_ROUND_SECONDS = 60.0
LATE_REPORT_SECONDS = 300.0
LOW_SHARE, LOW_BYTES = 0.05, 1024**3
FULL_BYTES = 64 * 1024**2
_WITHOUT_STORE = "Runs can't deliver, and outputs can't be read."


@dataclass(frozen=True)
class Check:
    """One check: ``message`` says what is wrong and what to do, or how it is; ``details`` are its figures."""

    name: str
    status: Status
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


def worst(checks: tuple[Check, ...]) -> Status:
    """Return the status of them all."""
    return max((check.status for check in checks), key=_ORDER.index, default=OK)


class _Kept:
    """The last answer, for some seconds."""

    checks: tuple[Check, ...] = ()
    until = 0.0


def checks() -> tuple[Check, ...]:
    """Return all checks, at most :data:`KEEP_SECONDS` old; whoever asks while they are made waits for these."""
    with _lock:
        if time.monotonic() >= _Kept.until:
            _Kept.checks = tuple(_made())
            _Kept.until = time.monotonic() + KEEP_SECONDS
        return _Kept.checks


def _made() -> Iterator[Check]:
    """Yield all checks. Those that load parts of Airflow are made one after the other: its imports go in circles."""
    for name, check in _OF_AIRFLOW.items():
        yield from _answered(name, ask(f"check {name}", check), ANSWER_SECONDS)
    asked = {name: ask(f"check {name}", check) for name, check in _OF_FOLDERS.items()}
    deadline = time.monotonic() + ANSWER_SECONDS
    for name, one in asked.items():
        yield from _answered(name, one, deadline - time.monotonic())


def forget() -> None:
    """Have the next call look anew."""
    _Kept.until = 0.0


def _answered(name: str, asked: Future[tuple[Check, ...]] | None, seconds: float) -> tuple[Check, ...]:
    try:
        return answer_of(asked, seconds)
    except TimedOut:
        if _is_in_store(name):
            message = f"The object store does not answer within {ANSWER_SECONDS:g} seconds. {_WITHOUT_STORE}"
            return (Check(name, WARN, message),)
        message = f"This can't be told: nothing answers within {ANSWER_SECONDS:g} seconds. See whether the disks hang."
    except (SQLAlchemyError, OSError) as error:
        message = f"This can't be told now: {str(error).splitlines()[0]}"
    except StoreAway as error:  # what this machine has goes on
        return (Check(name, WARN, str(error)),)
    except (config.ConfigError, LibraryError) as error:
        message = str(error)
    return (Check(name, FAIL, message),)


def _settings() -> tuple[Check, ...]:
    problems = [*health.problems(), *_token_problems()]
    if not problems:
        return (Check("settings", OK, "All needed settings of Airflow are set."),)
    is_fatal = bool(health.missing_settings()) or not health.is_migrated()
    return (Check("settings", FAIL if is_fatal else WARN, " ".join(problems), {"problems": problems}),)


def _token_problems() -> list[str]:
    try:
        config.metrics_token()
    except config.ConfigError as error:
        return [str(error)]
    return []


def _database() -> tuple[Check, ...]:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session(scoped=False) as session:
        session.execute(text("SELECT 1"))
    return (Check("database", OK, "The database answers."),)


def _bundle() -> tuple[Check, ...]:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    try:
        bundle: Any = DagBundlesManager().get_bundle(BUNDLE)  # type: ignore[no-untyped-call]
    except ValueError:
        return (Check("bundle", FAIL, "Airflow has no Dag bundle of CWL workflows. `cwl-ui-plugin init` adds it."),)
    bundle.initialize()
    current = bundle.files_version()
    stored = len(bundle.store.kept_manifest(current))
    with create_session(scoped=False) as session:
        row = session.get(DagBundleModel, BUNDLE)
        known = row.version if row else None
    details = {"version": current, "registered": known, "workflows": stored}
    if known == current:
        return (Check("bundle", OK, f"Airflow knows the newest version of the {stored} workflows.", details),)
    message = (
        "Airflow does not know the newest version of the workflows yet. If that stays, see whether its Dag processor "
        "runs, and what it logs."
    )
    return (Check("bundle", WARN, message, details),)


def _loops() -> tuple[Check, ...]:
    held = leases()
    return tuple(_loop(name, held.get(name)) for name in stats.LOOPS)


def leases() -> dict[str, datetime]:
    """Return until when each loop's lease is held."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import Lease

    with create_session(scoped=False) as session:
        return {row.name: row.expires_at for row in session.execute(select(Lease.name, Lease.expires_at))}


def _loop(name: str, until: datetime | None) -> Check:
    label = f"loop {name}"
    is_held = until is not None and until > datetime.now(timezone.utc)
    known = pulse.read_state(name)
    details: dict[str, object] = {"is_held": is_held}
    since_round = lag = math.inf
    if known is not None:
        state, seconds_ago = known
        since_round, lag = round(seconds_ago, 1), round(state.lag, 1)
        since = datetime.fromtimestamp(state.since, timezone.utc).isoformat(timespec="seconds")
        details |= {"host": state.host, "pid": state.pid, "since": since}
        details |= {"seconds_since_round": since_round, "lag_seconds": lag}
    if not is_held:
        return Check(
            label, WARN, "No API server does its rounds. One takes over within 20 seconds; else restart them.", details
        )
    if since_round > LATE_ROUND_SECONDS:
        return Check(
            label, WARN, "Its rounds don't come to an end. See the log of the API server that holds it.", details
        )
    if lag > LATE_ROUND_SECONDS:
        return Check(
            label, WARN, "Its rounds come late: that API server, or the database, has too much to do.", details
        )
    return Check(label, OK, f"{details['host']} does its rounds.", details)


def _reports() -> tuple[Check, ...]:
    from cwl_ui_plugin.services.settings import report_delivery

    state = report_delivery.delivery_state()
    seconds = age_of(state.oldest)
    details = {"waiting": state.waiting, "runs": state.runs, "oldest_seconds": round(seconds, 1)}
    if state.problem:
        return (Check("reports", WARN, f"No report can be sent: {state.problem}", details),)
    if seconds > LATE_REPORT_SECONDS:
        why = f" The last error: {state.last_error}" if state.last_error else ""
        return (Check("reports", WARN, f"Reports wait for the receiver; see whether it answers.{why}", details),)
    return (Check("reports", OK, f"{state.waiting} reports wait.", details),)


def age_of(moment: str | None) -> float:
    """Return how many seconds ago a moment (ISO 8601) was; 0 for none."""
    if moment is None:
        return 0.0
    return max(0.0, (datetime.now(timezone.utc) - datetime.fromisoformat(moment)).total_seconds())


def _disk(folder: str) -> tuple[Check, ...]:
    if store_paths.is_stored(place := FOLDERS[folder]()):
        return (_store(f"disk {folder}", place),)
    disk = disk_of(folder)
    details = {"path": str(disk.path), "free_bytes": disk.free, "total_bytes": disk.total}
    name = f"disk {folder}"
    if disk.problem:
        return (Check(name, FAIL, f"{disk.problem}. Make it usable, or set [cwl] {folder}_folder.", details),)
    left = f"{bytes_text(disk.free)} of {bytes_text(disk.total)} are free"
    if disk.free < FULL_BYTES:
        return (Check(name, FAIL, f"The disk is full: {left}. Remove files there.", details),)
    if _is_low(disk):
        return (
            Check(
                name, WARN, f"The disk will be full soon: {left}. Remove files, or keep them for less long.", details
            ),
        )
    return (Check(name, OK, f"{left}.", details),)


def _store(name: str, place: Path) -> Check:
    """See whether a store of outputs can be read; one that can't be is no reason to take a server out of service."""
    details = {"path": store_paths.text_of(place)}
    try:
        StoredPlace(place).entries("", most=1)
    except (FetchError, OSError) as error:
        return Check(name, WARN, f"{error} {_WITHOUT_STORE}", details)
    return Check(name, OK, "The object store answers.", details)


def _stores() -> tuple[Check, ...]:
    """See whether the stores that the site names can be looked into; where it names none, there is nothing to tell."""
    told = places.looked_into(0.8 * ANSWER_SECONDS)
    if not told:
        return ()
    wrong = [f"{one.name}: {one.problem}" for one in told if one.problem]
    details = {"places": [{"place": one.name, "problem": one.problem} for one in told]}
    if wrong:
        return (Check("stores", WARN, " ".join(wrong), details),)
    return (Check("stores", OK, f"Places of object stores that can be looked into: {len(told)}.", details),)


def _is_in_store(check: str) -> bool:
    """Whether a check asks an object store, by what the configuration says: disks that hang are not touched."""
    kind, _space, folder = check.partition(" ")
    return kind == "disk" and store_paths.path_of(config.text(f"{folder}_folder")) is not None


def _is_low(disk: Disk) -> bool:
    return disk.free < min(LOW_BYTES, LOW_SHARE * disk.total)


def _janitors() -> tuple[Check, ...]:
    seen = stop_orders.janitors()
    details = {"machines": [{"hosts": list(one.hosts), "seconds": round(one.seconds, 1)} for one in seen]}
    here = [one for one in seen if one.is_there]
    if not here:
        message = (
            "No worker has its janitor running, so that stops take as long as Airflow's heartbeats. Workers start one "
            "with themselves; a worker on Kubernetes has none between two tasks."
        )
        return (Check("janitors", WARN, message, details),)
    lost = [", ".join(one.hosts) for one in seen if not (one.is_there or one.is_relayed)]
    if lost:
        return (Check("janitors", WARN, f"Not heard of for a while: {'; '.join(lost)}. See these workers.", details),)
    return (Check("janitors", OK, f"Machines with a janitor: {len(here)}.", details),)


_Checks = dict[str, Callable[[], tuple[Check, ...]]]
_OF_AIRFLOW: _Checks = {
    "settings": _settings,
    "database": _database,
    "bundle": _bundle,
    "loops": _loops,
    "reports": _reports,
}
_OF_FOLDERS: _Checks = {
    **{f"disk {folder}": (lambda folder=folder: _disk(folder)) for folder in FOLDERS},  # type: ignore[misc]
    "janitors": _janitors,
    "stores": _stores,
}
