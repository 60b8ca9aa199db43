"""What is wrong with the form of documents that cwltool meets with an error of Python's own, and names no place for.

Looked up only when it has failed: in which file and line something is not of the kind that CWL wants there
(https://www.commonwl.org/v1.2/SchemaSalad.html#Document_preprocessing).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from cwl_ui_client.yaml_bounds import is_too_deep

from cwl_ui_plugin.cwl.errors import Problem

NOT_IN_UPLOAD = "is not in the upload"
DOCUMENT_SUFFIXES = (".cwl", ".yml", ".yaml", ".json")
MAX_INT = 4000
"""Digits that Python reads (sys.int_info.default_max_str_digits)."""
_Loader: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD_TAGS = "tag:yaml.org,2002:"
_PROCESSES = ("CommandLineTool", "ExpressionTool", "Workflow", "Operation")
_COLLECTIONS = ("inputs", "outputs", "steps", "requirements", "hints")


def malformed(source: Path) -> tuple[Problem, ...]:
    """Return what is wrong with the form of the documents of an upload, as far as it can be seen without cwltool."""
    problems: list[Problem] = []
    for path in _documents(source):
        name = path.relative_to(source).as_posix()
        problems += (_at(node, name, message) for node, message in _wrong_in(path.read_bytes()))
    return tuple(problems)


def empty(source: Path) -> tuple[Problem, ...]:
    """Return the documents of an upload that have nothing in them."""
    found = [path for path in _documents(source) if all(line[:1] in (b"", b"#") for line in _lines(path))]
    text = "there is nothing in this document"
    return tuple(Problem(text, file=path.relative_to(source).as_posix(), line=1) for path in found)


def _lines(path: Path) -> list[bytes]:
    return [line.strip() for line in path.read_bytes().splitlines()]


def first_line_with(source: Path, text: str) -> tuple[str | None, int | None]:
    """Return the first document of an upload that has a text in it, and the line; twice None if none has."""
    for path in _documents(source):
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if text in line:
                return path.relative_to(source).as_posix(), number
    return None, None


def _documents(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file() and path.suffix in DOCUMENT_SUFFIXES)


def _at(node: yaml.Node, file: str, message: str) -> Problem:
    mark = node.start_mark
    return Problem(message, file=file, line=mark.line + 1, column=mark.column + 1)


def _root(text: bytes) -> yaml.Node | None:
    """Return the root of a document; None where it is empty, or no YAML: cwltool says where."""
    try:
        return None if is_too_deep(text) else yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _wrong_in(text: bytes) -> Iterator[tuple[yaml.Node, str]]:
    """Yield the nodes of a document that are of a wrong kind, with what is said of each."""
    root = _root(text)
    waiting, seen = [root] if root else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield from _wrong_node(node)
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            yield from _wrong_process(node)
            waiting += (value for _key, value in node.value)


def _wrong_node(node: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    if not node.tag.startswith(_STANDARD_TAGS):
        yield node, f"CWL has no YAML tags such as {node.tag}"
    if isinstance(node, yaml.MappingNode):
        yield from ((key, "a key must be a text") for key, _value in node.value if _kind(key) != "text")
    if node.tag.endswith(":int") and len(node.value) > MAX_INT:
        yield node, f"a number with more than {MAX_INT} digits can't be read"


def _wrong_process(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, str]]:
    """Yield what is wrong with a mapping that is a process, or should be one."""
    fields = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if isinstance(graph := fields.get("$graph"), yaml.SequenceNode):
        yield from (
            (item, "each process in $graph must be a mapping with an id") for item in graph.value if not _has_id(item)
        )
    if "class" in fields and _kind(fields["class"]) != "text":
        yield fields["class"], f"class must be a text, such as CommandLineTool, and this is {_kind(fields['class'])}"
        return
    if "class" not in fields or fields["class"].value not in _PROCESSES:
        return
    if "id" in fields and _kind(fields["id"]) != "text":
        yield fields["id"], f"an id must be a text, and this is {_kind(fields['id'])}"
    for name in _COLLECTIONS:
        if name in fields:
            yield from _wrong_collection(name, fields[name])


def _has_id(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and any(key.value == "id" for key, _value in node.value)


def _wrong_collection(name: str, value: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    if not isinstance(value, yaml.CollectionNode):
        yield value, f"{name} must be a mapping or a list, and this is {_kind(value)}; without any, write {name}: []"
    elif isinstance(value, yaml.SequenceNode):
        for item in value.value:
            if not isinstance(item, yaml.MappingNode):
                wanted = "class" if name in ("requirements", "hints") else "id"
                yield item, f"each of the {name} in a list must be a mapping with {wanted}, and this is {_kind(item)}"


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    kinds = {"null": "nothing", "int": "a number", "float": "a number", "bool": "true or false"}
    return kinds.get(node.tag.rpartition(":")[2], "text")
