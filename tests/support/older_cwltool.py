"""An older cwltool beside the one of this environment: the oldest that setup.cfg allows."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def older_release() -> str:
    """Return the lower bound of cwltool in setup.cfg."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    found = re.search(r"^cwltool>=([\d.]+)", settings["options"]["install_requires"], re.MULTILINE)
    assert found is not None
    return found[1]


@cache
def installed_older_cwltool() -> Path:
    """Return a folder with it for PYTHONPATH, installed once into .build; its libraries are this environment's."""
    release = older_release()
    folder = ROOT / ".build" / f"cwltool-{release}"
    if folder.is_dir():
        return folder
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(beside)]
    answer = subprocess.run([*command, f"cwltool=={release}"], capture_output=True, text=True, check=False)
    if answer.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(answer.stderr)
        pytest.skip(f"cwltool {release} can't be installed: {answer.stderr}")
    try:
        beside.rename(folder)
    except OSError:
        assert folder.is_dir(), "another worker was faster"
    return folder


def with_older_cwltool() -> dict[str, str]:
    """Return the environment of a process that is to use it."""
    path = [str(installed_older_cwltool()), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
