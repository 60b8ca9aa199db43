"""One real Airflow for each auth manager, shared by all tests that can share it, and which tests run side by side.

Tests of a *group* run one after the other in one process: what shares a server is a group, and so is each other module.
With pytest-xdist the groups are dealt out to processes, those that take longest first.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from airflow_server import Server, standalone

ROLES = ("viewer", "user", "op", "admin")
FIRST = ("simple", "fab", "test_scale_out.py", "test_recovery.py", "test_wheel.py", "test_only_signed.py")
"""The groups that take longest: they are not what the others wait for at the end."""
SIMPLE, FAB, PODMAN = "simple", "fab", "podman"


class SharedServers:
    """The servers that run now, by auth manager; each has a user ``the-<role>`` for each role."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[Server, ExitStack]] = {}

    def get(self, auth: str, factory: pytest.TempPathFactory) -> Server:
        """Return the server with an auth manager; the first who asks starts it."""
        if auth not in self._running:
            users = [part for role in ROLES for part in ("--add-user", f"the-{role}:{role}")]
            stack = ExitStack()
            self._running[auth] = (stack.enter_context(standalone(factory.mktemp(auth) / "home", auth, *users)), stack)
        return self._running[auth][0]

    def stop(self, auth: str) -> None:
        """Stop it, if it runs: an idle server slows the tests of others."""
        if auth in self._running:
            self._running.pop(auth)[1].close()


_shared = SharedServers()


def group_of(item: pytest.Item) -> str:
    """Return the group of a test."""
    call = getattr(item, "callspec", None)
    auth = call.params.get("site") if call else None
    if auth in (SIMPLE, FAB):
        return str(auth)
    names = getattr(item, "fixturenames", ())
    if "fab_server" in names:
        return FAB
    if {"podman", "impatient"} & set(names):
        return PODMAN
    return SIMPLE if "server" in names else str(item.path.name)


def _rank(group: str) -> int:
    return FIRST.index(group) if group in FIRST else len(FIRST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a group side by side, and the groups that take longest first."""
    groups = {item: group_of(item) for item in items}
    seen = {group: number for number, group in enumerate(dict.fromkeys(groups.values()))}
    items.sort(key=lambda item: (_rank(groups[item]), seen[groups[item]]))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the server of a group when its last test has run."""
    group = group_of(item)
    if nextitem is None or group_of(nextitem) != group:
        _shared.stop(group)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The shared server with SimpleAuthManager."""
    return _shared.get(SIMPLE, tmp_path_factory)


@pytest.fixture(scope="module")
def fab_server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The shared server with FabAuthManager."""
    return _shared.get(FAB, tmp_path_factory)


@pytest.fixture(scope="module", params=[SIMPLE, FAB])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Each of the shared servers in turn."""
    return _shared.get(request.param, tmp_path_factory)
