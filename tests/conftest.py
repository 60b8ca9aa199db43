"""One Airflow home for the whole test process, set before anything imports Airflow."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import importlib.util
import itertools
import operator
import os
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("cwl_ui_client") is None:
    pytest.exit("setup.cfg has packages that this environment does not know yet: pip install --no-deps -e .", 4)

from support.migrated_database import migrated_database

from cwl_ui_plugin.signing.keys import KeyPair, generate_key_pair

pytest_plugins = [
    "support.stored",
    "support.failed_run",
    "support.podman",
    "support.pace",
    "support.browsers",
    "support.shared_servers",
    "support.compilers",
    "support.secondary_files",
]

HOME = Path(tempfile.mkdtemp(prefix="cwl-ui-plugin-tests-"))
DATABASE = HOME / "airflow.db"
BUNDLES = '[{"name": "cwl", "classpath": "cwl_ui_plugin.dags.bundle.CwlDagBundle", "kwargs": {}}]'
SETTINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{DATABASE}",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__CORE__AUTH_MANAGER": ("airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,op:op,user:user,viewer:viewer",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(HOME / "passwords.json"),
    "AIRFLOW__CORE__FERNET_KEY": "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",
    "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-the-tests-long-enough-for-hs512-signatures-0123456789",
    "AIRFLOW__API__SECRET_KEY": "another-secret-of-the-tests",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": BUNDLES,
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(HOME / "bundles"),
}
MARK = "CWL_UI_PLUGIN_TASK"
SECONDS_TO_RESET = 60
OF_A_TEST = (
    ("cwl_ui_plugin.services.triggering.refusals", "_recent", "_written"),
    ("cwl_ui_plugin.services.cleaning.cleanup", "_complained"),
    ("cwl_ui_plugin.dags.folders.control_files", "_complained"),
    ("cwl_ui_plugin.dags.wake_files", "_folder"),
    ("cwl_ui_plugin.reports.lookups", "_complaints"),
    ("cwl_ui_plugin.services.provenance.noting", "_put_aside"),
)
"""What the plugin remembers in a process, such as complaints that flood no log: a test finds nothing remembered."""
OF_A_MODULE = (("cwl_ui_plugin.services.granting", "_found"),)
"""What the plugin remembers of the database."""
os.environ.update(SETTINGS)
gc.set_threshold(50_000, *gc.get_threshold()[1:])  # few of the many objects of Airflow and cwltool are garbage
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell, for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start and end by Ctrl-C inherits it


def pytest_collection_finish() -> None:
    """Let no collection of garbage look again at what stays: modules, and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def airflow_home() -> Iterator[Path]:
    """The Airflow home of this test process, with a migrated SQLite database in it."""
    shutil.copy(migrated_database(), DATABASE)
    _let_databases_not_wait_for_disks()
    yield HOME
    shutil.rmtree(HOME, ignore_errors=True)


def _let_databases_not_wait_for_disks() -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def relax(connection: Any, _record: Any) -> None:
        if "sqlite" in type(connection).__module__:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.close()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """What is written outlives a killed process all the same. It would not a machine that fails, as no test's does."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _file: None)
        yield


_folder_numbers = itertools.count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own. pytest's own fixture looks through those of all tests before for a free number."""
    name = re.sub(r"\W", "_", request.node.name)[:26]
    return tmp_path_factory.mktemp(f"{name}_{next(_folder_numbers)}", numbered=False)


@pytest.fixture(scope="session")
def flask_app(airflow_home: Path) -> Any:
    """The Flask app that Airflow makes for plugins, with the simple auth manager."""
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.providers.fab.www.app import create_app

    init_auth_manager()
    return create_app(enable_plugins=True)


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest) -> KeyPair:
    """A key pair of the module's ``ALGORITHM``, of ES256 where it names none."""
    return _pair(getattr(request.module, "ALGORITHM", "ES256"))


_pair = functools.cache(generate_key_pair)
"""One of an algorithm will do for all modules: a pair of RSA takes a second."""


@pytest.fixture(scope="module", autouse=True)
def _database_of_its_own() -> Iterator[None]:
    """Let the tests of the next module find the database empty, whichever module that is."""
    yield
    if DATABASE.exists():
        _reset(DATABASE)
        _forget(OF_A_MODULE)


def _reset(database: Path) -> None:
    """Write the template over a database that is open; whoever holds a transaction too long is at fault."""
    deadline = time.monotonic() + SECONDS_TO_RESET

    def check(status: int, _left: int, _total: int) -> None:
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise TimeoutError("Something that a test of this module started holds a transaction open.")

    with closing(sqlite3.connect(migrated_database())) as template, closing(sqlite3.connect(database)) as target:
        target.execute("PRAGMA synchronous = OFF")
        template.backup(target, progress=check, sleep=0.01)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    yield
    _forget(OF_A_TEST)


def _forget(places: Iterable[tuple[str, ...]]) -> None:
    for module, *names in places:
        if module in sys.modules:
            operator.attrgetter(".".join(names))(sys.modules[module]).clear()


@pytest.fixture(autouse=True)
def unmarked() -> Iterator[None]:
    """Take back the mark that a task gives its process: all that later tests start would be found, and ended, by it."""
    before = os.environ.get(MARK)
    yield
    if before is None:
        os.environ.pop(MARK, None)
    else:
        os.environ[MARK] = before
