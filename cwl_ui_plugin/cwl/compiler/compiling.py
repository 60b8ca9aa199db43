"""From an uploaded document to a compiled folder (see ``plan``). Imports cwltool: run it in a process of its own.

cwltool loads, validates and updates the document; what it holds afterwards is plain data. Each step is stored as a
workflow of one step with all that it inherits, so that a task loads its own step document in milliseconds.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cwltool.context import LoadingContext
from cwltool.errors import UnsupportedRequirement, WorkflowException
from cwltool.load_tool import fetch_document, make_tool, resolve_and_validate_document
from cwltool.process import Process, use_custom_schema
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import aslist
from cwltool.workflow import Workflow, default_make_tool
from ruamel.yaml.error import YAMLError
from schema_salad.exceptions import SchemaSaladException
from schema_salad.utils import json_dumps

from cwl_ui_plugin.cwl.compiler.approvals import refuse_lost_approvals
from cwl_ui_plugin.cwl.compiler.fetching import local_fetcher
from cwl_ui_plugin.cwl.compiler.main_process import main_process
from cwl_ui_plugin.cwl.compiler.planning import make_plan
from cwl_ui_plugin.cwl.compiler.written_order import WrittenOrder
from cwl_ui_plugin.cwl.engine.cwltool_internals import DRAFT_DOCUMENT_TEXT, EXTENSIONS, OLD_DOCUMENT_TEXT
from cwl_ui_plugin.cwl.engine.formats import format_edges
from cwl_ui_plugin.cwl.engine.javascript import use_shipped_node
from cwl_ui_plugin.cwl.engine.problems import explain, problem_at, problems_of
from cwl_ui_plugin.cwl.errors import DocumentError, Problem, UnsupportedError
from cwl_ui_plugin.cwl.malformed_documents import DOCUMENT_SUFFIXES
from cwl_ui_plugin.cwl.plan import (
    END_DOCUMENT,
    PACKED_FILE,
    PLAN_FILE,
    SOURCE_TOKEN,
    START_DOCUMENT,
    STEP_DOCUMENTS,
    CwlObject,
    Plan,
    Step,
    StepDocument,
    installed_engine,
    may_change,
)
from cwl_ui_plugin.fetching.hosts import HostRules

SUPPORTED_VERSIONS = ("v1.0", "v1.1", "v1.2")
DRAFT_VERSIONS = ("v1.3.0-dev1",)
"""Taken where a site says so."""
# A requirement of another vocabulary: right CWL, which nobody here knows how to satisfy.
_FOREIGN_CLASS = re.compile(r"Field 'class' contains undefined reference to 'https?://(?!w3id\.org/cwl/)")
_VERSION = r"""^[\s{]*["']?cwlVersion["']?\s*:\s*["']?(?:cwl:)?(?P<version>%s)"""
_OLD_VERSION = re.compile(_VERSION % r"draft-[\w.-]+")
_DRAFT = re.compile(_VERSION % r"v[\d.]+-dev\d+")
_ABOUT_DRAFTS = (
    f"Supported are {', '.join(SUPPORTED_VERSIONS)}; {', '.join(DRAFT_VERSIONS)} is taken where the administrator has "
    "set [cwl] allow_draft_versions = True."
)
MAX_PLACES = 20
# cwltool meets some malformed documents with Python's own errors; an empty one with StopIteration.
_MALFORMED = (YAMLError, ValueError, LookupError, TypeError, AttributeError, AssertionError, StopIteration)
_EXTENSIONS_NAMESPACE = "http://commonwl.org/cwltool"
_PROCESS_KEYS_DROPPED = ("doc", "label")


def compile_document(
    source: Path,
    main: str,
    out: Path,
    *,
    fetch_hosts: str = "",
    allow_drafts: bool = False,
    progress: Callable[[str], None] = lambda _message: None,
) -> Plan:
    """Validate the document ``main`` of the upload in ``source`` and write its compiled folder ``out``.

    ``main`` may end with ``#fragment`` to choose a process of a packed document; the plan says which one was taken.
    ``fetch_hosts`` are those that documents may be fetched from; ``allow_drafts`` takes documents in
    :data:`DRAFT_VERSIONS`, too.

    Raises:
        ChoiceError: a packed document, and it is not clear which of its processes is meant.
        DocumentError: what is wrong, each thing with file, line and column.
        UnsupportedError: valid CWL that cwltool can't run.

    """
    source = source.resolve()
    use_shipped_node()
    progress("Reading the document")
    _know_extensions()
    context = _loading_context(source, fetch_hosts, allow_drafts)
    main, process, order = _load_or_explain(source, main, context, progress)
    _refuse_operations(process, main)
    _refuse_twins(process, main, source)
    progress("Compiling the plan")
    return _write(process, source, main, out, order)


@cache
def _know_extensions() -> None:
    for cwl_version, file in EXTENSIONS.items():
        use_custom_schema(cwl_version, _EXTENSIONS_NAMESPACE, files("cwltool").joinpath(file).read_text("utf-8"))


def _load_or_explain(
    source: Path, main: str, context: LoadingContext, progress: Callable[[str], None]
) -> tuple[str, Process, WrittenOrder]:
    try:
        return _load(source, main, context, progress)
    except DocumentError:
        raise
    except UnsupportedRequirement as error:
        raise UnsupportedError(f"{main} needs what is not supported.", problems_of(error, source)) from error
    except RecursionError as error:
        raise DocumentError(
            f"{main} runs itself, directly or through another document, or is nested too deeply."
        ) from error
    except (SchemaSaladException, WorkflowException, *_MALFORMED) as error:
        if OLD_DOCUMENT_TEXT in str(error):
            raise _of_old_version(source) from error
        if DRAFT_DOCUMENT_TEXT in str(error):
            raise _of_draft(source) from error
        explained = explain(error, source, main)
        if all(_FOREIGN_CLASS.search(problem.message) for problem in explained.problems):
            raise UnsupportedError(f"{main} needs what is not supported.", explained.problems) from error
        raise explained from error


def _of_old_version(source: Path) -> UnsupportedError:
    """Name the documents of an upload that are older than CWL v1.0: cwltool does not say which it has met."""
    found = _places_of(_OLD_VERSION, source, "is not supported; convert the document, for instance with cwl-upgrader")
    supported = ", ".join(SUPPORTED_VERSIONS)
    return UnsupportedError(f"A document is older than CWL v1.0; supported are {supported}.", found)


def _of_draft(source: Path) -> UnsupportedError:
    """Name the documents of an upload that are in a draft of CWL."""
    return UnsupportedError(
        f"A document is in a draft of CWL. {_ABOUT_DRAFTS}", _places_of(_DRAFT, source, "is a draft")
    )


def _places_of(version: re.Pattern[str], source: Path, complaint: str) -> tuple[Problem, ...]:
    """Return where the documents of an upload say that they are of some version."""
    found = []
    for path in sorted(path for path in source.rglob("*") if path.is_file() and path.suffix in DOCUMENT_SUFFIXES):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := version.search(line):
                text = f"CWL {match['version']} {complaint}"
                found.append(Problem(text, file=path.relative_to(source).as_posix(), line=number))
    return tuple(found[:MAX_PLACES])


def _refuse_operations(process: Process, main: str) -> None:
    """Raise :class:`UnsupportedError` for a document with an Operation: a place that nothing was written for yet."""
    found: list[str] = []

    def look(tool: CwlObject) -> None:
        if tool.get("class") == "Operation":
            found.append(str(tool["id"]).rpartition("/")[2].partition("#")[0])

    process.visit(look)
    if found:
        named = ", ".join(name for name in found if not name.startswith("_:"))  # one within a step has no name
        raise UnsupportedError(f"{main} can't be run: it has an abstract Operation{named and f' ({named})'}.")


def _refuse_twins(process: Process, main: str, source: Path) -> None:
    """Raise :class:`DocumentError` for two inputs, outputs or steps with one id: cwltool runs some of them.

    An input and an output, or an output and a step, may share one.
    """
    problems: list[Problem] = []

    def look(tool: CwlObject) -> None:
        for kind in ("inputs", "outputs", "steps"):
            first = set[str]()
            for item in tool.get(kind) or ():
                if item["id"] in first:
                    text = f"the id {str(item['id']).rpartition('#')[2]!r} is used for two {kind}; give each its own"
                    problems.append(problem_at(text, item, source))
                first.add(item["id"])

    process.visit(look)
    if problems:
        raise DocumentError(f"{main} is not valid CWL.", tuple(dict.fromkeys(problems)))


def _load(
    source: Path, main: str, context: LoadingContext, progress: Callable[[str], None]
) -> tuple[str, Process, WrittenOrder]:
    """Return the process, and the name of the document with the ``#fragment`` that it was chosen by."""
    path, hash_sign, fragment = main.partition("#")
    uri = (source / path).as_uri() + hash_sign + fragment
    if not (source / path).read_bytes().strip():
        raise DocumentError(f"{path} is empty; there is no CWL document in it.")
    context, document, uri = fetch_document(uri, context)
    _check_version(document, path, context.enable_dev)
    if not fragment and (chosen := main_process(document, path)):
        main, uri, fragment = f"{path}#{chosen}", f"{uri}#{chosen}", chosen
    order = WrittenOrder.of(document, fragment)
    progress("Validating")
    context, uri = resolve_and_validate_document(context, document, uri)
    progress("Building the workflow")
    process = make_tool(uri, context)
    if not isinstance(process, Process):
        raise DocumentError(f"{main} is no Workflow, CommandLineTool or ExpressionTool.")
    return main, process, order


def _loading_context(source: Path, fetch_hosts: str, allow_drafts: bool) -> LoadingContext:
    return LoadingContext(
        {
            "construct_tool_object": default_make_tool,
            "fetcher_constructor": local_fetcher(source, HostRules.of(fetch_hosts.split(","))),
            "disable_js_validation": True,
            "resolver": None,
            "enable_dev": allow_drafts,
        }
    )


def _check_version(document: object, path: str, allow_drafts: bool) -> None:
    if not isinstance(document, dict):
        raise DocumentError(f"{path} is no CWL document: it holds no mapping with cwlVersion and class.")
    version = document.get("cwlVersion")
    if version is None:
        raise DocumentError(
            f"{path} is no CWL document: it has no cwlVersion. Begin it with `cwlVersion: v1.2`.",
            (Problem("cwlVersion is missing", file=path, line=1),),
        )
    if version not in SUPPORTED_VERSIONS and not (allow_drafts and version in DRAFT_VERSIONS):
        supported = ", ".join(SUPPORTED_VERSIONS)
        about = _ABOUT_DRAFTS if version in DRAFT_VERSIONS else f"Supported are {supported}."
        line = document.lc.value("cwlVersion")[0] + 1 if hasattr(document, "lc") else None
        raise UnsupportedError(
            f"{path} is in CWL {version}. {about}",
            (Problem(f"cwlVersion {version} is not supported", file=path, line=line),),
        )


def _write(process: Process, source: Path, main: str, out: Path, order: WrittenOrder) -> Plan:
    """Write all files of the compiled folder; the folder of the upload stands in them as a token."""
    plan = make_plan(process, main, installed_engine(), order)
    refuse_lost_approvals(process, plan, source)
    (out / STEP_DOCUMENTS).mkdir(parents=True, exist_ok=True)
    token = _Tokenizer(source)
    documents = (
        _workflow_documents(process, plan.steps, plan.namespaces)
        if isinstance(process, Workflow)
        else _tool_documents(process, plan)
    )
    edges = format_edges(process)
    for name, document in documents.items():
        text = json_dumps({**document, "formats": edges}, default=str)
        (out / STEP_DOCUMENTS / f"{name}.json").write_text(token.put(text), encoding="utf-8")
    packed = token.put(json_dumps(_document(process), indent=1, default=str))
    (out / PACKED_FILE).write_text(packed, encoding="utf-8")
    text = token.put(replace(plan, changes_in_place=may_change(packed)).to_json())
    (out / PLAN_FILE).write_text(text, encoding="utf-8")
    return Plan.from_json(text)


class _Tokenizer:
    """Makes a JSON text independent of where the upload was when it was compiled."""

    def __init__(self, source: Path) -> None:
        self._base = source.as_uri() + "/"
        self._ids = re.compile(re.escape(self._base) + r'([^"#]*)#')

    def put(self, text: str) -> str:
        """Return the text with ids and files of the upload as ``plan`` describes them."""
        return self._ids.sub(r"cwl:\1#", text).replace(self._base, SOURCE_TOKEN)


def _tool_documents(process: Process, plan: Plan) -> dict[str, StepDocument]:
    tool: StepDocument = {"tool": _document(process), "namespaces": plan.namespaces}
    return {START_DOCUMENT: tool, plan.steps[0].document: tool, END_DOCUMENT: {}}


def _workflow_documents(
    workflow: Workflow, plan_steps: tuple[Step, ...], namespaces: dict[str, str], prefix: str = ""
) -> dict[str, StepDocument]:
    """Return the step documents of a workflow: its inputs, each step, its outputs; each with nothing else in it."""
    head = {
        **_document(workflow),
        "requirements": workflow.requirements,
        "hints": workflow.hints,
        "inputs": [],
        "outputs": [],
        "steps": [],
    }
    types = {parameter["id"]: {"type": parameter["type"]} for parameter in workflow.tool["inputs"]}
    for loaded in workflow.steps:
        types.update({output["id"]: {"type": output["type"]} for output in loaded.tool["outputs"]})

    def sources(parameters: list[CwlObject], field: str) -> dict[str, CwlObject]:
        return {name: types[name] for parameter in parameters for name in aslist(parameter.get(field) or [])}

    document = _document(workflow)
    steps = {step["id"]: step for step in document["steps"]}
    documents: dict[str, StepDocument] = {
        prefix + START_DOCUMENT: {
            "wf": {**head, "inputs": document["inputs"]},
            "namespaces": namespaces,
            "sources": {},
        },
        prefix + END_DOCUMENT: {
            "wf": {**head, "outputs": document["outputs"]},
            "sources": sources(document["outputs"], "outputSource"),
        },
    }
    loaded_steps = {loaded.id: loaded for loaded in workflow.steps}
    for step in plan_steps:
        raw = steps[step.full_id]
        documents[step.document] = {"wf": {**head, "steps": [raw]}, "sources": sources(raw["in"], "source")}
        if step.steps:
            inner: Any = loaded_steps[step.full_id].embedded_tool
            documents |= _workflow_documents(inner, step.steps, namespaces, f"{step.document}.")
    return documents


def _document(process: Process) -> CwlObject:
    """Return a resolved process as plain JSON, with the processes that its steps run inlined."""
    plain = json.loads(json_dumps(process.tool, default=str))
    document = {
        key: value
        for key, value in plain.items()
        if ":" not in key and key[0] != "$" and key not in _PROCESS_KEYS_DROPPED
    }
    # Kept for each process: documents of several versions may be mixed, and defaults differ between versions.
    document.update({key: process.metadata[key] for key in ("cwlVersion", ORIGINAL_CWLVERSION)})
    known = {loaded.id: loaded for loaded in getattr(process, "steps", ())}
    for step in document.get("steps", []):
        loaded = known[step["id"]]
        step["run"] = _document(loaded.embedded_tool)
        _keep_link_merges(step, loaded.tool["inputs"])
    return document


def _keep_link_merges(step: CwlObject, inputs: list[CwlObject]) -> None:
    """Write down how links are merged where cwltool's check of types has decided it: runs rely on that."""
    decided = {item["id"]: item["linkMerge"] for item in inputs if "linkMerge" in item}
    for item in step["in"]:
        if item["id"] in decided:
            item["linkMerge"] = decided[item["id"]]


def quiet() -> None:
    """Keep cwltool's log for warnings; what is wrong is raised."""
    logging.getLogger("cwltool").setLevel(logging.ERROR)
    logging.getLogger("salad").setLevel(logging.ERROR)
