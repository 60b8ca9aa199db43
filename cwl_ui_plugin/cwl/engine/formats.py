"""File formats: the part of an ontology that a document's format checks can ever ask for.

With ``$schemas`` a document brings ontologies of tens of thousands of statements. A check walks from a file's format up
to the one that is asked for, so only edges that lead to a format named in the document matter.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from cwltool.process import Process

from cwl_ui_plugin.cwl.engine.cwltool_internals import format_graph_of

if TYPE_CHECKING:
    from rdflib import Graph


# The two predicates that cwl_utils.file_formats follows.
EDGES = (
    "http://www.w3.org/2000/01/rdf-schema#subClassOf",
    "http://www.w3.org/2002/07/owl#equivalentClass",
)


def format_edges(process: Process) -> list[list[str]]:
    """Return ``[subject, predicate, object]`` of all edges from which a format of the document can be reached."""
    graph = format_graph_of(process)
    if graph is None or not len(graph):
        return []
    into: dict[str, list[list[str]]] = defaultdict(list)
    for subject, predicate, target in graph:
        if str(predicate) in EDGES:
            edge = [str(subject), str(predicate), str(target)]
            into[edge[2]].append(edge)
            if edge[1] == EDGES[1]:  # equivalence is followed both ways
                into[edge[0]].append(edge)
    waiting = list(_named_formats(process))
    seen: set[str] = set()
    found: dict[tuple[str, ...], list[str]] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for edge in into[name]:
            found[tuple(edge)] = edge
            waiting += [edge[0], edge[2]] if edge[1] == EDGES[1] else [edge[0]]
    return list(found.values())


def format_graph(edges: list[list[str]]) -> Graph | None:
    """Return the edges as the graph that cwltool's check takes, or None for none."""
    if not edges:
        return None
    from rdflib import Graph, URIRef

    graph = Graph()
    for edge in edges:
        graph.add(tuple(URIRef(part) for part in edge))  # type: ignore[arg-type]
    return graph


def _named_formats(process: Process) -> set[str]:
    named: set[str] = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            value = node.get("format")
            named.update(item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
            for child in node.values():
                collect(child)
        elif isinstance(node, list):
            for child in node:
                collect(child)

    process.visit(collect)
    return named
