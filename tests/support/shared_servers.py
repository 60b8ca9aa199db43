"""One real Airflow for each auth manager, shared by all tests that can share it, and which tests run side by side.

Tests of a *group* run one after the other in one process: what shares a server or the containers is a group, and so is
each other module. With pytest-xdist the groups are dealt out to processes, those that take longest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from support.airflow_server import Server, standalone

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

USERS = ("the-viewer:viewer", "the-user:user", "another-user:user", "the-op:op", "the-admin:admin")
UNLIMITED = {"AIRFLOW__FAB__AUTH_RATE_LIMITED": "False"}
"""FabAuthManager takes 5 logins in 40 seconds from an address: tests that follow each other fast are more."""
ELSEWHERE = "127.0.0.2"
"""An address of this machine that stands for a host on the network from which the servers may fetch."""
FETCHING = {"AIRFLOW__CWL__FETCH_HOSTS": f"{ELSEWHERE}:*"}
SIMPLE, FAB, PODMAN = "simple", "fab", "podman"
FIRST = (
    SIMPLE,
    FAB,
    PODMAN,
    "test_scale_out.py",
    "test_kubernetes.py",
    "test_slurm.py",
    "test_wheel.py",
    "test_only_signed.py",
    "test_chaos.py",
)
"""The groups that take longest: they are not what the others wait for at the end."""
_SHARED_FOLDERS = ("e2e", "security")
_OWN_SERVER = (
    "test_watched_folder.py",
    "test_scale_out.py",
    "test_kubernetes.py",
    "test_slurm.py",
    "test_executors.py",
    "test_only_signed.py",
    "test_chaos.py",
    "test_command_line.py",
    "test_telemetry.py",
)
_CONTAINERS = ("test_containers.py", "test_podman.py", "test_recovery.py")
_WITH_FAB = re.compile(r"\[(.*-)?fab(-.*)?\]$")


def group_of(nodeid: str) -> str:
    """Return the group of a test, such as ``tests/e2e/test_roles.py::test_pages[fab-Viewer]``."""
    path, _, name = nodeid.partition("::")
    module = PurePosixPath(path)
    if module.name in _CONTAINERS:
        return PODMAN
    if module.parent.name not in _SHARED_FOLDERS or module.name in _OWN_SERVER:
        return module.name if module.name in _OWN_SERVER else path
    return FAB if _WITH_FAB.search(name) else SIMPLE


def _rank(group: str) -> int:
    name = PurePosixPath(group).name
    return FIRST.index(name) if name in FIRST else len(FIRST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a group side by side, and the groups that take longest first."""
    groups = {item: group_of(item.nodeid) for item in items}
    seen = {group: number for number, group in enumerate(dict.fromkeys(groups.values()))}
    items.sort(key=lambda item: (_rank(groups[item]), seen[groups[item]]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Deal out groups: pytest-xdist's own mark for groups does nothing with pytest 9."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Groups(config, log)


class SharedServers:
    """The servers that run now, by auth manager; each has the same users besides its first."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[Server, ExitStack]] = {}

    def get(self, auth: str, factory: pytest.TempPathFactory) -> Server:
        """Return the server with an auth manager; the first who asks starts it."""
        if auth not in self._running:
            users = [part for user in USERS for part in ("--add-user", user)]
            stack, home = ExitStack(), factory.mktemp(auth) / "home"
            self._running[auth] = (stack.enter_context(standalone(home, auth, *users, **UNLIMITED, **FETCHING)), stack)
        return self._running[auth][0]

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The shared server with SimpleAuthManager."""
    return shared_servers.get(SIMPLE, tmp_path_factory)


@pytest.fixture(scope="module", params=[SIMPLE, FAB])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Each of the shared servers in turn."""
    return shared_servers.get(request.param, tmp_path_factory)
