"""A podman of the tests' own, and an image made from the machine's busybox: real containers without any registry.

Tests that ask for the fixture ``podman`` are left out, with the reason, where podman can't run. With CI=true it is an
error if podman is installed and the machine lets processes have namespaces, and it does not run nevertheless.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

IMAGE = "docker.io/library/busybox-of-the-tests:1"
BUSYBOX = Path("/bin/busybox")
IMAGE_FILE = "/etc/made-for"
"""A file that the image has and the machine has not."""
IMAGE_TEXT = "tests of cwl-ui-plugin\n"
MAX_FILES = 20_000
MAX_PROCESSES = 4096
PODMAN_SECONDS = 60
# As root without CAP_SYS_RESOURCE limits can't be raised; crun refuses hybrid cgroups, runc takes them; vfs needs no
# rights to mount, but copies the image; without a network of its own a container needs no plugins for it.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
"""
STORAGE_CONF = """
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class NoPodman(Exception):
    """Podman can't run here; ``is_expected`` where the machine does not allow it."""

    def __init__(self, reason: str, *, is_expected: bool) -> None:
        super().__init__(reason)
        self.is_expected = is_expected


@dataclass(frozen=True)
class Podman:
    """Where it is configured, and the environment that has it used."""

    folder: Path
    variables: dict[str, str]

    def run(self, *words: str) -> str:
        """Return what podman prints; raise CalledProcessError if it fails."""
        environment = {**os.environ, **self.variables}
        return subprocess.run(
            ["podman", *words], env=environment, check=True, capture_output=True, text=True, timeout=PODMAN_SECONDS
        ).stdout

    def containers(self) -> list[str]:
        """Return the ids of all containers, running or not."""
        return self.run("ps", "--all", "--quiet", "--no-trunc").split()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """A podman that has the image :data:`IMAGE`; it leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="cwl-podman-"))  # short: it is part of the paths of sockets
    try:
        yield make_podman(folder)
    except NoPodman as reason:
        if os.environ.get("CI") == "true" and not reason.is_expected:
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    finally:
        clear(folder)


def clear(folder: Path) -> None:
    """Remove a podman of the tests, with the containers that a failed test has left."""
    if (folder / "containers.conf").exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            Podman(folder, _variables(folder)).run("rm", "--all", "--force", "--time", "0")
    shutil.rmtree(folder, ignore_errors=True)


def make_podman(folder: Path, driver: str = "vfs") -> Podman:
    """Configure podman in a folder, make the image, and see that a container runs; raise :class:`NoPodman`."""
    if os.geteuid() != 0:
        raise NoPodman("containers are tested as root only", is_expected=True)
    missing = [name for name in ("podman", "runc", "busybox") if not shutil.which(name)]
    if missing:
        raise NoPodman(f"not installed: {', '.join(missing)} (see tests/system-packages.sh)", is_expected=True)
    if _fails("unshare", "--mount", "--pid", "--net", "--fork", "true"):
        raise NoPodman("this machine lets processes have no namespaces", is_expected=True)
    made = Podman(folder, _configure(folder, driver))
    try:
        make_image(made)
        made.run("run", "--rm", "--net=none", IMAGE, "true")
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", "")
        raise NoPodman(f"podman does not run here: {error} {said}", is_expected=False) from error
    return made


def make_image(podman: Podman) -> None:
    """Import a root file system with busybox and its applets."""
    root = podman.folder / "root"
    for name in ("bin", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / IMAGE_FILE.lstrip("/")).write_text(IMAGE_TEXT)
    archive = shutil.make_archive(str(podman.folder / "root"), "tar", root)
    podman.run("import", "--quiet", archive, IMAGE)


def _configure(folder: Path, driver: str) -> dict[str, str]:
    limits = {"files": MAX_FILES, "processes": MAX_PROCESSES}
    for name, number in (("files", resource.RLIMIT_NOFILE), ("processes", resource.RLIMIT_NPROC)):
        most = resource.getrlimit(number)[1]
        limits[name] = limits[name] if most == resource.RLIM_INFINITY else min(limits[name], most)
    (folder / "containers.conf").write_text(CONTAINERS_CONF.format(folder=folder, **limits))
    (folder / "storage.conf").write_text(STORAGE_CONF.format(folder=folder, driver=driver))
    return _variables(folder)


def _variables(folder: Path) -> dict[str, str]:
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }


def _fails(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode != 0
    except OSError:
        return True
