"""What we use of cwltool and its libraries is there, in the newest release and in the oldest that setup.cfg allows."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.older_cwltool import with_older_cwltool

import cwl_ui_plugin
from cwl_ui_plugin.cwl.engine import cwltool_internals
from cwl_ui_plugin.cwl.engine.cwltool_internals import CONTRACT, Use

LIBRARIES = ("cwltool", "schema_salad", "cwl_utils", "ruamel")
PACKAGE = Path(cwl_ui_plugin.__file__).parent


def changes() -> list[str]:
    """Return what the installed libraries have otherwise than we use it, one line for each thing."""
    return [
        *(f"{use.name} ({use.why}): {change}" for use in CONTRACT for change in _changes_of(use)),
        *(f"{name}: can't be imported ({error})" for name, error in _missing_imports()),
    ]


def _changes_of(use: Use) -> Iterator[str]:
    try:
        found = _resolve(use.name)
    except (ImportError, AttributeError) as error:
        yield f"it is gone ({error})"
        return
    if use.parameters is not None and not _takes(found, use.parameters):
        yield f"it takes ({', '.join(_taken(found) or ())}), not ({', '.join(use.parameters)})"
    for name in use.attributes:
        if not _has_attribute(found, name):
            yield f"its objects have no attribute {name!r}"
    for text in use.texts:
        if not _says(found, text):
            yield f"it does not say {text!r}"
    for name in use.files:
        if not files(found).joinpath(name).is_file():
            yield f"it has no file {name!r}"


def _resolve(name: str) -> Any:
    module, _, path = name.partition(":")
    found = import_module(module)
    for part in filter(None, path.split(".")):
        found = getattr(found, part)
    return found


def _takes(found: Any, parameters: tuple[str, ...]) -> bool:
    taken = _taken(found)
    any_at_all = (None, ("args", "kwargs"), ("self", "args", "kwargs"))
    return taken in any_at_all or (taken is not None and taken[: len(parameters)] == parameters)


def _taken(found: Any) -> tuple[str, ...] | None:
    """Return the names of parameters; None where they can't be told, as of a function that mypyc has compiled."""
    try:
        return tuple(inspect.signature(found).parameters)
    except ValueError:
        return None


def _has_attribute(cls: type, name: str) -> bool:
    """Whether a class, or its constructor, gives its objects an attribute, or says that they may have one."""
    if hasattr(cls, name) or any(name in getattr(base, "__annotations__", {}) for base in cls.__mro__):
        return True
    assigned = re.compile(rf"\bself\.{name}\b\s*(:[^=\n]*)?=|\bself\.{name}\b\s*,|\bself\.{name}: ")
    own = [base for base in cls.__mro__ if base.__module__.split(".")[0] in LIBRARIES]
    return any(assigned.search(_source(base)) for base in own)


def _says(module: ModuleType, text: str) -> bool:
    return any(text in constant for constant in _constants(module))


_source = cache(inspect.getsource)


@cache
def _constants(module: ModuleType) -> tuple[str, ...]:
    nodes = ast.walk(ast.parse(_source(module)))
    return tuple(str(node.value) for node in nodes if isinstance(node, ast.Constant))


@cache
def _imports() -> tuple[tuple[Path, str, str], ...]:
    """Return what the package imports of the libraries: in which file, of which module, which name ("" for itself)."""
    return tuple(_found_imports())


def _found_imports() -> Iterator[tuple[Path, str, str]]:
    for path, nodes in _modules_with(LIBRARIES):
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
                yield from ((path, node.module or "", alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.split(".")[0] in LIBRARIES]
                yield from ((path, name, "") for name in names)


def _modules_with(names: Iterable[str]) -> Iterator[tuple[Path, Iterator[ast.AST]]]:
    """Yield the files whose text has one of the names anywhere, parsed: to parse all files takes seconds."""
    wanted = re.compile("|".join(map(re.escape, names)))
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if wanted.search(text):
            yield path, ast.walk(ast.parse(text))


def _missing_imports() -> Iterator[tuple[str, str]]:
    for _path, module, name in _imports():
        try:
            if name and not hasattr(import_module(module), name):
                import_module(f"{module}.{name}")
        except ImportError as error:
            yield f"{module}:{name}", str(error)


def test_what_we_use_of_cwltool_is_there() -> None:
    assert changes() == []


def test_what_we_use_of_the_oldest_cwltool_is_there() -> None:
    code = f"""import json, sys
sys.path += {[str(Path(__file__).parent), *sys.path]!r}
import test_cwltool_internals
print(json.dumps(test_cwltool_internals.changes()))"""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=with_older_cwltool(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(answer.stdout) == []


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        ("cwltool.process:Process", "_init_job", "the first task, subworkflows"),
        ("cwltool.loghandler", "_logger", "logs of tasks"),
        ("cwltool.workflow_job", "flat_crossproduct_scatter", "scattered steps"),
    ],
)
def test_what_is_gone_is_listed(monkeypatch: pytest.MonkeyPatch, module: str, name: str, told: str) -> None:
    monkeypatch.delattr(_resolve(module), name)
    (line,) = [line for line in changes() if "can't be imported" not in line]
    assert line.startswith(f"{module}{'.' if ':' in module else ':'}{name} ({told}): it is gone")


def test_other_parameters_attributes_and_texts_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    uses = (
        Use("cwltool.process:Process._init_job", "tests", ("self", "order")),
        Use("cwltool.job:JobBase", "tests", attributes=("outdir", "out_folder")),
        Use("cwltool.process", "tests", texts=("what nobody says",)),
        Use("cwltool", "tests", files=("extensions.yml", "none.yml")),
    )
    monkeypatch.setitem(globals(), "CONTRACT", uses)
    assert changes() == [
        "cwltool.process:Process._init_job (tests): it takes (self, joborder, runtime_context), not (self, order)",
        "cwltool.job:JobBase (tests): its objects have no attribute 'out_folder'",
        "cwltool.process (tests): it does not say 'what nobody says'",
        "cwltool (tests): it has no file 'none.yml'",
    ]


def test_private_names_of_cwltool_stand_in_one_module() -> None:
    """Names with an underscore, and modules that are replaced in part; and no others that begin so by accident."""
    private = {use.name.rpartition(".")[2] for use in CONTRACT if "._" in use.name} | {
        name for use in CONTRACT for name in use.attributes if name.startswith("_")
    }
    own = Path(cwltool_internals.__file__)
    found = [
        f"{path.relative_to(PACKAGE)}: {module} {name}"
        for path, module, name in _imports()
        if path != own and (name.startswith("_") or module in ("cwltool.loghandler", "cwltool.workflow_job"))
    ]
    for path, nodes in _modules_with(private):
        if path == own:
            continue
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in private and not _is_self(node.value):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"
