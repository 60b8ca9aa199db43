"""Whether an event of OpenLineage is as its specification says.

The JSON schemas of the specification are in no Python package. The classes of ``openlineage-python`` are generated from
them, one for each ``_schemaURL``: an event is valid if each part of it has the fields that its class has, no others,
and of their types. Our own facets are checked by the schemas that we publish.
"""

from __future__ import annotations

import json
import pkgutil
import types
import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Union
from urllib.parse import urlsplit

import attr
from dateutil.parser import isoparse
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

OPEN_LINEAGE = "https://openlineage.io/spec/"
CORE = f"{OPEN_LINEAGE}2-0-2/OpenLineage.json"
BASE = {
    "type": "object",
    "properties": {
        "_producer": {"type": "string", "format": "uri"},
        "_schemaURL": {"type": "string", "format": "uri"},
    },
    "required": ["_producer", "_schemaURL"],
}
"""What the specification says of every facet."""
HOLDERS = {
    ("run", "facets"): "RunFacet",
    ("job", "facets"): "JobFacet",
    ("inputs", "facets"): "DatasetFacet",
    ("inputs", "inputFacets"): "InputDatasetFacet",
    ("outputs", "facets"): "DatasetFacet",
    ("outputs", "outputFacets"): "OutputDatasetFacet",
}


def problems(event: dict[str, Any]) -> list[str]:
    """Return what is wrong with an event."""
    return [
        *_core(event),
        *(problem for holder, name, facet in facets(event) for problem in _facet(holder, name, facet)),
    ]


def facets(event: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each facet: the class that it has to be of, its name, and itself."""
    for (part, field), holder in HOLDERS.items():
        found = event.get(part) or []
        for item in found if isinstance(found, list) else [found]:
            for name, facet in (item.get(field) or {}).items():
                yield holder, name, facet


def _core(event: dict[str, Any]) -> Iterator[str]:
    from openlineage.client.event_v2 import RunEvent, RunState

    allowed = {field.name for field in attr.fields(RunEvent)}
    yield from (f"the event has a field {name}" for name in event.keys() - allowed)
    if event["schemaURL"] != f"{CORE}#/$defs/RunEvent":
        yield f"schemaURL is {event['schemaURL']}"
    if event["eventType"] not in {state.value for state in RunState}:
        yield f"eventType is {event['eventType']}"
    isoparse(event["eventTime"])
    if not urlsplit(event["producer"]).scheme:
        yield "the producer is no URI"
    parts = [("run", event["run"], {"runId"}, {"facets"}), ("job", event["job"], {"namespace", "name"}, {"facets"})]
    for side, more in (("inputs", "inputFacets"), ("outputs", "outputFacets")):
        parts += [(side, item, {"namespace", "name"}, {"facets", more}) for item in event.get(side, [])]
    for name, part, required, optional in parts:
        if not required <= part.keys() <= required | optional:
            yield f"{name} has the fields {sorted(part)}"
        if not all(isinstance(part.get(key), str) and part.get(key) for key in required):
            yield f"{name} has an empty or a wrong field"


def _facet(holder: str, name: str, facet: dict[str, Any]) -> Iterator[str]:
    missing = BASE["required"] - facet.keys()  # type: ignore[operator]
    if missing:
        yield f"{name}: no {missing}"
        return
    url = facet["_schemaURL"]
    if "cwl" in name:
        yield from (f"{name}: {error.message}" for error in _own_schema(url).iter_errors(facet))
    elif url.startswith(OPEN_LINEAGE) and not url.startswith(CORE):  # else one of Airflow's, which has no schema
        yield from (f"{name}: {problem}" for problem in _of_class(_classes()[url], holder, facet))


def _own_schema(url: str) -> Draft202012Validator:
    """Return the schema that the plugin publishes there."""
    from cwl_ui_plugin.observing.lineage.schema_files import schema_file

    path, _, name = url.partition("#/$defs/")
    found = schema_file(path.rpartition("/")[2])
    assert found is not None, url
    core = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": dict.fromkeys(HOLDERS.values(), BASE)}
    registry: Registry[Any] = Registry().with_resources(
        [(CORE, Resource.from_contents(core)), ("own", Resource.from_contents(json.loads(found.read_text())))]
    )
    return Draft202012Validator({"$ref": f"own#/$defs/{name}"}, registry=registry)


def _classes() -> dict[str, type]:
    """Return the classes of all facets by the address of their schema."""
    from openlineage.client import generated
    from openlineage.client.generated.base import BaseFacet

    modules = [
        import_module(f"{generated.__name__}.{found.name}") for found in pkgutil.iter_modules(generated.__path__)
    ]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {kind._get_schema(): kind for kind in kinds if issubclass(kind, BaseFacet)}


def _of_class(kind: type, holder: str, facet: dict[str, Any]) -> Iterator[str]:
    from openlineage.client.generated import base

    if not issubclass(kind, getattr(base, holder)):
        yield f"it is no {holder}"
    yield from _fields(kind, facet)


def _fields(kind: type, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{value!r} is no {kind.__name__}"
        return
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in attr.fields(kind)}
    yield from (f"it has a field {name}" for name in value.keys() - fields.keys())
    for name, field in fields.items():
        if name in value:
            yield from (f"{name}: {problem}" for problem in _of_type(hints[name], value[name]))
        elif field.default is attr.NOTHING:
            yield f"it has no {name}"


def _of_type(hint: Any, value: Any) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        found = [list(_of_type(choice, value)) for choice in arguments]
        if all(found):
            yield found[0][0]
    elif origin is list:
        items = value if isinstance(value, list) else [None]
        yield from (problem for item in items for problem in _of_type(arguments[0], item))
    elif isinstance(hint, type) and attr.has(hint):
        yield from _fields(hint, value)
    elif hint is types.NoneType:
        if value is not None:
            yield f"{value!r} is not null"
    elif isinstance(hint, type) and hint in (str, int, float, bool):
        wanted = (int, float) if hint is float else hint
        if not isinstance(value, wanted) or isinstance(value, bool) != (hint is bool):
            yield f"{value!r} is no {hint.__name__}"
