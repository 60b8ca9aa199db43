"""Images for the conformance suites, all the same: Debian with Python, made from Debian's packages, no registry."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.podman import NoPodman, Podman

RELEASE = "bookworm"
_PULLED = re.compile(r"[\"']?dockerPull[\"']?: *[\"']?([\w./:-]+)")


def images_of(suite: Path) -> list[str]:
    """Return the images that the documents of a suite pull."""
    texts = (path.read_text(errors="replace") for path in suite.rglob("*") if path.suffix in (".cwl", ".json", ".yml"))
    return sorted({name for text in texts for name in _PULLED.findall(text)})


def add_debian(podman: Podman, names: list[str], kept: Path) -> None:
    """Give podman an image with each of the names; ``kept`` is the archive that it is made from, made if missing."""
    if not kept.exists():
        _bootstrap(kept)
    first, *others = names
    podman.run("import", "--quiet", str(kept), first)
    for name in others:
        podman.run("tag", first, name)


def _bootstrap(archive: Path) -> None:
    if not shutil.which("debootstrap"):
        raise NoPodman("install debootstrap to make an image", is_expected=True)
    archive.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cwl-debian-") as folder:
        root = Path(folder) / "root"
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3", RELEASE, root], check=True, capture_output=True
        )
        (root / "usr/bin/python").symlink_to("python3")
        left_out = [f"--exclude=./var/{name}" for name in ("cache/apt/archives/*.deb", "lib/apt/lists/*")]
        building = archive.with_suffix(".building")
        subprocess.run(["tar", "-C", root, *left_out, "-cf", building, "."], check=True)
        building.replace(archive)
