"""One real Airflow for each auth manager, shared by all tests that can share it, and which tests run side by side.

Tests of a *group* run one after the other in one process: what shares a server or the containers is a group, and so is
each other module. With pytest-xdist the groups are dealt out to processes, those that take longest first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from support.airflow_server import Server, standalone
from support.browsers import has_browser
from support.scale_out import Cluster, celery_cluster
from support.separate_workers import SeparateWorkers, separate_cluster

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

USERS = ("the-viewer:viewer", "the-user:user", "another-user:user", "the-op:op", "the-admin:admin")
UNLIMITED = {"AIRFLOW__FAB__AUTH_RATE_LIMITED": "False"}
"""FabAuthManager takes 5 logins in 40 seconds from an address: tests that follow each other fast are more."""
ELSEWHERE = "127.0.0.2"
"""An address of this machine that stands for a host on the network from which the servers may fetch."""
STORE_CONNECTION = "the_object_store"
"""A Connection that a test makes; the servers read the bucket ``sequencing`` with it, and may deliver to ``results``
in it."""
FETCHING = {
    "AIRFLOW__CWL__FETCH_HOSTS": f"{ELSEWHERE}:*",
    "AIRFLOW__CWL__STORAGE_ROOTS": f"s3://{STORE_CONNECTION}@sequencing",
    "AIRFLOW__CWL__OUTPUT_ROOTS": f"s3://{STORE_CONNECTION}@sequencing/results",
}
SIMPLE, FAB, PODMAN, CELERY, MORTAL, SEPARATE = "simple", "fab", "podman", "celery", "mortal", "separate"
FIRST = (SIMPLE, FAB)
"""The groups that take longest: they are not what the others wait for at the end."""
LAST = (
    PODMAN,
    CELERY,
    MORTAL,
    SEPARATE,
    "test_kubernetes.py",
    "test_slurm.py",
    "test_wheel.py",
    "test_only_signed.py",
    "test_chaos.py",
    "test_command_line.py",
    "test_telemetry.py",
)
"""Those with servers of their own, the longest first: what most is proven by comes before, should time not suffice."""
_SHARED_FOLDERS = ("e2e", "security")
_OWN_SERVER = (
    "test_kubernetes.py",
    "test_slurm.py",
    "test_only_signed.py",
    "test_chaos.py",
    "test_command_line.py",
    "test_telemetry.py",
)
_GROUPS = {
    **dict.fromkeys(_OWN_SERVER),
    **dict.fromkeys(("test_containers.py", "test_podman.py", "test_recovery.py"), PODMAN),
    **dict.fromkeys(("test_executors.py", "test_scale_out.py"), CELERY),
    **dict.fromkeys(("test_separate_workers.py", "test_separate_values.py"), SEPARATE),
    **dict.fromkeys(("test_standalone.py", "test_watched_folder.py"), MORTAL),
}
"""The groups of modules by their names; where there is none, the module is one."""
CLUSTER = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor,LocalExecutor",
    "AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME": "15",
    "AIRFLOW__CWL__SCATTER_MAX_TASKS": "1000",
    "AIRFLOW__CWL__STOP_GRACE": "2",
    "AIRFLOW__CWL__TASK_RULES": """[
  {"when": {"cores": 2, "dag_id": "routed"}, "set": {"executor": "LocalExecutor", "priority_weight": 5}},
  {"when": {"scatter": true, "dag_id": "routed*"}, "set": {"executor": "LocalExecutor"}},
  {"when": {"profile": "quick"}, "set": {"execution_timeout": 5, "retries": 0}},
  {"when": {"dag_id": "routed"}, "set": {"max_active_runs": 3}}
]""",
}
"""What the cluster with Celery workers is started with."""
_WITH_FAB = re.compile(r"\[(.*-)?fab(-.*)?\]$")


T = TypeVar("T")


def group_of(nodeid: str) -> str:
    """Return the group of a test, such as ``tests/e2e/test_roles.py::test_pages[fab-Viewer]``."""
    path, _, name = nodeid.partition("::")
    module = PurePosixPath(path)
    if module.name in _GROUPS:
        return _GROUPS[module.name] or module.name
    if module.parent.name not in _SHARED_FOLDERS:
        return path
    return FAB if _WITH_FAB.search(name) else SIMPLE


def _rank(group: str) -> int:
    name = PurePosixPath(group).name
    if name in FIRST:
        return FIRST.index(name)
    return len(FIRST) + 1 + LAST.index(name) if name in LAST else len(FIRST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a group side by side: the longest first, then those that share a browser, at last ``LAST``."""
    groups = {item: group_of(item.nodeid) for item in items}
    seen = {group: number for number, group in enumerate(dict.fromkeys(groups.values()))}
    browsing = {group for item, group in groups.items() if has_browser(item)}
    items.sort(key=lambda item: (_rank(groups[item]), groups[item] not in browsing, seen[groups[item]]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Deal out groups: pytest-xdist's own mark for groups does nothing with pytest 9."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Groups(config, log)


class SharedServers:
    """The servers that run now, by the name of what shares them."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[Any, ExitStack]] = {}

    def get(self, name: str, start: Callable[[], AbstractContextManager[T]]) -> T:
        """Return the server of a name; the first who asks starts it."""
        if name not in self._running:
            stack = ExitStack()
            self._running[name] = (stack.enter_context(start()), stack)
        server: T = self._running[name][0]
        return server

    def stop_all(self) -> None:
        """Stop them: an idle server slows the tests of others."""
        while self._running:
            self._running.popitem()[1][1].close()


shared_servers = SharedServers()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the servers of a group when its last test has run."""
    if nextitem is None or group_of(nextitem.nodeid) != group_of(item.nodeid):
        shared_servers.stop_all()


@pytest.fixture(scope="session", autouse=True)
def _no_server_left() -> Iterator[None]:
    """Stop them also where the tests break off."""
    yield
    shared_servers.stop_all()


def shared_site(auth: str, factory: pytest.TempPathFactory) -> Server:
    """Return the server with an auth manager, which has the same users as the other besides its first."""
    users = [part for user in USERS for part in ("--add-user", user)]
    home = factory.mktemp(auth) / "home"
    return shared_servers.get(auth, partial(standalone, home, auth, *users, **UNLIMITED, **FETCHING))


@contextmanager
def _loose(factory: pytest.TempPathFactory) -> Iterator[Server]:
    before = os.umask(0)
    try:
        with standalone(factory.mktemp("mortal") / "home", FAB) as running:
            os.umask(before)
            yield running
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The shared server with SimpleAuthManager."""
    return shared_site(SIMPLE, tmp_path_factory)


@pytest.fixture(scope="module", params=[SIMPLE, FAB])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Each of the shared servers in turn."""
    return shared_site(request.param, tmp_path_factory)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server whose processes are killed; it was started where everybody may read and write what programs make."""
    return shared_servers.get(MORTAL, partial(_loose, tmp_path_factory))


@pytest.fixture(scope="module")
def scaled_out(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Airflow on PostgreSQL and Redis with two Celery workers; its scheduler has the LocalExecutor, too."""
    folder = tmp_path_factory.mktemp("cluster")
    return shared_servers.get(CELERY, partial(celery_cluster, folder, ("worker-a", "worker-b"), **CLUSTER))


@pytest.fixture(scope="module")
def separate(tmp_path_factory: pytest.TempPathFactory) -> SeparateWorkers:
    """Airflow on PostgreSQL and Redis with two Celery workers that share no folder with it, nor with each other."""
    return shared_servers.get(SEPARATE, partial(separate_cluster, tmp_path_factory.mktemp("separate")))
