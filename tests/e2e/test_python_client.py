"""The wheel of the client, without Airflow, against a real server: what its page and its notebook say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support.airflow_server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.packaging]
ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "tests" / "support" / "run_examples.py"
DEPENDENCIES = (
    *("httpx", "httpcore", "h11", "anyio", "certifi", "idna", "sniffio", "exceptiongroup", "typing_extensions.py"),
    "yaml",
)
"""What the wheel and its extra ``yaml`` bring along."""
LARGE = 9_000_000
SEND = f"""
import hashlib, os
from pathlib import Path
from cwl_ui_client import Client, DownloadError
text = Path("large.txt")
text.write_bytes(b"word " * ({LARGE} // 5))
told = []
with Client.from_env() as client:
    client.url = "http://elsewhere.example"  # outputs come by HTTP then, as from another machine
    job = {{"text": text}}
    result = client.run("copy.cwl", job, outdir="copied", progress=lambda item: told.append((item.kind, item.fraction)))
copied = Path(result.outputs["copy"]["path"])
assert hashlib.sha1(copied.read_bytes()).hexdigest() == hashlib.sha1(text.read_bytes()).hexdigest()
assert [kind for kind, fraction in told if kind == "sending" and 0 < fraction < 1], told
assert {{kind for kind, _ in told}} == {{"uploading", "sending", "running", "fetching"}}, told
print("copied")
"""
COPY = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs: {text: {type: File, inputBinding: {}}}
stdout: copy.txt
outputs: {copy: stdout}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel of the client, what that needs, and nothing else."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(ROOT / "client", folder / "source", ignore=shutil.ignore_patterns("*.egg-info", "build"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(folder / "source")], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    site = folder / "env" / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "cwl_ui_client/py.typed" in archive.namelist()
        archive.extractall(site)
    for name in DEPENDENCIES:
        if (there := Path(sysconfig.get_paths()["purelib"]) / name).exists():
            (site / name).symlink_to(there)
    return folder / "env" / "bin" / "python"


def used(python: Path, server: Server, folder: Path, *words: str | Path) -> str:
    """Return what a program has printed, in a folder with the files that the examples name."""
    shutil.copy(ROOT / "examples" / "word-count.cwl", folder)
    (folder / "text.txt").write_text("one two three\n")
    (folder / "other.txt").write_text("four\n")
    login = {"CWL_UI_URL": server.url, "CWL_UI_USER": server.user, "CWL_UI_PASSWORD": server.password}
    environment = {"PATH": os.environ["PATH"], **login}
    done = subprocess.run(
        [str(python), *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.again("with the other auth manager", variant="simple")
def test_the_examples_of_its_page_run(python: Path, site: Server, tmp_path: Path) -> None:
    """Under both auth managers: the login of each is by user and password."""
    said = used(python, site, tmp_path, RUNNER, ROOT / "docs" / "client.md")
    lines = said.splitlines()
    assert lines[0] == "success 3"
    assert "['success', 'success']" in lines
    assert "['text']" in lines, "which input is wrong"
    assert lines[-1] == "4 cells have run"


def test_the_notebook_runs(python: Path, server: Server, tmp_path: Path) -> None:
    said = used(python, server, tmp_path, RUNNER, ROOT / "examples" / "notebook.ipynb")
    assert "was stopped by" in said
    assert (tmp_path / "notebook-results" / "words.txt").read_text().strip() == "10"


def test_a_large_file_goes_in_parts_and_comes_back_as_it_was(python: Path, server: Server, tmp_path: Path) -> None:
    (tmp_path / "copy.cwl").write_text(COPY)
    assert "copied" in used(python, server, tmp_path, "-c", SEND)
