"""Airflow's Params of a workflow: one for each input, so that Airflow's own forms and its REST API know the inputs.

The schema of a Param says two things, to two readers:

* ``$ref`` leads to what is accepted: the type of the input, and null, which means "not given". Whether a required input
  is given can't be said here: ``conf["job"]`` may give it (``run_job``). By draft 7 of JSON Schema nothing beside a
  ``$ref`` counts for validation (https://json-schema.org/draft-07/json-schema-core#rfc.section.8.3).
* What stands beside it is for forms: ``title``, ``description_md``, ``section``, and a ``type`` without "null" where a
  form should not be sent without a value.

A File or Directory may be given by its path. Importing this costs nothing; a Dag of 60 inputs costs a millisecond.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow.sdk import Param

from cwl_ui_plugin.cwl import input_hints
from cwl_ui_plugin.cwl.cwl_types import ArrayType, Compound, CwlType, OneType, RecordType, kinds_but_null, kinds_of
from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs.types import fits, type_text
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.dags.run_job import RESERVED, is_of_type
from cwl_ui_plugin.strict_json import is_text

SCHEMA = "http://json-schema.org/draft-07/schema#"
ADVANCED = "Advanced"
"""The section of inputs that the workflow would hide from most people; Airflow shows it folded."""
FILE_EXAMPLES = {
    "File": ["reads.fastq.gz", "/shared/inputs/reads.fastq.gz"],
    "Directory": ["genome", "/shared/inputs/genome"],
}
MAX_SHOWN_DEFAULT = 200
_MAX_PROBLEM = 500
_MAX_JAVASCRIPT_INTEGER = 2**53 - 1
"""A form in a browser would change greater ones, without anybody's doing."""
_SOME_PATH = r"\S"
_SIGNS = re.compile(r"[\\`*_{}\[\]<>#|~&]")
"""Those that Markdown gives a meaning, also within a line."""
_TYPES = {"boolean": "boolean", "string": "string", "int": "integer", "long": "integer"}
_NUMBER = "number"
_BITS = {"int": 32, "long": 64}
_FILES = ("File", "Directory")
_ANY_TYPE = ["string", _NUMBER, "boolean", "object", "array"]
_Schema = dict[str, Any]
"""A JSON schema."""


def params_of(plan: Plan, *, scheduled: bool = False, template: Collection[str] = ()) -> dict[str, Param]:
    """Return a Param for each input, in the order of the plan; none for a name that a conf has other uses for.

    Args:
        plan: the workflow.
        scheduled: whether the Dag has a schedule, whose runs and backfills get inputs from elsewhere: no form asks for
            them.
        template: the inputs that the schedule's job gives. They have no value in the form, which would be sent with
            each backfill and win over the schedule's.

    """
    return {
        item.id: _param(item, is_asked=not scheduled, is_given=item.id in template)
        for item in plan.inputs
        if item.id not in RESERVED and is_text(item.id)
    }


def with_own(
    params: dict[str, Param], own: Mapping[str, object] | None, inputs: Iterable[Parameter]
) -> dict[str, object]:
    """Return the Params of inputs, and what the author of a Dag file gives as ``params``: others, or values of these.

    Raises:
        JobError: a value that is not of the type of its input.

    """
    types = {item.id: item.type for item in inputs}
    merged: dict[str, object] = dict(params)
    for name, value in (own or {}).items():
        is_value = name in params and not isinstance(value, Param)
        if is_value and not is_of_type(types[name], value):
            wrong = Problem(f"expected {type_text(types[name])}, but the Dag file gives {value!r}"[:_MAX_PROBLEM])
            raise JobError("The params of the Dag do not fit its workflow's inputs.", (replace(wrong, input=name),))
        merged[name] = Param(value, source="dag", schema=params[name].schema) if is_value else value
    return merged


def _param(item: Parameter, *, is_asked: bool, is_given: bool) -> Param:
    is_wrong = item.has_default and item.default is not None and not fits(item.type, item.default)
    is_required = is_asked and not is_given and (is_wrong or not item.is_optional)
    control = _control(item, is_required)
    return Param(None if is_given else _value(item, is_wrong), source="dag", schema=_schema(item, control, is_wrong))


def _schema(item: Parameter, control: _Schema, is_wrong: bool) -> _Schema:
    section = {"section": ADVANCED} if input_hints.is_advanced(item) else {}
    return {
        "$schema": SCHEMA,
        "$ref": "#/definitions/input",
        "definitions": {"input": _nullable(_union([*kinds_but_null(item.type)]))},
        **control,
        "title": _clean(input_hints.title(item)),
        "description_md": _clean(_description(item, is_wrong)),
        **section,
    }


def _value(item: Parameter, is_wrong: bool) -> object:
    """Return what a form begins with: the default, as far as the form can send it back as it is."""
    if item.has_default:
        return item.default if not is_wrong and _can_be_sent(item) else None
    return False if item.type == "boolean" else None  # a switch has no third position


def _can_be_sent(item: Parameter) -> bool:
    return not item.is_secret and all(map(_is_simple, _nodes(item.default)))


def _nodes(value: object) -> Iterable[object]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _is_simple(node: object) -> bool:
    """Whether a browser gives a value back as it is; files that come with the workflow have no path to be shown."""
    if isinstance(node, dict):
        return node.get("class") not in _FILES
    if isinstance(node, str):
        return is_text(node)
    return isinstance(node, bool) or not isinstance(node, int) or abs(node) <= _MAX_JAVASCRIPT_INTEGER


def _description(item: Parameter, is_wrong: bool) -> str:
    parts = [f"**{_escaped(item.id)}**: {_escaped(type_text(item.type))}", item.doc or "", *_hints_on_writing(item)]
    if item.is_secret:
        parts.append("A secret: it stands in the run's conf, and nowhere else.")
    elif is_wrong:
        parts.append(f"The default of the workflow, {_shown(item.default)}, is not of this type.")
    elif item.has_default and item.default is not None:
        parts.append(f"Default: {_shown(item.default)}")
    return "\n\n".join(part for part in parts if part)


def _hints_on_writing(item: Parameter) -> Iterable[str]:
    if not _holds_only_json(item.type):
        return
    yield f"JSON, for instance {_escaped(json.dumps(_example(item.type), ensure_ascii=False))}"


def _holds_only_json(declared: CwlType) -> bool:
    """Whether the form has a field for JSON, where nobody could guess what is wanted."""
    return any(
        part["type"] == "record" or (part["type"] == "array" and _form_type(part["items"]) != ["string"])
        for part in kinds_but_null(declared)
        if not isinstance(part, str)
    )


def _example(declared: CwlType) -> object:
    parts = kinds_but_null(declared)
    part = parts[0] if parts else "null"
    if isinstance(part, dict):
        if part["type"] == "enum":
            return next(iter(part["symbols"]), "")
        if part["type"] == "record":
            return {field["name"]: _example(field["type"]) for field in part["fields"]}
        return [_example(part["items"])]
    examples: dict[str, object] = {"boolean": True, "int": 1, "long": 1, "float": 0.5, "double": 0.5, "null": None}
    return FILE_EXAMPLES[part][0] if part in _FILES else examples.get(part, "text")


def _shown(value: object) -> str:
    if isinstance(value, dict) and value.get("class") in _FILES:
        location = str(value.get("basename") or value.get("location") or value.get("path") or value["class"])
        return _escaped(location.rsplit("/", 1)[-1])
    text = json.dumps(value, ensure_ascii=False)
    return _escaped(text if len(text) <= MAX_SHOWN_DEFAULT else f"{text[:MAX_SHOWN_DEFAULT]}…")


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is. Airflow's form lays code over the lines around it."""
    return _SIGNS.sub(r"\\\g<0>", text)


def _clean(text: str) -> str:
    """Return a text that every database keeps."""
    return text if is_text(text) else text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


# What is accepted


def _definition(declared: CwlType) -> _Schema:
    if isinstance(declared, list):
        return _union(declared)
    if isinstance(declared, dict):
        return _compound(declared)
    if declared in _FILES:
        return {
            "type": ["string", "object"],
            "pattern": _SOME_PATH,
            "required": ["class"],
            "properties": {"class": {"enum": [declared]}},
        }
    if declared == "Any":
        return {"type": list(_ANY_TYPE)}
    if declared in _BITS:
        limit = 2 ** (_BITS[declared] - 1)
        return {"type": "integer", "minimum": -limit, "maximum": limit - 1}
    return {"type": _json_type(declared)}


def _compound(declared: Compound) -> _Schema:
    if declared["type"] == "array":
        return _array(declared)
    return {"enum": list(declared["symbols"])} if declared["type"] == "enum" else _record(declared)


def _array(declared: ArrayType) -> _Schema:
    """Return what accepts a list; in one of files an empty text is an empty line of the form, and left out."""
    items = _definition(declared["items"])
    items.pop("pattern", None)
    return {"type": "array", "items": items}


def _record(declared: RecordType) -> _Schema:
    fields = declared["fields"]
    required = [field["name"] for field in fields if "null" not in kinds_of(field["type"])]
    return {
        "type": "object",
        "properties": {field["name"]: _definition(field["type"]) for field in fields},
        "required": required,
        "additionalProperties": False,
    }


def _union(parts: Sequence[CwlType]) -> _Schema:
    """Return what accepts any of several types: plainly where that can be, as messages quote it."""
    if len(parts) == 1:
        return _definition(parts[0])
    if "null" in parts:
        others = [part for part in parts if part != "null"]
        return _nullable(_union(others)) if others else {"type": "null"}
    return {"anyOf": [_definition(part) for part in parts]} if parts else {"type": "null"}


def _nullable(schema: _Schema) -> _Schema:
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": list(dict.fromkeys([*kinds, "null"]))}


# What forms are told


def _control(item: Parameter, is_required: bool) -> _Schema:
    """Return what makes Airflow's form choose a control, and ask for a value."""
    parts = kinds_but_null(item.type)
    kinds = _form_type(item.type)
    hints = _control_of(parts[0], item) if len(parts) == 1 else _common_enum(parts)
    if is_required and kinds:
        return {"type": kinds[0] if len(kinds) == 1 else kinds, **hints}
    return {"type": [*kinds, "null"], **hints}


def _control_of(part: OneType, item: Parameter) -> _Schema:
    if not isinstance(part, str):
        return _compound_control(part)
    if part in _FILES:
        return {"examples": FILE_EXAMPLES[part]}
    if part == "string":
        return _text_control(item)
    return {key: value for key, value in _definition(part).items() if key in ("minimum", "maximum")}


def _text_control(item: Parameter) -> _Schema:
    if item.is_secret:
        return {"format": "password"}
    return {"format": "multiline"} if isinstance(item.default, str) and "\n" in item.default else {}


def _compound_control(part: Compound) -> _Schema:
    if part["type"] == "enum":
        return {"enum": list(part["symbols"])}
    if part["type"] == "record":
        return {}
    inner = kinds_but_null(part["items"])
    if len(inner) == 1 and isinstance(inner[0], dict) and inner[0]["type"] == "enum":
        return {"items": {"type": "string"}, "examples": list(inner[0]["symbols"])}
    kinds = _form_type(part["items"])
    return {"items": {"type": kinds[0] if len(kinds) == 1 else kinds or ["null"]}}


def _common_enum(parts: list[OneType]) -> _Schema:
    enums = [part for part in parts if not isinstance(part, str) and part["type"] == "enum"]
    if not enums or len(enums) < len(parts):
        return {}
    return {"enum": list(dict.fromkeys(symbol for part in enums for symbol in part["symbols"]))}


def _form_type(declared: CwlType) -> list[str]:
    """Return the types of JSON that a form makes values of; files are texts there."""
    found: list[str] = []
    for part in kinds_but_null(declared):
        if isinstance(part, dict):
            found.append({"array": "array", "record": "object", "enum": "string"}[part["type"]])
        else:
            found += _ANY_TYPE if part == "Any" else ["string" if part in _FILES else _json_type(part)]
    return list(dict.fromkeys(found))


def _json_type(name: str) -> str:
    return _TYPES.get(name, "null" if name == "null" else _NUMBER)
