"""The wheel works where the repository is not: a fresh environment serves a page of it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).resolve().parents[2]

# Run inside of the fresh environment: the pages as Airflow mounts them.
SERVE = """
import pathlib, sys
import cwl_ui_plugin
assert pathlib.Path(sys.argv[1]) in pathlib.Path(cwl_ui_plugin.__file__).parents, cwl_ui_plugin.__file__
from airflow.api_fastapi.app import create_app
from starlette.testclient import TestClient
from cwl_ui_plugin import resources
client = TestClient(create_app(apps="core"), base_url="http://localhost", follow_redirects=False)
for path in ("/pluginsv2/cwl/static/native.css", "/pluginsv2/cwl/workflows", "/cwl/api/v1/openapi.json"):
    answer = client.get(path)
    print(path, answer.status_code, answer.headers.get("location", ""))
print("templates", *sorted(p.name for p in (pathlib.Path(resources.folder("templates")) / "cwl_ui_plugin").iterdir()))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in tracked.stdout.splitlines():
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_templates_static_files_and_migrations_are_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "static", "examples"):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
        there = {path.relative_to(ROOT).as_posix() for path in files}
        assert {f"cwl_ui_plugin/{name}" for name in there} <= names
    assert "cwl_ui_plugin/reports/alembic.ini" in names
    assert "cwl_ui_plugin/reports/migrations/env.py" in names
    assert not [name for name in names if "__pycache__" in name or "node_modules" in name or name.startswith("tests/")]


def test_a_fresh_environment_serves_its_pages(wheel: Path, airflow_home: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    site = environment / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Airflow itself is taken from the environment of the tests; the plugin there is an editable one, left out here.
    linked = tmp_path / "linked"
    linked.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "cwl_ui_" not in entry.name and "__editable__" not in entry.name:
            (linked / entry.name).symlink_to(entry)
    (site / "shared.pth").write_text(f"{linked}\n")

    result = subprocess.run(
        [environment / "bin" / "python", "-c", SERVE, str(environment)],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr[-3000:]
    lines = dict(line.split(" ", 1) for line in result.stdout.splitlines() if line.startswith(("/", "templates")))
    assert lines["/pluginsv2/cwl/static/native.css"].startswith("200")
    assert lines["/pluginsv2/cwl/workflows"].startswith("302")
    assert "/auth/login" in lines["/pluginsv2/cwl/workflows"]
    assert lines["/cwl/api/v1/openapi.json"].startswith("200")
    assert "base.html" in lines["templates"]
