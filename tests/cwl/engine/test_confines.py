"""What documents, tools and whoever swaps files may not do: read or write outside of the folders of a run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled, run_steps, through_json

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import execution, run_settings
from cwl_ui_plugin.cwl.engine.confines import Confines, _resolved
from cwl_ui_plugin.cwl.errors import CwlError, JobError, StepError
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.cwl.plan import read_plan

SECRET = "the secret of somebody else"
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {{}}
  ShellCommandRequirement: {{}}
  InitialWorkDirRequirement: {{listing: {listing}}}
  LoadListingRequirement: {{loadListing: deep_listing}}
arguments: [{{shellQuote: false, valueFrom: {script}}}]
inputs: {inputs}
outputs: {outputs}
{more}
"""
EXPRESSION = """
cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {}
outputs: {out: File}
expression: '${ return {out: {class: "File", location: "%s"}}; }'
"""
FILE = "{out: {type: File, outputBinding: {glob: %r}}}"
OUTPUT_JSON = """echo '{"out": {"class": "File", "%s": "%s"}}' > cwl.output.json"""
CAT = "cat $(inputs.file.path) > out"


def tool(script: str = "true", outputs: str = "{}", listing: str = "[]", inputs: str = "{}", more: str = "") -> str:
    return TOOL.format(script=json.dumps(script), outputs=outputs, listing=listing, inputs=inputs, more=more)


class Site:
    """A folder for inputs, one for what is secret, and one for the run."""

    def __init__(self, place: Path) -> None:
        self.place, self.inputs, self.run, self.source = place, place / "inputs", place / "run", place / "source"
        self.secret = place / "elsewhere/secret"
        for folder in (self.inputs / "folder", self.secret.parent, self.source, self.run):
            folder.mkdir(parents=True)
        self.secret.write_text(SECRET)
        for name in ("a.txt", "folder/b.txt"):
            (self.inputs / name).write_text("harmless")
        rules = FileRules(base=self.inputs, roots=(self.inputs,), closed=(self.inputs / "uploads",))
        self.confines = Confines(rules, (self.run.resolve(), self.source.resolve()))

    def compile(self, document: str) -> Path:
        (self.source / "main.cwl").write_text(
            document.replace("SECRET", str(self.secret)).replace("ELSEWHERE", str(self.secret.parent))
        )
        compiling.compile_document(self.source, "main.cwl", self.place / "compiled")
        return self.place / "compiled"

    def do(self, document: str, **job: Any) -> dict[str, Any]:
        return run_compiled(self.compile(document), self.source, job, self.run, confines=self.confines)

    def file(self, name: str = "a.txt", kind: str = "File") -> dict[str, Any]:
        return {"class": kind, "location": (self.inputs / name).as_uri()}

    def check(self, before: set[Path]) -> None:
        """Nothing is new outside of the run's folder, and the secret is nowhere in it."""
        assert self.outside() == before
        for path in self.run.rglob("*"):
            assert not path.is_file() or path.is_symlink() or SECRET not in path.read_text(errors="replace"), path

    def outside(self) -> set[Path]:
        own = (self.run, self.place / "compiled", self.source)
        return {path for path in self.place.rglob("*") if not any(path.is_relative_to(folder) for folder in own)}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path.resolve())


def told(error: CwlError) -> str:
    return " ".join(map(str, (error, *error.problems)))


def nested(name: str) -> str:
    part = f'{{class: "File", basename: "{name}", contents: "x"}}'
    return json.dumps(f'${{ return [{{class: "Directory", basename: "d", listing: [{part}]}}]; }}')


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(tool("true", FILE % "../../../elsewhere/secret"), id="glob with .."),
        pytest.param(tool("mkdir d", FILE % "d/../../../../elsewhere/*"), id="glob with .. within"),
        pytest.param(tool("true", FILE % "SECRET"), id="absolute glob"),
        pytest.param(tool("ln -s SECRET out", FILE % "out"), id="link"),
        pytest.param(tool("ln -s ELSEWHERE out", FILE % "out/secret"), id="link to a folder, and what is in it"),
        pytest.param(
            tool("mkdir d; ln -s SECRET d/x", "{out: {type: Directory, outputBinding: {glob: d}}}"),
            id="link in a folder",
        ),
        pytest.param(
            tool(
                "ln -s SECRET x",
                "{out: {type: string, outputBinding: {glob: x, loadContents: true,"
                " outputEval: '$(self[0].contents)'}}}",
            ),
            id="contents of a link",
        ),
        pytest.param(
            tool(
                "true",
                "{out: {type: string, outputBinding: {glob: ../../../elsewhere/secret, loadContents: true,"
                " outputEval: '$(self[0].contents)'}}}",
            ),
            id="contents elsewhere",
        ),
        pytest.param(
            tool(
                "true", '{out: {type: File, outputBinding: {outputEval: \'$({class: "File", location: "SECRET"})\'}}}'
            ),
            id="outputEval",
        ),
        pytest.param(
            tool("true", '{out: {type: File, outputBinding: {outputEval: \'$({class: "File", path: "SECRET"})\'}}}'),
            id="outputEval with a path",
        ),
        pytest.param(
            tool(
                "touch a",
                "{out: {type: File, secondaryFiles: ['$(\"../../../elsewhere/secret\")'], outputBinding: {glob: a}}}",
            ),
            id="secondary file",
        ),
        *(
            pytest.param(tool(OUTPUT_JSON % (key, place), "{out: File}"), id=f"cwl.output.json, {key} {place[:8]}")
            for key in ("path", "location")
            for place in ("SECRET", "file://SECRET", "../../../elsewhere/secret")
        ),
        pytest.param(tool("ln -s SECRET cwl.output.json", "{out: File}"), id="cwl.output.json is a link"),
        *(
            pytest.param(EXPRESSION % place, id=f"expression tool {place[:8]}")
            for place in ("SECRET", "file://SECRET", "../../../elsewhere/secret", "file:SECRET", "FILE://SECRET")
        ),
        *(
            pytest.param(tool("true", listing=f"[{{entryname: {name!r}, entry: x}}]"), id=f"entry {name}")
            for name in ("../x", "d/../../x", "/tmp/x", "..", "SECRET", "../../../elsewhere/new")
        ),
        *(
            pytest.param(tool("true", listing=nested(name)), id=f"listing {name[:4]}")
            for name in ("../x", "../../../../elsewhere/new", "SECRET", "..")
        ),
        pytest.param(
            tool("true", listing='\'${ return [{class: "File", location: "SECRET"}]; }\'', more=""),
            id="listing of a secret",
        ),
        *(
            pytest.param(tool("echo x", "{out: stdout}", more=f"stdout: {name!r}"), id=f"stdout {name[:4]}")
            for name in ("../x", "SECRET", "../../../elsewhere/new", "..")
        ),
        pytest.param(tool("cat", "{out: stdout}", more="stdin: SECRET"), id="stdin"),
    ],
)
def test_a_document_leads_nowhere_else(site: Site, document: str) -> None:
    compiled = site.compile(document)
    before = site.outside()
    with pytest.raises(StepError) as caught:
        run_compiled(compiled, site.source, {}, site.run, confines=site.confines)
    assert "Unexpected error" not in str(caught.value)
    assert SECRET not in str(caught.value)
    site.check(before)


def test_a_pipe_is_no_output(site: Site) -> None:
    with pytest.raises(StepError, match="pipe"):
        site.do(tool("mkfifo out", FILE % "out"))


def test_what_is_a_runs_own_goes_through(site: Site) -> None:
    document = tool(
        "cp $(inputs.file.path) out; ln -s out link; ln -s $(inputs.file.path) given; "
        "mkdir d; cp -r $(inputs.folder.path) d/",
        "{out: {type: 'File[]', outputBinding: {glob: [out, link, given]}},"
        " d: {type: Directory, outputBinding: {glob: d}}}",
        "[{entryname: sub/x, entry: y}, $(inputs.file)]",
        "{file: File, folder: Directory}",
    )
    done = site.do(document, file=site.file(), folder=site.file("folder", "Directory"))
    assert [Path(one["path"]).read_text() for one in done["out"]] == ["harmless"] * 3
    assert Path(done["d"]["path"], "folder/b.txt").read_text() == "harmless"


# somebody swaps a file for a link after the job was checked

SWAPPED = {
    "file": ("a.txt", {"file": "a.txt"}, CAT),
    "file in a folder": ("folder/b.txt", {"folder": "folder"}, "cat $(inputs.folder.path)/b.txt > out"),
    "folder": ("folder", {"folder": "folder"}, "cat $(inputs.folder.path)/* > out"),
    "secondary file": ("a.txt.idx", {"file": "a.txt"}, "cat $(inputs.file.path).idx > out"),
    "stdin": ("a.txt", {"file": "a.txt"}, "cat > out"),
}


def swap(site: Site, name: str) -> None:
    """Put a link to what is secret in the place of a file or folder."""
    path = site.inputs / name
    is_folder = path.is_dir()
    if path.exists():
        path.rename(site.place / "elsewhere/moved")
    path.symlink_to(site.secret.parent if is_folder else site.secret)


@pytest.mark.parametrize("when", ["before the first task", "between the tasks"])
@pytest.mark.parametrize("what", SWAPPED)
def test_a_file_that_becomes_a_link_is_noticed(site: Site, what: str, when: str) -> None:
    name, given, script = SWAPPED[what]
    inputs = "{file: File?, folder: Directory?}"
    if what == "secondary file":
        (site.inputs / name).write_text("harmless")
        inputs = "{file: {type: File?, secondaryFiles: [.idx]}, folder: Directory?}"
    document = tool(script, FILE % "out", inputs=inputs, more="stdin: $(inputs.file.path)" if what == "stdin" else "")
    compiled = site.compile(document.replace("deep_listing", "no_listing"))
    job = {key: site.file(value, "File" if key == "file" else "Directory") for key, value in given.items()}
    settings = run_settings.RunSettings(engine="none", tag="test/run/task/-1/1", confines=site.confines)
    if when == "before the first task":
        swap(site, name)
    before = site.outside()

    def run() -> None:
        values = through_json(execution.start(compiled, site.source, job, site.run / "start", settings))
        if when == "between the tasks":
            swap(site, name)
        run_steps(compiled, site.source, read_plan(compiled).steps, values, site.run, settings)

    with pytest.raises(CwlError) as caught:
        run()
    assert "outside of the folders that this run may read" in told(caught.value)
    if when == "before the first task":
        site.check(before)
    assert not any(SECRET in path.read_text() for path in site.run.rglob("out"))


def test_a_file_that_is_swapped_while_it_is_opened_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at its path, and open(2)."""
    opened = os.open

    def late(path: Any, *arguments: Any, **more: Any) -> int:
        if not str(path).endswith("/a.txt"):
            return opened(path, *arguments, **more)
        swap(site, "a.txt")
        descriptor = opened(path, *arguments, **more)
        (site.place / "elsewhere/moved").rename(site.inputs / "a.txt")
        return descriptor

    inputs = "{file: {type: File, loadContents: true}}"
    document = tool("echo $(inputs.file.contents) > out", FILE % "out", inputs=inputs)
    compiled = site.compile(document)
    monkeypatch.setattr(os, "open", late)
    with pytest.raises(CwlError) as caught:
        run_compiled(compiled, site.source, {"file": site.file()}, site.run, confines=site.confines)
    assert "outside of the folders that this run may read" in told(caught.value)
    assert not any(SECRET in path.read_text() for path in site.run.rglob("out"))


def test_a_command_gets_a_file_by_its_real_name(site: Site) -> None:
    """A link in the folder for inputs is followed once, and not again by each command."""
    (site.inputs / "link").symlink_to(site.inputs / "a.txt")
    script = "readlink $(inputs.file.path) > out"
    done = site.do(tool(script, FILE % "out", inputs="{file: File}"), file=site.file("link"))
    assert Path(done["out"]["path"]).read_text().strip() == str(site.inputs / "a.txt")


def test_a_job_error_of_the_first_task_names_the_file(site: Site) -> None:
    (site.inputs / "a.txt.idx").symlink_to(site.secret)
    inputs = "{file: {type: File, secondaryFiles: [{pattern: .idx, required: false}]}}"
    with pytest.raises(JobError) as caught:
        site.do(tool(inputs=inputs), file=site.file())
    assert "a.txt.idx" in str(caught.value.problems)


NAMED = """
cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {place: string}
outputs: {out: Directory}
expression: '${ return {out: {class: "Directory", location: inputs.place}}; }'
"""
STAGED = """'${ return [{class: "Directory", basename: "d", location: inputs.place}]; }'"""


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(NAMED, id="handed on"),
        pytest.param(tool("true", listing=STAGED, inputs="{place: string}"), id="put beside a command"),
    ],
)
@pytest.mark.parametrize("name", ["inputs", "reuse"])
def test_a_folder_that_holds_what_others_own_is_not_taken_whole(site: Site, document: str, name: str) -> None:
    """A document may make a Directory of a text of the job, which is checked as a text only."""
    for folder in (site.inputs / "uploads/other", site.place / "reuse/key"):
        folder.mkdir(parents=True)
        (folder / "x").write_text(SECRET)
    confines = replace(site.confines, kept=(site.place / "reuse",))
    with pytest.raises(StepError, match=r"outside of|neither its own"):
        job = {"place": (site.place / name).as_uri()}
        run_compiled(site.compile(document), site.source, job, site.run, confines=confines)
    assert not any(SECRET in path.read_text() for path in site.run.rglob("x"))


def test_one_entry_of_what_is_kept_for_reuse_may_be_read(site: Site) -> None:
    (site.place / "reuse/key/files").mkdir(parents=True)
    confines = replace(site.confines, kept=(site.place / "reuse",))
    assert confines.allows(site.place / "reuse/key/files/x")
    assert not confines.allows(site.place / "reuse")
    assert not confines.allows(site.place / "reused/key")


@pytest.mark.parametrize("address", ["drs://drs.example.org/1", "HTTPS://data.example.org/a.txt"])
def test_a_default_on_the_network_is_told_as_such(tmp_path: Path, address: str) -> None:
    site = Site(tmp_path)
    with pytest.raises(StepError, match="is on the network: a step fetches nothing"):
        site.do(tool(CAT, inputs=f'{{file: {{type: File, default: {{class: File, location: "{address}"}}}}}}'))


def test_links_are_resolved_as_python_does_it(tmp_path: Path) -> None:
    place = tmp_path.resolve()
    (place / "folder").mkdir()
    (place / "folder/file (deleted)").write_text("x")
    for name, target in {"link": "folder", "chain": "link", "gone": "no/such", "loop": "loop"}.items():
        (place / name).symlink_to(target)
    os.mkfifo(place / "pipe")
    names = ["", "folder", "link", "chain/file (deleted)", "gone", "loop/x", "pipe", "no/such", "chain/../pipe", "x\n"]
    for path in [str(place / name) for name in names]:
        assert _resolved(path) == os.path.realpath(path), path


def test_what_is_own_is_below_a_folder_and_not_beside_it(tmp_path: Path) -> None:
    confines = Confines(FileRules(tmp_path, ()), (tmp_path / "own",), (tmp_path / "kept",))
    own = [
        confines.is_own(tmp_path / name) for name in ("own", "own/x", "own2", "own2/x", "kept", "kept/x", "kept2/x", "")
    ]
    assert own == [True, True, False, False, False, True, False, False]
    assert Confines(FileRules(tmp_path, ()), (Path("/"),)).is_own(tmp_path)
