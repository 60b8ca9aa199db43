"""The examples that come with the plugin: the list of workflows offers those that were not added yet."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config, resources
from cwl_ui_plugin.library.paths import copy
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.workflow_models import Upload, UploadRights
from cwl_ui_plugin.services.workflows import uploads
from cwl_ui_plugin.services.workflows.uploads import UploadedFile

INPUTS = "examples"
"""Where the data of the examples goes to, below the folder of inputs."""


@dataclass(frozen=True)
class Example:
    """A workflow to try out; ``main`` is its document, which stands in its folder with the tools that it runs.

    ``job`` is an input object that it can be run with once it is there.
    """

    name: str
    title: str
    text: str
    main: str
    job: dict[str, object]


def _file(name: str) -> dict[str, str]:
    return {"class": "File", "location": f"{INPUTS}/{name}"}


EXAMPLES = (
    Example(
        "word-count",
        "Word count",
        "A single tool: counts the words of a text.",
        "word-count.cwl",
        {"text": _file("README.md")},
    ),
    Example(
        "gc-content",
        "GC content along a genome",
        "Splits a genome, counts in parallel (scatter) and plots the result. Needs awk and sort.",
        "gc-content/gc-content.cwl",
        {"genome": _file("lambda_virus.fa"), "window": 250, "title": "GC content of phage lambda"},
    ),
    Example(
        "variant-calling",
        "Variant calling",
        "Aligns reads to a genome and calls variants. Needs bwa, samtools and bcftools.",
        "variant-calling/variant-calling.cwl",
        {
            "genome": _file("lambda_virus.fa"),
            "reads": [_file("reads_1.fq.gz"), _file("reads_2.fq.gz")],
            "sample": "lambda",
        },
    ),
)


def available() -> tuple[Example, ...]:
    """Return the examples that are installed."""
    root = _root()
    return tuple(example for example in EXAMPLES if (root / example.main).is_file())


def not_added() -> tuple[Example, ...]:
    """Return those that are not among the workflows, by their names."""
    store = open_store()
    return tuple(example for example in available() if example.name not in store)


def job_of(dag_id: str) -> dict[str, object] | None:
    """Return an input object for an example that was uploaded, if its data is there."""
    example = next((example for example in EXAMPLES if example.name == dag_id), None)
    return example.job if example and (config.inputs_folder() / INPUTS).is_dir() else None


def start(name: str, *, user: str, rights: UploadRights) -> Upload:
    """Upload an example, and put its data where inputs are.

    Raises:
        NotFound: there is no such example; and what :func:`uploads.start_upload` raises.

    """
    example = next((example for example in available() if example.name == name), None)
    if example is None:
        raise NotFound(f"There is no example {name!r}.")
    _copy_data()
    main = _root() / example.main
    paths = [main] if main.parent == _root() else sorted(main.parent.rglob("*.cwl"))
    with ExitStack() as opened:
        files = [
            UploadedFile(path.relative_to(main.parent).as_posix(), opened.enter_context(path.open("rb")))
            for path in paths
        ]
        return uploads.start_upload(files, user=user, rights=rights, dag_id=name, main=main.name)


def _copy_data() -> None:
    target = config.inputs_folder() / INPUTS
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(_root() / "data", target, copy_function=lambda source, made: copy(Path(source), Path(made)))


def _root() -> Path:
    return Path(resources.folder("examples"))
