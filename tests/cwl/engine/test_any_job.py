"""No job, however shaped, makes a run read or write outside of its folders: tried with many, on a real file system.

``CWL_EXAMPLES=5000`` tries more, each time others.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine.confines import Confines
from cwl_ui_plugin.cwl.errors import CwlError, JobError
from cwl_ui_plugin.cwl.jobs.checks import check_job
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.cwl.plan import read_plan

SECRET = "the secret of somebody else"
EXAMPLES = int(os.environ.get("CWL_EXAMPLES", "0"))
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {}
  LoadListingRequirement: {loadListing: shallow_listing}
  InitialWorkDirRequirement:
    listing: "${ return [inputs.file, inputs.folder].concat(inputs.files || []).filter(function(x) {return x;}); }"
baseCommand:
  - sh
  - -c
  - 'for given in . "$@"; do find -L "$given" -type f ! -name all.txt -exec cat {} +; done > all.txt'
  - sh
inputs:
  file: {type: File?, loadContents: true, inputBinding: {}, secondaryFiles: [{pattern: .idx, required: false}]}
  files: {type: "File[]?", inputBinding: {}}
  folder: {type: Directory?, inputBinding: {}}
  any: {type: Any?, inputBinding: {valueFrom: "$(self !== null && self.class ? self : null)"}}  # a text is no file
  record:
    type:
      - "null"
      - {type: record, name: r, fields: [{name: one, type: File, inputBinding: {}}, {name: two, type: "Directory?"}]}
outputs: {out: {type: File, outputBinding: {glob: all.txt}}}
"""


class Site:
    """Folders for inputs, what must stay as it is and unread, and what a run may write to."""

    def __init__(self, place: Path) -> None:
        self.place, self.inputs, self.run = place, place / "inputs", place / "run"
        self.canary = place / "elsewhere"
        for folder in (self.inputs / "folder/deep", self.inputs / "more", self.canary / "folder", place / "source"):
            folder.mkdir(parents=True)
        for name in ("a.txt", "a.txt.idx", "b.txt", "ä b%41.txt", "folder/c.txt", "folder/deep/d.txt"):
            (self.inputs / name).write_text("harmless")
        for name in ("secret", "a.txt", "folder/c.txt", "folder/secret"):
            (self.canary / name).write_text(SECRET)
        (self.inputs / "out").symlink_to(self.canary / "secret")
        (self.inputs / "out_folder").symlink_to(self.canary)
        (self.inputs / "b.txt.idx").symlink_to(self.canary / "secret")
        (self.inputs / "more/out").symlink_to("../../elsewhere/secret")
        (self.inputs / "inside").symlink_to("a.txt")
        self.rules = FileRules(base=self.inputs, roots=(self.inputs,))
        self.confines = Confines(self.rules, (self.run, place / "source"))
        (place / "source/main.cwl").write_text(TOOL)
        compiling.compile_document(place / "source", "main.cwl", place / "compiled")
        self.plan = read_plan(place / "compiled")
        self.before = self.snapshot()

    def snapshot(self) -> dict[str, Any]:
        """What is outside of the folder of the run: kind, contents and time of each."""
        found = {}
        for path in self.place.rglob("*"):
            if not path.is_relative_to(self.run):
                status = path.lstat()
                content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
                found[str(path)] = (status.st_mode, status.st_mtime_ns, content)
        return found

    def check(self) -> None:
        assert self.snapshot() == self.before
        for path in self.run.rglob("*"):
            real = path.resolve()
            assert any(real.is_relative_to(folder) for folder in (self.run, self.inputs)), (path, real)
            assert not real.is_file() or SECRET.encode() not in real.read_bytes(), path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("any").resolve())


def test_without_the_checks_it_would_be_seen(site: Site) -> None:
    """The oracle sees what it is there for."""
    job = {"file": {"class": "File", "location": (site.canary / "secret").as_uri()}}
    with noting() as noted:
        run_compiled(site.place / "compiled", site.place / "source", job, site.run / "x")
    assert [path for path in noted if str(site.canary) in os.path.realpath(path)]
    with pytest.raises(AssertionError):
        site.check()


# what this process opens and lists; an audit hook can't be taken away again
_noted: list[str] | None = None


def _note(name: str, arguments: tuple[Any, ...]) -> None:
    if name == "open" and arguments[2] & os.O_PATH:
        return  # where something is was looked up, and nothing of it can be read by that
    if _noted is not None and name in ("open", "os.listdir", "os.scandir", "shutil.copyfile", "os.symlink", "os.link"):
        _noted.extend(str(argument) for argument in arguments if isinstance(argument, (str, bytes, os.PathLike)))


sys.addaudithook(_note)


@contextmanager
def noting() -> Iterator[list[str]]:
    """Note the paths that are opened, listed, copied and linked."""
    global _noted
    _noted = found = []
    try:
        yield found
    finally:
        _noted = None


# jobs

NAMES = [
    *(
        "a.txt",
        "b.txt",
        "folder",
        "out",
        "out_folder",
        "inside",
        "more",
        "ä b%41.txt",
        "deep",
        "secret",
        "c.txt",
        "elsewhere",
    ),
    *(
        "..",
        ".",
        "",
        "%2e%2e",
        "..%2f",
        "%00",
        "\n",
        "-rf",
        "~",
        "inputs",
        "$(pwd)",
        "x" * 300,
        "\ud800",
        "a\\b",
        "nothing",
    ),
]
places = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
starts = st.sampled_from(
    [
        "",
        "/",
        "//",
        "{in}/",
        "file://{in}/",
        "{out}/",
        "file://{out}/",
        "file://host{in}/",
        "FILE://{in}/",
        "_:",
        "http://h/",
        "file:",
    ]
)
good = st.sampled_from(["a.txt", "b.txt", "folder/c.txt", "inside", "ä b%41.txt", "{in}/a.txt", "file://{in}/a.txt"])
good_folders = st.sampled_from(["folder", "folder/deep", "{in}/folder", "file://{in}/folder/", "more/../folder"])
bad = st.sampled_from(
    [
        *(
            "{out}/secret",
            "file://{out}/secret",
            "../elsewhere/a.txt",
            "out",
            "more/out",
            "out_folder/a.txt",
            "//{out}/secret",
        ),
        *("folder/../../elsewhere/a.txt", "file://{in}/%2e%2e/elsewhere/secret", "file://localhost{out}/folder/c.txt"),
        *(
            "{out}",
            "../elsewhere",
            "out_folder",
            "file://{out}/folder/",
            "folder/../../elsewhere/folder",
            "/",
            "..",
            "file:///",
        ),
    ]
)
strange = st.builds("{}{}".format, starts, places)
locations = st.one_of(good, good, good_folders, bad, strange)
good_names = st.sampled_from(["x", "y.txt", "a.txt", "-n", "a b", "z"])
names = st.one_of(good_names, good_names, good_names, places, st.none(), st.integers())
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), places, locations)
odd = {
    **dict.fromkeys(("dirname", "nameroot", "nameext", "entryname", "format", "checksum", "$import", "@type"), names),
    "size": st.integers(),
    "writable": st.booleans(),
    "cwl:x": scalars,
    "path": locations,
    "contents": scalars,
}


def objects(kind: str, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Files or Directories: mostly of the right form, with a few fields that are not."""
    more = st.dictionaries(st.sampled_from(sorted(odd)), st.none(), max_size=1).flatmap(
        lambda chosen: st.fixed_dictionaries({name: odd[name] for name in chosen})
    )
    listed = st.lists(parts, max_size=3)
    where = st.one_of(*[good if kind == "File" else good_folders] * 4, bad, strange)
    literal = {"contents": st.just("x")} if kind == "File" else {"listing": listed}
    forms = st.one_of(
        st.fixed_dictionaries({"location": where}, optional={"basename": names}),
        st.fixed_dictionaries({"location": where, "secondaryFiles" if kind == "File" else "listing": listed}),
        st.fixed_dictionaries({"basename": names, **literal}),
    )
    return st.builds(lambda form, extra: {"class": kind, **form, **extra}, forms, st.one_of(*[st.just({})] * 4, more))


files = st.deferred(lambda: objects("File", parts))
folders = st.deferred(lambda: objects("Directory", parts))
parts = st.one_of(files, files, folders, files, files, scalars)
anything = st.recursive(
    st.one_of(scalars, files, folders),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names.map(str), inner, max_size=3)),
    max_leaves=6,
)
inputs = {
    "file": st.one_of(files, files, files, anything),
    "files": st.lists(files, max_size=3),
    "folder": st.one_of(folders, folders, folders, anything),
    "any": anything,
    "record": st.fixed_dictionaries({"one": files}, optional={"two": folders}),
    "cwl:requirements": st.just([{"class": "InitialWorkDirRequirement", "listing": []}]),
}
jobs = st.sets(st.sampled_from(sorted(inputs)), min_size=1, max_size=2).flatmap(
    lambda chosen: st.fixed_dictionaries({name: inputs[name] for name in sorted(chosen)})
)


def placed(value: Any, site: Site) -> Any:
    """Put the folders of the site into locations."""
    if isinstance(value, str):
        return value.replace("{in}", str(site.inputs)).replace("{out}", str(site.canary))
    if isinstance(value, list):
        return [placed(item, site) for item in value]
    if isinstance(value, dict):
        return {placed(name, site): placed(item, site) for name, item in value.items()}
    return value


def tries(number: int) -> Any:
    return settings(
        derandomize=not EXAMPLES,
        max_examples=EXAMPLES or number,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def objects_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("class") in ("File", "Directory"):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from objects_in(item)


def test_a_checked_job_names_what_is_in_the_folders_for_inputs(site: Site) -> None:
    taken = 0

    @tries(500)
    @given(job=jobs)
    def check(job: dict[str, Any]) -> None:
        nonlocal taken
        try:
            checked = check_job(site.plan, placed(job, site), site.rules)
        except JobError:
            return
        taken += 1
        for found in objects_in(checked):
            check_object(site, found)

    check()
    assert taken > 50  # else it would be no wonder that nothing happened


def check_object(site: Site, found: dict[str, Any]) -> None:
    """A File or Directory of a job that was taken."""
    assert found.keys() <= {"class", "location", "basename", "contents", "format", "secondaryFiles", "listing"}
    name = found.get("basename", "x")
    assert "/" not in name and name not in ("", ".", "..") and "\0" not in name
    if "location" in found:
        assert found["location"].startswith("file:///")
        path = Path(unquote(urlsplit(found["location"]).path))
        assert path.resolve().is_relative_to(site.inputs)
        assert path.name not in ("", "..")


def test_no_job_reads_or_writes_elsewhere(site: Site) -> None:
    """The oracle: what is elsewhere stays as it is, nothing of it is in what the run makes, and nobody opened it."""
    done = 0

    @tries(120)
    @given(job=jobs)
    def check(job: dict[str, Any]) -> None:
        nonlocal done
        shutil.rmtree(site.run, ignore_errors=True)
        with noting() as noted:
            try:
                checked = check_job(site.plan, placed(job, site), site.rules)
                folder = site.run / "tried"
                run_compiled(site.place / "compiled", site.place / "source", checked, folder, confines=site.confines)
                done += 1
            except CwlError:
                pass
        assert not [path for path in noted if str(site.canary) in os.path.realpath(path)]
        site.check()

    check()
    assert done > 10  # else it would be no wonder that nothing happened
