"""The compilations of a stored version: what its upload was compiled to, and what later engines made of its source.

::

    <version>/plan.json, step_documents/, packed.cwl     the first compilation, made when it was uploaded
    <version>/compiled/<format>-<engine>[@<layout>]/     the same files, by another format or engine
    <version>/compiled/first=<format>-<engine>           empty: what has made the first compilation
    <version>/compiled/failed=<format>-<engine>          why it can't be compiled by these, as JSON

None is ever replaced, so each process takes the compilation of its own engine where there is one, and else the newest
that it can read. A run relies on how its tasks and the values between them are called: the *layout* of its plan. A
compilation with another layout than the first bears it in its name, and so does the revision of the version that runs
are pinned to. Names of folders say all of this, since a workflow is looked up each time its Dag is parsed; there is no
``compiled/`` at all as long as the first compilation is the only one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import FORMAT, PLAN_FILE, READABLE_FORMATS, installed_engine, read_plan
from cwl_ui_plugin.library.errors import NotCompiled
from cwl_ui_plugin.library.files import write_text

COMPILED_FOLDER = "compiled"
FIRST_LAYOUT = ""
"""The layout of the first compilation, whatever it is."""
_FIRST = "first="
_FAILED = "failed="
_NAME = re.compile(rf"(?P<first>{_FIRST})?(?P<compiler>\d+-[\w.+-]+)(?:@(?P<layout>[0-9a-f]+))?")
_UNFIT = re.compile(r"[^A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class Compilation:
    """One compilation: by which compiler, and in which folder."""

    compiler: str
    folder: Path
    layout: str = FIRST_LAYOUT

    @property
    def is_readable(self) -> bool:
        """Whether this version of the plugin reads its format."""
        return int(self.compiler.partition("-")[0]) in READABLE_FORMATS

    @property
    def age(self) -> tuple[bool, list[int]]:
        """What is larger of the better one: of this process's compiler, or else newer."""
        return self.compiler == own_compiler(), [int(digits) for digits in re.findall(r"\d+", self.compiler)]


@dataclass(frozen=True)
class Failure:
    """Why the source of a version can't be compiled here any more; ``may_pass`` if another try may help."""

    message: str
    problems: tuple[Problem, ...] = ()
    may_pass: bool = False


@cache
def own_compiler() -> str:
    """Return the format and the engine of this process as names of compilations have them."""
    return _compiler(FORMAT, installed_engine())


def chosen(version: Path, layout: str | None = None) -> Compilation:
    """Return the compilation of a version to use; one of ``layout``, that a run is pinned to, if there is one.

    Raises:
        NotCompiled: none of them can be read here; it has to be compiled first.

    """
    found = _compilations(version)
    if not found:
        return Compilation("", version)  # whoever reads its plan sees whether it can be read
    readable = [one for one in found if one.is_readable]
    if not readable:
        raise NotCompiled("It was compiled by another version of cwl-ui-plugin, and has to be compiled again.")
    fitting = [one for one in readable if one.layout == layout]
    return max(fitting or readable, key=lambda one: one.age)


def first_compiler(version: Path) -> str:
    """Return what has made the first compilation of a version, from its plan, which may be of any format."""
    try:
        plan = json.loads((version / PLAN_FILE).read_text(encoding="utf-8"))
        return _compiler(int(plan["format"]), str(plan["engine"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _compiler(0, "unknown")


def is_compiled_here(version: Path) -> bool:
    """Whether there is a compilation of this process's compiler."""
    found = _compilations(version)
    compilers = [one.compiler for one in found] or [first_compiler(version)]
    return own_compiler() in compilers


def failure(version: Path) -> Failure | None:
    """Return why this process's compiler can't compile a version, if it has tried."""
    try:
        data = json.loads(_failure_file(version).read_text(encoding="utf-8"))
        problems = tuple(Problem(**problem) for problem in data["problems"])
        return Failure(data["message"], problems, data["may_pass"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_failure(version: Path, failed: Failure) -> None:
    """Note why this process's compiler can't compile a version."""
    problems = [problem.as_json() for problem in failed.problems]
    write_text(_failure_file(version), json.dumps({**asdict(failed), "problems": problems}, ensure_ascii=False))


def forget_failure(version: Path) -> None:
    """Let a version be compiled again."""
    _failure_file(version).unlink(missing_ok=True)


def add(version: Path, compiled: Path) -> None:
    """Move a folder with a compilation by this process's compiler in; it is there as a whole, or not.

    ``compiled`` must be a folder on the file system of the store.
    """
    first = first_compiler(version)
    place = version / COMPILED_FOLDER
    place.mkdir(exist_ok=True)
    (place / f"{_FIRST}{first}").touch()
    is_of_first_layout = not Compilation(first, version).is_readable or (
        read_plan(version).layout == read_plan(compiled).layout
    )
    suffix = "" if is_of_first_layout else f"@{read_plan(compiled).layout}"
    compiled.rename(place / f"{own_compiler()}{suffix}")
    forget_failure(version)


def staging_folder(version: Path) -> Path:
    """Return a new folder to compile into; what earlier attempts have left that were killed is removed.

    To be called by the one process that compiles the version.
    """
    place = version / COMPILED_FOLDER
    place.mkdir(exist_ok=True)
    for left in place.glob(".staging-*"):
        shutil.rmtree(left, ignore_errors=True)
    return place / f".staging-{uuid.uuid4().hex}"


def _compilations(version: Path) -> list[Compilation]:
    """Return all compilations of a version; none where there is only the first one, which nothing is known of."""
    place = version / COMPILED_FOLDER
    try:
        names = os.listdir(place)  # noqa: PTH208 - each time a Dag is parsed
    except FileNotFoundError:
        return []
    named = [(name, match) for name in names if (match := _NAME.fullmatch(name))]
    return [
        Compilation(match["compiler"], version if match["first"] else place / name, match["layout"] or FIRST_LAYOUT)
        for name, match in named
    ]


def _failure_file(version: Path) -> Path:
    return version / COMPILED_FOLDER / f"{_FAILED}{own_compiler()}"


def _compiler(plan_format: int, engine: str) -> str:
    return f"{plan_format}-{_UNFIT.sub('-', engine)}"
