"""What a site asks of tools holds for every way that CWL has to say what a tool runs in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.podman import IMAGE, IMAGE_FILE, IMAGE_TEXT, Podman

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.containers.engines import detect_engine
from cwl_ui_plugin.cwl.containers.policy import ContainerPolicy, NotAnImage, complaints, full_name
from cwl_ui_plugin.cwl.engine import execution
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.graph import graph_of
from cwl_ui_plugin.cwl.plan import read_packed, read_plan

DIGEST = "sha256:" + "0123456789abcdef" * 4
REQUIRED = ContainerPolicy(required=True, allow_network=False)
LISTED = ContainerPolicy(images=("quay.io/biocontainers/*", "debian", "*@sha256:*"))
DEBIAN = {"DockerRequirement": {"dockerPull": "debian:stable-slim"}}
EVIL = {"DockerRequirement": {"dockerPull": "evil.example/x"}}
NETWORK = {"NetworkAccess": {"networkAccess": True}}


def tool(**parts: Any) -> dict[str, Any]:
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "baseCommand": "true",
        "inputs": {},
        "outputs": {},
        **parts,
    }


def workflow(run: dict[str, Any], step: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    steps = {"one": {"run": run, "in": {}, "out": [], **(step or {})}}
    head = {"cwlVersion": "v1.2", "class": "Workflow", "inputs": {}, "outputs": {}, "steps": steps}
    requirements = {"SubworkflowFeatureRequirement": {}, **parts.pop("requirements", {})}
    return {**head, "requirements": requirements, **parts}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., list[str]]:
    """Compile a document, and return what a site has against it; its graph says the same."""

    def look(document: dict[str, Any], policy: ContainerPolicy) -> list[str]:
        (tmp_path / "source").mkdir()
        (tmp_path / "source/main.cwl").write_text(json.dumps(document))
        plan = compiling.compile_document(tmp_path / "source", "main.cwl", tmp_path / "compiled")
        packed = read_packed(tmp_path / "compiled")
        found = [problem.message for problem in complaints(packed, policy)]
        assert sum(
            '"refused": "' in text for text in json.dumps(graph_of(plan, packed, policy), indent=1).split("\n")
        ) == len(found)
        return found

    return look


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (tool(), "runs outside of a container"),
        (tool(requirements=DEBIAN), None),
        (tool(hints=DEBIAN), None),
        (workflow(tool()), "runs outside of a container"),
        (workflow(tool(), requirements=DEBIAN), None),
        (workflow(tool(), hints=DEBIAN), None),
        (workflow(tool(), step={"requirements": DEBIAN}), None),
        (workflow(tool(), step={"hints": DEBIAN}), None),
        (workflow(workflow(tool()), hints=DEBIAN), None),
        (workflow(workflow(workflow(tool()))), "runs outside of a container"),
        (tool(requirements={"DockerRequirement": {"dockerFile": "FROM debian", "dockerImageId": "x"}}), "dockerFile"),
        (tool(requirements={"DockerRequirement": {"dockerLoad": "/x.tar", "dockerImageId": "x"}}), "dockerLoad"),
        (tool(requirements={"DockerRequirement": {"dockerImport": "/", "dockerImageId": "x"}}), "dockerImport"),
        (
            tool(requirements={"DockerRequirement": {"dockerPull": "debian", "dockerFile": "FROM evil"}}),
            "made by the document",
        ),
        (tool(requirements={"DockerRequirement": {"dockerImageId": "debian"}}), None),
        (tool(requirements={"DockerRequirement": {"dockerPull": "--privileged"}}), "no name of an image"),
        (tool(requirements={"DockerRequirement": {"dockerPull": "-v/:/host"}}), "no name of an image"),
        (tool(requirements={"DockerRequirement": {"dockerOutputDirectory": "/x"}}), "names no image"),
        (tool(requirements={**DEBIAN, **NETWORK}), "NetworkAccess"),
        (tool(requirements=DEBIAN, hints=NETWORK), None),  # it gets none, and may do without
        (workflow(tool(), requirements={**DEBIAN, **NETWORK}), "NetworkAccess"),
        ({**tool(requirements=[{"class": "DockerRequirement", "dockerPull": "debian"}]), "cwlVersion": "v1.0"}, None),
        (
            {
                "cwlVersion": "v1.2",
                "class": "ExpressionTool",
                "requirements": {"InlineJavascriptRequirement": {}},
                "inputs": {},
                "outputs": {},
                "expression": "${return {};}",
            },
            None,
        ),
    ],
)
def test_only_in_containers(refused: Callable[..., list[str]], document: dict[str, Any], why: str | None) -> None:
    found = refused(document, REQUIRED)
    assert bool(found) == bool(why), found
    assert not why or why in found[0]


@pytest.mark.parametrize(
    ("document", "is_refused"),
    [
        (tool(), False),
        (tool(requirements=EVIL), True),
        (tool(hints=EVIL), True),
        (tool(hints=EVIL, requirements=DEBIAN), False),
        (tool(requirements=EVIL, hints=DEBIAN), True),
        (workflow(tool(), requirements=EVIL), True),
        (workflow(tool(hints=DEBIAN), requirements=EVIL), True),
        (workflow(tool(requirements=DEBIAN), requirements=EVIL), False),
        (workflow(tool(requirements=EVIL), requirements=DEBIAN), True),
        (workflow(tool(), step={"requirements": EVIL}, requirements=DEBIAN), True),
        (workflow(workflow(tool(), hints=EVIL), hints=DEBIAN), True),
        (tool(requirements={"DockerRequirement": {"dockerPull": "debian", "dockerImageId": "evil"}}), True),
        (tool(requirements={"DockerRequirement": {"dockerPull": "$(inputs.image)"}}), True),
        (tool(requirements={"DockerRequirement": {"dockerFile": "FROM debian"}}), True),
    ],
)
def test_only_listed_images(refused: Callable[..., list[str]], document: dict[str, Any], is_refused: bool) -> None:
    assert bool(refused(document, LISTED)) == is_refused


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("docker.io/debian", "docker.io/library/debian:latest"),
        ("index.docker.io/library/debian", "docker.io/library/debian:latest"),
        ("docker://debian", "docker.io/library/debian:latest"),
        ("biocontainers/bwa:1", "docker.io/biocontainers/bwa:1"),
        ("QUAY.io/biocontainers/bwa", "quay.io/biocontainers/bwa:latest"),
        ("localhost/x:1", "localhost/x:1"),
        ("registry:5000/a/b", "registry:5000/a/b:latest"),
        (f"quay.io/x/y:1@{DIGEST}", f"quay.io/x/y@{DIGEST}"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}"),
    ],
)
def test_an_image_is_named_in_full(image: str, full: str) -> None:
    assert full_name(image) == full


@pytest.mark.parametrize(
    "image",
    [
        *("", "-x", "--volume=/:/host@sha256:1", "a b", "a\nb", "x@sha256:12", "x@md5:1", "Debian/X", "/x", "../x"),
        *("a//b:", "oci:/x", "library://x", "debian:$(inputs.tag)", "debian:latest\n", "docker.io/", "x:", "./x"),
        *("quay.io/biocontainers/../evil/x", "quay.io/biocontainers/./x", "a//b", "a/.b", "a/-b", "a..b"),
        *(f"x@{DIGEST}:latest", "a" * 100_000, "a-" * 200 + "-"),
    ],
)
def test_what_is_no_name_of_an_image_is_none(image: str) -> None:
    with pytest.raises(NotAnImage):
        full_name(image)


@pytest.mark.parametrize(
    ("pattern", "image", "allowed"),
    [
        ("debian", "debian", True),
        ("debian", "debian:12", True),
        ("debian", f"debian@{DIGEST}", True),
        ("debian:12", "debian:13", False),
        ("debian:12", "docker.io/library/debian:12", True),
        ("debian", "evil.example/library/debian", False),
        ("debian", "evil/debian", False),
        ("biocontainers/*", "biocontainers/bwa:1", True),
        ("biocontainers/*", "quay.io/biocontainers/bwa:1", False),
        ("quay.io/biocontainers/*", "quay.io/biocontainers/bwa", True),
        ("quay.io/biocontainers/*", "evil.example/quay.io/biocontainers/bwa", False),
        ("quay.io/biocontainers/*", "quay.io/biocontainersx/bwa", False),
        ("*@sha256:*", "debian:12", False),
        ("*@sha256:*", f"evil.example/x@{DIGEST}", True),
        ("*", "anything/at-all", True),
    ],
)
def test_patterns(pattern: str, image: str, allowed: bool) -> None:
    policy = ContainerPolicy(images=(pattern,))
    assert (policy.complaint({"dockerPull": image}) is None) == allowed


Run = Callable[..., str]


@pytest.fixture
def run(podman: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """``run(policy, document, engine="podman")``: what its only step printed. Nobody has looked at it before."""
    for name, value in podman.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("cwltool.docker._IMAGES", set())
    yield partial(run_document, tmp_path)
    assert podman.containers() == []


def test_what_it_is_given_and_what_came_with_the_workflow_is_in_the_container(run: Run, tmp_path: Path) -> None:
    for name in ("given/a.txt", "given/a.txt.idx", "given/folder/b.txt", "source/own.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    file = {"class": "File", "location": (tmp_path / "given/a.txt").as_uri(), "basename": "a.txt"}
    index = {"class": "File", "location": (tmp_path / "given/a.txt.idx").as_uri(), "basename": "a.txt.idx"}
    folder = {"class": "Directory", "location": (tmp_path / "given/folder").as_uri(), "basename": "folder"}
    inputs = {
        "file": {"type": "File", "secondaryFiles": [".idx"]},
        "folder": "Directory",
        "own": {"type": "File", "default": {"class": "File", "location": "own.txt"}},
    }
    staged = {"InitialWorkDirRequirement": {"listing": ["$(inputs.folder)", {"entryname": "x", "entry": "made\n"}]}}
    script = "cat $0 $0.idx folder/b.txt $1 x > all.txt; cat all.txt"
    words = ["sh", "-c", script, "$(inputs.file.path)", "$(inputs.own.path)"]
    outputs = {"all": {"type": "File", "outputBinding": {"glob": "all.txt", "loadContents": True}}}
    document = {**tool(requirements={**OURS, **staged}), "inputs": inputs, "outputs": outputs, "arguments": words}
    del document["baseCommand"]
    values = {"file": [{**file, "secondaryFiles": [index]}, "success"], "folder": [folder, "success"]}
    printed = run(REQUIRED, document, values=values)
    assert printed == "given/a.txt\ngiven/a.txt.idx\ngiven/folder/b.txt\nsource/own.txt\nmade\n"


def run_document(
    folder: Path,
    policy: ContainerPolicy,
    document: dict[str, Any],
    engine: str = "podman",
    values: dict[str, Any] | None = None,
) -> str:
    (folder / "source").mkdir(exist_ok=True)
    (folder / "source/main.cwl").write_text(json.dumps(document))
    compiling.compile_document(folder / "source", "main.cwl", folder / "compiled")
    step = read_plan(folder / "compiled").steps[0]
    settings = RunSettings(engine=detect_engine(engine), tag="test/policy/task/-1/1", containers=policy)
    execution.run_step(folder / "compiled", folder / "source", step, values or {}, folder / "run", settings)
    return (folder / "run/stdout.log").read_text()


OURS = {"DockerRequirement": {"dockerPull": IMAGE}}
SHORT = {"DockerRequirement": {"dockerPull": IMAGE.removeprefix("docker.io/library/")}}
FOREIGN = {"type": "File", "default": {"class": "File", "location": "file:///etc/hostname"}}
MADE_UP = {
    "InlineJavascriptRequirement": {},
    "InitialWorkDirRequirement": {"listing": "${return [{class: 'Directory', location: 'file:///etc'}];}"},
}
COUNT = ["grep", "-c", ":", "/proc/net/dev"]


def test_a_contained_tool_runs_under_every_policy_and_sees_no_network(run: Run) -> None:
    policy = ContainerPolicy(required=True, images=(IMAGE,), allow_network=False)
    assert run(policy, tool(baseCommand=COUNT, requirements=SHORT, hints=NETWORK)) == "1\n"


def test_the_network_reaches_a_tool_where_the_site_gives_it(run: Run) -> None:
    outside = sum(":" in line for line in Path("/proc/net/dev").read_text().splitlines())
    policy = ContainerPolicy(required=True, allow_network=True)
    assert run(policy, tool(baseCommand=COUNT, requirements={**OURS, **NETWORK})) == f"{outside}\n"


def test_a_hint_is_run_in_its_container_within_a_scattered_subworkflow(run: Run) -> None:
    inner = workflow(tool(baseCommand=["cat", IMAGE_FILE], hints=OURS))
    assert run(REQUIRED, workflow(inner)) == IMAGE_TEXT


@pytest.mark.parametrize(
    ("policy", "document", "engine", "why"),
    [
        (REQUIRED, tool(), "podman", "containers only"),
        (REQUIRED, tool(hints=OURS), "none", "this worker has no container engine"),
        (REQUIRED, tool(requirements=OURS), "none", "this worker has no container engine"),
        (REQUIRED, workflow(workflow(tool())), "podman", "containers only"),
        (REQUIRED, tool(requirements={**OURS, **NETWORK}), "podman", "NetworkAccess"),
        (REQUIRED, tool(requirements={"DockerRequirement": {"dockerFile": f"FROM {IMAGE}"}}), "podman", "dockerFile"),
        (LISTED, tool(requirements=OURS), "podman", "none of those"),
        (LISTED, workflow(tool(hints=DEBIAN), requirements=OURS), "podman", "none of those"),
        (
            LISTED,
            tool(requirements={"DockerRequirement": {"dockerPull": "debian", "dockerImageId": IMAGE}}),
            "podman",
            "none of those",
        ),
        (ContainerPolicy(), tool(requirements={"DockerRequirement": {"dockerPull": "--help"}}), "podman", "no name"),
        (REQUIRED, tool(requirements=OURS, inputs={"file": FOREIGN}), "podman", "neither an input"),
        (REQUIRED, tool(requirements={**OURS, **MADE_UP}), "podman", "neither an input"),
        (REQUIRED, workflow(tool(requirements={**OURS, **MADE_UP})), "podman", "neither an input"),
    ],
)
def test_what_is_not_allowed_does_not_run_in_a_task_either(
    run: Run, tmp_path: Path, policy: ContainerPolicy, document: dict[str, Any], engine: str, why: str
) -> None:
    with pytest.raises(StepError, match=why) as caught:
        run(policy, document, engine)
    assert caught.value.kind in ("permanentFail", "unsupported")
    assert not (tmp_path / "run/command.json").exists()


def test_inputs_are_not_written_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shared.txt").write_text("everybody's")
    file = {"class": "File", "location": (tmp_path / "shared.txt").as_uri(), "basename": "shared.txt"}
    inplace = {
        "InplaceUpdateRequirement": {"inplaceUpdate": True},
        "InitialWorkDirRequirement": {"listing": [{"entry": "$(inputs.file)", "writable": True}]},
    }
    document = tool(
        requirements={**OURS, **inplace}, inputs={"file": "File"}, baseCommand=["sh", "-c", "echo x > shared.txt"]
    )
    with pytest.raises(StepError, match="InplaceUpdateRequirement"):
        run(REQUIRED, document, values={"file": [file, "success"]})
    assert (tmp_path / "shared.txt").read_text() == "everybody's"


@pytest.mark.parametrize(
    "binding", [{"loadContents": True}, {"outputEval": "$(self[0].contents)", "loadContents": True}, {}]
)
def test_a_link_that_is_made_in_a_container_leads_nowhere_outside(
    run: Run, tmp_path: Path, binding: dict[str, Any]
) -> None:
    (tmp_path / "worker.cfg").write_text("known to the worker only")
    document = tool(
        requirements={**OURS, "InlineJavascriptRequirement": {}},
        baseCommand=["ln", "-s", str(tmp_path / "worker.cfg"), "link"],
        outputs={"out": {"type": "Any", "outputBinding": {"glob": "link", **binding}}},
    )
    with pytest.raises(StepError) as caught:
        run(REQUIRED, document)
    assert "known to the worker only" not in f"{caught.value} {caught.value.stderr}"


def test_udocker_is_no_wall(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "udocker").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "udocker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(StepError, match="udocker keeps a tool neither"):
        run(REQUIRED, tool(requirements=OURS), "udocker")
