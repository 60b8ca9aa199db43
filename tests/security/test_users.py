"""Another user of the machine, and another user's process: what the operating system keeps from them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from support.cast import RUN, SHOWN, Site

pytestmark = pytest.mark.e2e
STRANGER = 65_431
"""A user and a group that own nothing on this machine."""


@pytest.fixture(autouse=True)
def once(site: Site) -> None:
    if site.auth != "simple":
        pytest.skip("the same under each auth manager")


def as_stranger(*command: str | Path) -> subprocess.CompletedProcess[str]:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    ids = [f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--no-new-privs"]
    return subprocess.run(
        ["setpriv", *ids, *map(str, command)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def reachable(site: Site) -> Path:
    """The home, the way to which is open to all for the time of a test: only its own rights keep others out."""
    home = site.server.home
    closed = [folder for folder in home.parents if not folder.stat().st_mode & 0o001]
    for folder in closed:
        folder.chmod(folder.stat().st_mode | 0o001)
    assert as_stranger("test", "-x", home.parent).returncode == 0
    return home


def test_no_other_user_reads_or_writes_the_home(reachable: Path) -> None:
    targets = (
        "",
        "secrets.json",
        "passwords.json",
        "airflow.db",
        "logs/api-server.log",
        f"cwl/outputs/{SHOWN}/{RUN}/out.txt",
    )
    for name in (*targets, "cwl/inputs", "cwl/tmp", "cwl/tmp/.control", "cwl/workflows", "dags", "plugins"):
        for how in ("-r", "-w", "-x"):
            assert as_stranger("test", how, reachable / name).returncode != 0, f"{how} {name}"


def test_folders_that_hold_data_are_closed_by_themselves_too(reachable: Path) -> None:
    """Should somebody open the home, what is in it stays closed."""
    mode = reachable.stat().st_mode
    reachable.chmod(0o755)
    try:
        for name in ("secrets.json", "passwords.json", "airflow.db", "logs/api-server.log", "cwl/tmp/.control"):
            for how in ("-r", "-w"):
                assert as_stranger("test", how, reachable / name).returncode != 0, f"{how} {name}"
    finally:
        reachable.chmod(mode)


def test_no_other_user_reads_the_environment_of_the_server(site: Site) -> None:
    environment = Path(f"/proc/{site.server.pid}/environ")
    assert environment.read_bytes()
    assert as_stranger("cat", environment).returncode != 0


def test_no_port_is_open_to_other_machines(site: Site) -> None:
    """Whatever process of the server listens, it listens on the loopback interface."""
    inodes = {inode: address for address, inode in listening()}
    ours = [pid for pid in Path("/proc").glob("[0-9]*") if str(site.server.home) in environment_of(pid)]
    assert ours
    open_ports = set()
    for process in ours:
        for descriptor in (process / "fd").glob("*"):
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            inode = target.removeprefix("socket:[").removesuffix("]")
            if inode in inodes and not inodes[inode].startswith(("127.", "::1")):
                open_ports.add(inodes[inode])
    assert open_ports == set()


def environment_of(process: Path) -> str:
    try:
        return (process / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def listening() -> list[tuple[str, str]]:
    """Return address and inode of each socket that listens, as proc(5) describes /proc/net/tcp."""
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                words = bytes.fromhex(fields[1].partition(":")[0])
                raw = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.append((socket.inet_ntop(family, raw), fields[9]))
    return found
