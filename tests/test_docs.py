"""The docs are true: what they name exists, what exists they name, links lead somewhere, commands can run."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from support.matrix import CASES, PAGES, PREFIXES

from cwl_ui_plugin import addresses, options
from cwl_ui_plugin.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "cwl_ui_plugin"
PATHS = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PATHS]
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\n))+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _prose(name: str) -> str:
    """A page without its blocks of code."""
    return _FENCED.sub("", _text(name))


def _codes(name: str) -> list[str]:
    return [re.sub(r"\s+", " ", code) for code in _CODE.findall(_prose(name))]


AIRFLOW_GROUPS = ("config", "dags", "db", "tasks")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_the_code_says_stands_in_the_pages(reference: ModuleType) -> None:
    """All options, commands with their arguments, calls with their parameters, and the Python API."""
    blocks = {found[2] for path in PATHS for found in reference.BLOCK.finditer(path.read_text(encoding="utf-8"))}
    assert blocks == set(reference.WRITERS)
    old = [path.name for path, text in reference.pages() if path.read_text(encoding="utf-8") != text]
    assert old == [], "`make reference` writes them"


# Options


@pytest.mark.parametrize("name", NAMES)
def test_options_that_pages_name_exist(name: str) -> None:
    named = {found[1] for code in _codes(name) if (found := re.match(r"\[cwl\] (\w+)", code))}
    named |= {option.lower() for option in re.findall(r"AIRFLOW__CWL__([A-Z_]+)", _text(name))}
    assert named - {option.name for option in options.OPTIONS} == set()


# Commands


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_pages_name_exist(name: str) -> None:
    lines = [line.strip() for line in _text(name).splitlines() if re.match(r" {4}(\S+=\S+ )*cwl-ui-plugin ", line)]
    spans = [code for code in _codes(name) if code.startswith("cwl-ui-plugin ")]
    wrong = [call for call in [*lines, *spans] if not _is_command(call)]
    assert wrong == []


def _is_command(call: str) -> bool:
    """Whether a call has a known command and known options; what a page leaves out may be missing."""
    words = shlex.split(re.sub(r"#.*|>.*|[\[\]]|\.\.\.", "", call))
    words = words[next(place for place, word in enumerate(words) if word == "cwl-ui-plugin") + 1 :]
    if words in (["--version"], []) or words[0] == "COMMAND":
        return True
    if words[0] == "airflow":
        words = list(itertools.takewhile(lambda word: word not in AIRFLOW_GROUPS, words))  # the rest is Airflow's
    return all(
        word in COMMANDS and all(option in _options(word) for option in words if re.match(r"--?[a-z]", option))
        for word in words[0].split("|")
    )


@cache
def _options(command: str) -> set[str]:
    parser = argparse.ArgumentParser(prog=f"cwl-ui-plugin {command}")
    importlib.import_module(f"cwl_ui_plugin.cli.{COMMANDS[command][0]}").add_arguments(parser)
    return set(_option_strings(parser))


def _option_strings(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _option_strings(subparser)


def test_each_option_of_each_command_is_explained(reference: ModuleType) -> None:
    rows = [line for line in reference.commands() if re.fullmatch(r"\| .* \|  ?\|", line)]
    assert rows == []


def test_each_command_tells_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert f"cwl-ui-plugin {command}" in capsys.readouterr().out


def test_the_command_is_a_program() -> None:
    words = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "keys", "--help"]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "cwl-ui-plugin keys" in result.stdout


def test_targets_of_make_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for name in NAMES for target in re.findall(r"(?:`|^ {4})make ([a-z-]+)", _text(name), re.MULTILINE)}
    assert named - targets == set()


# HTTP


@pytest.mark.parametrize("name", NAMES)
def test_calls_that_pages_name_exist(name: str) -> None:
    """Those of the plugin: Airflow's own are not looked at."""
    named = re.findall(r"`(GET|HEAD|POST|PUT|PATCH|DELETE) (/[^\s`?]*)", _text(name))
    ours = {(method, path) for method, path in named if not re.match(r"/(api/v2|auth|execution)\b", path)}
    assert {call for call in ours if not _is_route(*call)} == set()


def _is_route(method: str, path: str) -> bool:
    if path.startswith(PREFIXES[PAGES]):
        routes = (case for case in CASES if case.face == PAGES and case.method == method)
        return path.removeprefix(PREFIXES[PAGES]) in [case.route for case in routes]
    path = path.removeprefix("/cwl/api/v1")
    return any(method in methods and pattern.fullmatch(path) for methods, pattern in _routes())


@cache
def _routes() -> list[tuple[set[str], re.Pattern[str]]]:
    from cwl_ui_plugin.api import experimental, rest

    found = []
    for app, cut, prefix in ((rest.app(), addresses.REST_BELOW, ""), (experimental.app(), "", addresses.TRIGGERS)):
        for route in app.routes:
            path = f"{prefix}{getattr(route, 'path', '').removeprefix(cut)}"
            pattern = "".join(
                r"[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path)
            )
            found.append((set(getattr(route, "methods", None) or ()), re.compile(pattern)))
    return found


def test_the_calls_of_the_older_api_are_named() -> None:
    from cwl_ui_plugin.api import experimental

    text = " ".join(_text(name) for name in NAMES)
    paths = [f"/api/experimental{path}" for path in experimental.app().openapi()["paths"]]
    assert [path for path in paths if path not in text] == []


# Reports


def test_fields_of_reports_are_those_that_are_sent() -> None:
    rows = re.findall(
        r"^\| (`[^|]*) \| (`[^|]*) \| [^|]* \|$", _text("docs/signing.md").partition("## Reports")[2], re.M
    )
    told: dict[str, set[str]] = {"progress": set(), "status": set(), "results": set()}
    for fields, routes in rows:
        for route in _CODE.findall(routes):
            told[route] |= set(_CODE.findall(fields))
    assert told == _sent_fields()


def _sent_fields() -> dict[str, set[str]]:
    """What is computed for a run that succeeds and one that is stopped, and what is added when it is recorded."""
    from cwl_ui_plugin.reports.due import Known, RunFacts, TaskFact, due_reports
    from cwl_ui_plugin.reports.stopped import Stopped

    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    end = start + timedelta(seconds=9)
    sent: dict[str, set[str]] = {}
    for state, stop in (("success", None), ("failed", Stopped("somebody", start))):
        task = TaskFact("step", -1, 1, state, start, end)
        run = RunFacts("dag", "run", 1, state, start, end, 0, 1, (task,), results={}, has_long_results=True, stop=stop)
        for report in due_reports(run, Known())[0]:
            sent.setdefault(report.route, {"report_id", "sequence"}).update(report.payload)
    return sent


def test_statistics_of_reports_are_named() -> None:
    from cwl_ui_plugin.reports.due import Known, RunFacts, TaskFact, due_reports

    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    task = TaskFact("step", -1, 1, "success", start, start)
    run = RunFacts("dag", "run", 1, "success", start, start, 0, 1, (task,), results={})
    ending = next(report.payload for report in due_reports(run, Known())[0] if "statistics" in report.payload)
    statistics = ending["statistics"]
    fields = {*statistics, *statistics["total"], *statistics["steps"]["step"]}
    assert fields - set(_codes("docs/signing.md")) == set()


# Files


@pytest.mark.parametrize("name", NAMES)
def test_files_that_pages_name_exist(name: str) -> None:
    """Files of this repository, named from its root, from the package, or by their own name."""
    named = {
        code for code in _codes(name) if re.fullmatch(r"(?!/)[\w./-]+\.(py|js|md|cfg|toml|yml|html|css|ini|sh)", code)
    } - _FILES_OF_OTHERS
    named |= {
        code for code in _codes(name) if re.match(r"(tests|bench|tools|examples|templates|static)/[\w./-]*$", code)
    }
    missing = {
        path
        for path in named
        if not any((base / path).exists() for base in (ROOT, PACKAGE, *PACKAGE.iterdir(), DOCS, ROOT / name / ".."))
        and not ("/" not in path and path in _file_names())
    }
    assert missing == set()


_FILES_OF_OTHERS = {"job.yml", "trigger.py", "server.py"}
"""Those of users, and the predecessors' scripts."""


@cache
def _file_names() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    return {Path(line).name for line in listed.stdout.splitlines()}


def test_each_room_of_the_package_has_its_list_of_modules() -> None:
    listed = set(re.findall(r"<!-- generated:modules ([\w/.]+) -->", _text("docs/architecture.md")))
    rooms = {path.parent.relative_to(PACKAGE).parts[:1] for path in PACKAGE.rglob("__init__.py")}
    assert listed == {room[0] if room else "." for room in rooms}


# Links


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """To a file and, where they name one, to a heading of it, by the rules of both repository and site."""
    here = ROOT / name
    broken = []
    for link in _LINK.findall(_prose(name)):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (here.parent / path).resolve() if path else here
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@cache
def _anchors(path: Path) -> set[str]:
    """Anchors of a page that are the same on hosts of repositories (spaces become dashes) and on the site."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", _FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        there, site = re.sub(r"\s", "-", plain), re.sub(r"[\s-]+", "-", plain)
        found |= {there} if there == site else set()
    return found


def test_pictures_are_all_shown() -> None:
    shown = {Path(link).name for name in NAMES for link in _LINK.findall(_text(name))}
    assert {path.name for path in (DOCS / "images").iterdir()} - shown == set()


def test_each_page_has_a_place_in_the_site_and_on_the_first_page() -> None:
    config_text = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert {page for page in pages if not re.search(rf"[ :]{re.escape(page)}$", config_text, re.M)} == set()
    linked = set(_LINK.findall(_text("docs/README.md")))
    assert {page for page in pages if not page.startswith("adr/0") and page != "README.md"} - linked == set()


# Decisions and examples


def test_decisions_are_numbered_and_listed() -> None:
    files = sorted(path.name for path in (DOCS / "adr").glob("0*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    assert re.findall(r"\]\((0[^)]*)\)", _text("docs/adr/README.md")) == files
    headings = [re.findall(r"^## (.*)$", _text(f"docs/adr/{name}"), re.MULTILINE) for name in files]
    assert [names for names in headings if names != headings[0]] == []


def test_json_in_pages_is_json() -> None:
    blocks = re.findall(r"^```json.*?\n(.*?)^```$", "\n".join(_text(name) for name in NAMES), re.DOTALL | re.MULTILINE)
    for block in blocks:
        json.loads(block)


def test_the_layers_are_those_that_are_checked() -> None:
    """What stands in the picture, from top to bottom, is what import-linter is told."""
    contract = re.search(r"layers = \[\n(.*?)\n\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert contract is not None
    checked = [set(re.findall(r"cwl_ui_plugin\.(\w+)", line)) for line in contract[1].splitlines()]
    picture = _text("docs/architecture.md").partition("## One way down\n\n")[2].partition("\n\n")[0]
    drawn = [set(re.findall(r"(\w+)(?:/|\.py)", line[:26])) for line in picture.splitlines()]
    assert drawn[:-2] == checked[:-2]
    assert all(shown <= told for shown, told in zip(drawn[-2:], checked[-2:], strict=True))


def test_templates_of_issues_are_forms() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form), path
            ids = [item["id"] for item in form["body"] if item["type"] != "markdown"]
            assert len(set(ids)) == len(ids)
