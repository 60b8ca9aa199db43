"""A job (CWL's input object) without cwltool: read it, propose one, check it against the workflow's inputs.

The first task of a run has cwltool check the same job again; here the point is to tell a user at once, input by input,
in the words of CWL.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import yaml

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cwl.cwl_types import CwlType
from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs.file_objects import is_directive
from cwl_ui_plugin.cwl.jobs.files import file_problems
from cwl_ui_plugin.cwl.jobs.types import Checker, FileRules, type_text
from cwl_ui_plugin.cwl.plan import Parameter, Plan

__all__ = [
    "FileRules",
    "check_job",
    "check_texts",
    "job_template",
    "job_text",
    "read_job",
    "shows_default",
    "too_long",
    "type_text",
]

DEEPEST_JOB = 100
MAX_PROBLEMS = 100
LONG_LIST = 300
"""Items; people don't read what is longer."""
_MAX_KEY = 1000
"""Characters; YAML reads 1024."""
_ANOTHER_IN_YAML = re.compile("[\x85\u2028\u2029\ufeff]")
"""What YAML takes for the end of a line, or for no character."""
MAX_SUGGESTIONS = 20
"""Names that are compared with those of all inputs; a job may have a hundred thousand."""
_MAX_SUGGESTION = 100
# What a job may hold besides inputs: the folders of a run, and what CWL runners put there.
FOLDERS = ("output_folder", "outputs_folder", "tmp_folder")
REQUIREMENTS = ("cwl:requirements", "https://w3id.org/cwl/cwl#requirements")
"""Requirements that a job adds to a tool: https://www.commonwl.org/v1.2/CommandLineTool.html#Requirements_and_hints."""
_NAMESPACES = "$namespaces"
_DROPPED = ("cwl:tool", "https://w3id.org/cwl/cwl#tool", "id")
_OVERRIDES = ("cwltool:overrides", "http://commonwl.org/cwltool#overrides")
_NOT_ALLOWED = (
    "a job can't bring requirements: upload a version with these, or ask an administrator to set "
    "[cwl] allow_job_requirements"
)


def read_job(text: str, longest: int | None = None) -> dict[str, object]:
    """Read a job written as YAML or JSON, with at most ``longest`` characters if that is given.

    Raises:
        JobError: it is neither, too large or too deep, holds a key twice, or is no mapping.

    """
    if longest is not None and len(text) > longest:
        raise JobError(too_long(longest))
    try:
        job = _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        message = error.problem or "this is no YAML"
        raise JobError("The job is neither YAML nor JSON.", (Problem(message, line=line, column=column),)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise JobError(f"The job is neither YAML nor JSON: {error}") from error
    except RecursionError:
        raise JobError("The job is nested too deeply.") from None
    if job is None:
        return {}
    if not isinstance(job, dict):
        raise JobError("A job is a mapping from input names to values, for instance `message: hello`.")
    check_texts(job)
    return job


def too_long(longest: int) -> str:
    """Return what is said about a job with more characters than it may have."""
    return f"The job is longer than {longest} characters ([cwl] max_job_size); give large data as files."


def check_texts(job: object) -> None:
    """Raise :class:`JobError` for a job that is too deep, is not JSON, or has texts that no database can keep."""
    for node in _nodes(job):
        if isinstance(node, str) and not strict_json.is_text(node):
            raise JobError("The job has a text with a null character or half of a surrogate pair in it.")
        if not isinstance(node, (dict, list, str, int, float, type(None))):
            raise JobError(f"The job has a value that JSON does not have: {str(node)[:80]}")


def check_depth(job: object) -> None:
    """Raise :class:`JobError` for a job that is too deep for functions that call themselves."""
    for _node in _nodes(job):
        pass


def _too_deep() -> JobError:
    return JobError(f"The job is nested deeper than {DEEPEST_JOB} levels.")


def _nodes(job: object) -> Iterator[object]:
    """Yield the values of a job at any depth, and their names."""
    waiting: list[tuple[object, int]] = [(job, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST_JOB:
            raise _too_deep()
        yield node
        if isinstance(node, dict):
            waiting += [(part, depth + 1) for pair in node.items() for part in pair]
        elif isinstance(node, list):
            waiting += [(part, depth + 1) for part in node]


def job_template(plan: Plan) -> dict[str, object]:
    """Return a job to start from: required inputs with an example of their type, optional ones as they default."""
    required = {item.id: _example(item.type) for item in plan.inputs if not item.is_optional}
    optional = {item.id: item.default for item in plan.inputs if item.is_optional and shows_default(item)}
    return {**required, **optional}


def job_text(plan: Plan, job: Mapping[str, object] | None = None) -> str:
    """Return a job as YAML, each input below a comment with its label and type."""
    shown = job_template(plan) if job is None else dict(job)
    parts = []
    for item in sorted(plan.inputs, key=lambda parameter: parameter.is_optional):
        if item.id in shown:
            found = shown.pop(item.id)
            value = _dump_long(item.id, found) or _dump({item.id: found})
        else:
            example = item.default if item.is_optional else _example(item.type)
            value = "".join(f"# {line}\n" for line in _dump({item.id: example}).splitlines())
        parts.append(_comment(item) + value)
    if shown:
        parts.append(_dump(shown))
    return "\n".join(parts) or "{}\n"


def check_job(
    plan: Plan, job: Mapping[str, object], files: FileRules, *, allow_requirements: bool = False, is_whole: bool = True
) -> dict[str, object]:
    """Return the job with absolute locations of its files.

    What the workflow has no input for is left out, as CWL runners do; unless it looks like a misspelt input, or would
    mean more to a runner than an input: ``cwl:requirements`` (taken with ``allow_requirements``), ``$import``. What is
    taken are ``$namespaces``, so that a file may have the format ``edam:format_2330``. A job that is not whole gets the
    inputs that it lacks from elsewhere.

    Raises:
        JobError: with one problem for each input that is missing, misspelt or of a wrong type.

    """
    check_depth(job)
    inputs = {item.id: item for item in plan.inputs}
    checker = Checker(files)
    checked: dict[str, object] = {}
    problems: list[Problem] = []
    for name, value in job.items():
        if name in inputs:
            found: list[Problem] = []
            checked[name] = checker.check(_accepted_type(inputs[name]), value, found)
            found += () if found else file_problems(inputs[name], checked[name])
            problems += [replace(problem, input=_input_path(name, problem.input)) for problem in found]
        elif name == _NAMESPACES or (allow_requirements and name in REQUIREMENTS):
            checked[name] = value
            problems += _runner_problems(name, value)
    problems += _strangers(job, inputs, allow_requirements)
    if is_whole:
        problems += [_missing(item) for item in plan.inputs if not item.is_optional and item.id not in job]
    if problems:
        raise JobError("The job does not fit the workflow's inputs.", _first(problems))
    return checked


def _strangers(
    job: Mapping[str, object], inputs: Mapping[str, Parameter], allow_requirements: bool
) -> Iterator[Problem]:
    """Yield what is wrong with the names in a job that the workflow has no input for."""
    known = (*FOLDERS, *_DROPPED, _NAMESPACES, *(REQUIREMENTS if allow_requirements else ()))
    unused = [name for name in inputs if name not in job]
    suggestions = 0
    for name in job:
        if name in inputs or name in known:
            continue
        if name in _OVERRIDES:
            yield Problem("a job can't override requirements; upload a version with these", input=name)
        elif name in REQUIREMENTS:
            yield Problem(_NOT_ALLOWED, input=name)
        elif is_directive(name):
            yield Problem("the workflow has no such input, and a job holds no directives of CWL runners", input=name)
        elif unused and suggestions < MAX_SUGGESTIONS and len(name) < _MAX_SUGGESTION:
            suggestions += 1
            if meant := _meant(name, unused):
                yield Problem(f"the workflow has no such input; did you mean {meant!r}?", input=name)


def _runner_problems(name: str, value: object) -> Iterator[Problem]:
    """Yield what is wrong with the form of requirements or namespaces; the rest is for cwltool to say."""
    if name in REQUIREMENTS:
        if not isinstance(value, list) or not all(isinstance(part, dict) and "class" in part for part in value):
            yield Problem("requirements are a list of objects, each with a class", input=name)
    elif not isinstance(value, dict) or not all(isinstance(part, str) for part in value.values()):
        yield Problem("namespaces are a mapping of prefixes to addresses", input=name)


def _first(problems: list[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are told: a hundred thousand would be no help."""
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    return (*problems[:MAX_PROBLEMS], Problem(f"and {len(problems) - MAX_PROBLEMS} more problems"))


def _accepted_type(item: Parameter) -> CwlType:
    """An input with a default may be null: CWL then takes the default."""
    return ["null", item.type] if item.has_default else item.type


def _input_path(name: str, inner: str | None) -> str:
    return f"{name}{inner or ''}"


def _missing(item: Parameter) -> Problem:
    return Problem(f"this input is required; give it a value of type {type_text(item.type)}", input=item.id)


def _meant(name: str, missing: list[str]) -> str | None:
    """Return the input that a name was probably meant to be."""
    return next(iter(difflib.get_close_matches(name, missing, n=1)), None)


def shows_default(item: Parameter) -> bool:
    """Whether a default can be shown for editing: files that came with the workflow can't."""
    return item.has_default and item.default is not None and "class" not in str(item.default)


def _example(declared: CwlType) -> object:
    if isinstance(declared, list):
        return _example(next((part for part in declared if part != "null"), "null"))
    if isinstance(declared, dict):
        if declared["type"] == "enum":
            return declared["symbols"][0] if declared["symbols"] else ""
        if declared["type"] == "record":
            return {field["name"]: _example(field["type"]) for field in declared["fields"]}
        return []
    examples: dict[str, object] = {
        "boolean": False,
        "int": 0,
        "long": 0,
        "float": 0.0,
        "double": 0.0,
        "string": "",
        "File": {"class": "File", "location": ""},
        "Directory": {"class": "Directory", "location": ""},
    }
    return examples.get(declared)


def _comment(item: Parameter) -> str:
    text = f"{item.label}: " if item.label else ""
    optional = ", optional" if item.is_optional else ""
    lines = [f"{text}{type_text(item.type)}{optional}", *(item.doc or "").strip().splitlines()]
    return "".join(f"# {line}\n" for line in lines)


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100)


def _dump_long(name: str, value: object) -> str:
    """Return a long list as YAML with a line of JSON for each item: fifty times as fast; an empty text for all else."""
    if not isinstance(value, list) or len(value) <= LONG_LIST or not _has_short_keys(value):
        return ""
    try:
        lines = [f"- {json.dumps(item, ensure_ascii=False, allow_nan=False)}\n" for item in value]
    except ValueError:
        return ""
    text = f"{_dump({name: []}).rpartition(' []')[0]}\n{''.join(lines)}"
    return "" if yaml.reader.Reader.NON_PRINTABLE.search(text) or _ANOTHER_IN_YAML.search(text) else text


def _has_short_keys(value: object) -> bool:
    """Whether YAML reads the names in a value, as JSON writes them, on one line."""
    if isinstance(value, list):
        return all(map(_has_short_keys, value))
    if not isinstance(value, dict):
        return True
    return all(len(json.dumps(key, ensure_ascii=False)) < _MAX_KEY for key in value) and all(
        map(_has_short_keys, value.values())
    )


def _load(text: str) -> object:
    """Read JSON as such: YAML is slower, and has other ideas of characters written as pairs."""
    if text.lstrip().startswith("{"):
        try:
            return strict_json.loads(text)
        except ValueError:
            pass  # YAML may write mappings so, too; and it says in which line the mistake is
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, see below


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, without what a job must not have: a key twice, anchors that multiply, dates."""

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Refuse the first bracket that is too deep: the scanner looks at all that are open for each token."""
        if self.flow_level > DEEPEST_JOB:
            raise _too_deep()
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed in a job", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Read an integer of YAML 1.2: a leading 0 does not make it octal."""
        text = str(node.value)
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


# Dates stay texts, `1e5` is a number as in JSON and YAML 1.2, `yes` and `no` are texts.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":timestamp", ":bool", ":float", ":int"))]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _resolve_as_yaml_1_2() -> None:
    """Add the scalars of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#1032-tag-resolution)."""
    add = _Loader.add_implicit_resolver
    add("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    add("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$|^0o[0-7]+$|^0x[0-9a-fA-F]+$"), list("-+0123456789"))
    number = r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
    special = r"^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    add("tag:yaml.org,2002:float", re.compile(f"{number}|{special}"), list("-+0123456789."))


_resolve_as_yaml_1_2()
