"""Write the parts of docs/ that the code says: between ``<!-- generated:NAME -->`` and ``<!-- end:NAME -->``.

    python tools/reference.py            # writes what has changed (make reference)
    python tools/reference.py --check    # ends with 1 and says what would change

What stands around these blocks is written by hand. Pages are read in the repository, too, so the blocks are kept there.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "cwl_ui_plugin"
BLOCK = re.compile(r"(<!-- generated:([a-z-]+)((?: [\w/.]+)*) -->\n)(.*?)(<!-- end:\2 -->)", re.DOTALL)
PUBLIC: dict[str, tuple[str, ...]] = {
    "cwl_ui_plugin.dags.dag": ("CWLDAG",),
    "cwl_ui_plugin.task_group": ("CWLTaskGroup",),
    "cwl_ui_plugin.operators": ("CwlRunOperator", "CwlToolOperator"),
    "cwl_ui_plugin.decorators": ("cwl_task",),
    "cwl_ui_plugin.auth.jwt_backend": ("init_app", "requires_authentication"),
    "cwl_ui_plugin.signing.keys": ("KeyPair", "generate_key_pair", "public_of", "fingerprint"),
    "cwl_ui_plugin.signing.tokens": ("sign", "verify", "check", "Verified"),
    "cwl_ui_plugin.signing.triggers": ("TriggerPolicy", "read_policy", "sign_trigger", "verify_trigger"),
}
"""What others may import; the policy for compatibility holds for it."""
CLIENT: dict[str, tuple[str, ...]] = {
    "cwl_ui_client.client": ("Client",),
    "cwl_ui_client.running": ("Key",),
    "cwl_ui_client.models": ("Result", "Run", "Step", "Progress", "StopReport", "Workflow", "Batch"),
}
"""The same of the client library; ``AsyncClient`` has the methods of ``Client``."""
_KINDS_OF_METHODS = ("get", "head", "post", "put", "patch", "delete")


def main() -> int:
    """Write the blocks, or tell which are old."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 where something would change")
    check = parser.parse_args().check
    old = {path: text for path, text in pages() if path.read_text(encoding="utf-8") != text}
    for path, text in old.items():
        print(f"{path.relative_to(ROOT)} {'is old: make reference' if check else 'is new'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and old else 0


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each page with generated blocks, as it should be."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if BLOCK.search(text):
            yield path, BLOCK.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    return f"{found[1]}{_lines(WRITERS[found[2]](*found[3].split()))}{found[5]}"


def options() -> Iterator[str]:
    """All options of ``[cwl]``, from ``options.OPTIONS``."""
    from cwl_ui_plugin import options

    yield from _row("option", "type", "default", "meaning")
    yield "| --- | --- | --- | --- |"
    for option in options.OPTIONS:
        example = f" Example: `{option.example}`." if option.example else ""
        default = f"`{option.default}`" if option.default else ""
        yield from _row(f"`{option.name}`", option.type, default, _coded(option.description) + example)


def _coded(text: str) -> str:
    """Return a text with its patterns of paths as code: as HTML, ``<dag_id>`` would not be seen."""
    return re.sub(r"(?<!`)(?:[\w.-]*/)*<[\w ]+>(?:/[\w<>-]+)*", lambda found: f"`{found[0]}`", text)


def commands() -> Iterator[str]:
    """All commands with their arguments, from the parsers."""
    from cwl_ui_plugin.cli.main import COMMANDS

    for name, (module, text) in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"cwl-ui-plugin {name}")
        importlib.import_module(f"cwl_ui_plugin.cli.{module}").add_arguments(parser)
        for title, meaning, actions in _parsers(name, text, parser):
            yield from ("", f"### {title}", "", f"{meaning[0].upper()}{meaning[1:]}.", "")
            yield from _row("argument", "meaning")
            yield "| --- | --- |"
            for action in actions:
                yield from _row(_argument(action), _help(action))
    yield ""


def _parsers(name: str, text: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, list[argparse.Action]]]:
    """Yield a command, or those below it, with what it takes."""
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    below = next((action for action in actions if isinstance(action, argparse._SubParsersAction)), None)
    if below is None:
        yield name, text, actions
        return
    helps = {choice.dest: choice.help or text for choice in below._choices_actions}
    for word, subparser in below.choices.items():
        yield from _parsers(f"{name} {word}", helps[word], subparser)


def _argument(action: argparse.Action) -> str:
    takes = "" if action.nargs == 0 else _metavar(action)
    if not action.option_strings:
        many = {"+": " ...", "*": " ...", "?": " (may be left out)"}.get(str(action.nargs), "")
        return f"`{takes}`{many}"
    spelled = ", ".join(f"`{spelling}`" for spelling in sorted(action.option_strings, key=len, reverse=True))
    if not takes:
        return spelled
    return f"{spelled} `[{takes}]`" if action.nargs == "?" else f"{spelled} `{takes}`"


def _metavar(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return f"{{{','.join(map(str, action.choices))}}}"
    return str(action.metavar or action.dest.upper())


def _help(action: argparse.Action) -> str:
    return f"{_coded(action.help or '')}{' (needed)' if action.required and action.option_strings else ''}".strip()


def routes() -> Iterator[str]:
    """All calls of the REST API, from its OpenAPI document."""
    from cwl_ui_plugin import addresses
    from cwl_ui_plugin.api import rest

    document = rest.app().openapi()
    yield from _row("call", "does", "answers")
    yield "| --- | --- | --- |"
    for path, method, operation in _operations(document):
        yield from _row(
            f"`{method.upper()} {path.removeprefix(addresses.REST_BELOW)}`{_taken(operation, document)}",
            " ".join(operation.get("description", "").split()),
            ", ".join(code for code in sorted(operation["responses"]) if code.startswith("2")),
        )


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in _KINDS_OF_METHODS:
            if method in methods:
                yield path, method, methods[method]


def _taken(operation: dict[str, Any], document: dict[str, Any]) -> str:
    """Return what a call takes: its query, and its body."""
    query = [f"`{item['name']}`" for item in operation.get("parameters", ()) if item["in"] == "query"]
    parts = [f"<br>query: {', '.join(query)}"] if query else []
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        fields = [f"`{name}`" for name in _resolved(content.get("schema", {}), document).get("properties", {})]
        parts.append(f"<br>{kind.partition('/')[2].removeprefix('x-')}: {', '.join(fields) or 'the file'}")
    return "".join(parts)


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        if choice.get("type") != "null":
            return _resolved(choice, document)
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def python_api() -> Iterator[str]:
    """What others may import: read and not imported, so that annotations stand as they are written."""
    yield from _described_modules(PUBLIC, ROOT)


def python_client() -> Iterator[str]:
    """What users of the client library import."""
    yield from _described_modules(CLIENT, ROOT / "client" / "src")


def _described_modules(public: dict[str, tuple[str, ...]], root: Path) -> Iterator[str]:
    for module, names in public.items():
        tree = ast.parse((root / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        yield from ("", f"## {module}", "", prose(ast.get_docstring(tree)), "")
        yield from described([node for node in tree.body if getattr(node, "name", "") in names])


def described(body: Iterable[ast.stmt], methods_of: str = "") -> Iterator[str]:
    """Yield the public functions and classes of a module, or the methods of a class."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            name = f"{methods_of}{node.name}"
            yield from ("", f"{'###' if not methods_of else '####'} {name}", "")
            yield from (f"    {line}" for line in _signature(node, name).splitlines())
            yield from ("", prose(ast.get_docstring(node)), "")
            if isinstance(node, ast.ClassDef):
                yield from described(node.body, f"{name}.")


def _signature(node: ast.FunctionDef | ast.ClassDef, name: str) -> str:
    if isinstance(node, ast.FunctionDef):
        kinds = [ast.unparse(decorator) for decorator in node.decorator_list]
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return (
            f"{name}{returned.replace(' ->', ':')}" if "property" in kinds else f"{name}({_taken_by(node)}){returned}"
        )
    made_by = next((item for item in node.body if getattr(item, "name", "") == "__init__"), None)
    if isinstance(made_by, ast.FunctionDef):
        return f"class {name}({_taken_by(made_by)})"
    fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
    return "\n".join([f"class {name}{'' if not fields else ':'}", *(f"    {field}" for field in fields)])


def _taken_by(node: ast.FunctionDef) -> str:
    given = re.sub(r"(: [^,=()]+)=", r"\1 = ", ast.unparse(node.args))
    return re.sub(r"^(self|cls)(, )?", "", given)


def modules(folder: str) -> Iterator[str]:
    """The modules of a folder of the package, and those of the rooms in it, each with what its docstring says."""
    for room in _rooms(PACKAGE / folder):
        name = room.relative_to(PACKAGE).as_posix()
        if room != PACKAGE / folder:
            yield from ("", f"### {name}/", "", _first_line(room / "__init__.py"), "")
        yield from _row("module", "what is in it")
        yield "| --- | --- |"
        for module in sorted(room.glob("*.py")):
            if module.name != "__init__.py":
                yield from _row(f"`{module.name}`", _first_line(module))


def _rooms(folder: Path) -> list[Path]:
    """Return a folder and the packages in it; the package itself is alone, its rooms have their own lists."""
    inside = [
        path.parent for path in folder.rglob("__init__.py") if not {"migrations", "__pycache__"} & set(path.parts)
    ]
    found = sorted({folder, *inside} if folder != PACKAGE else {folder})
    return [room for room in found if any(path.name != "__init__.py" for path in room.glob("*.py"))]


def _first_line(module: Path) -> str:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return prose(docstring.partition("\n")[0])


def prose(docstring: str | None) -> str:
    """Return a docstring as Markdown: roles of Sphinx as code, sections as lists."""
    text = re.sub(r":[a-z:]+:`~?([^`]+)`", r"`\1`", docstring or "").replace("``", "`")
    lines = []
    for line in inspect.cleandoc(text).splitlines():
        section = re.fullmatch(r"(Raises|Returns|Args|Yields):", line)
        item = re.fullmatch(r"    (\w+): (.*)", line)
        lines.append(f"**{section[1]}**\n" if section else f"* `{item[1]}`: {item[2]}" if item else line.rstrip())
    return "\n".join(lines).strip()


def _row(*cells: str) -> Iterator[str]:
    yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _lines(lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def example(name: str) -> Iterator[str]:
    """A Dag file of ``examples/dags/``, as it is; tests run it."""
    yield from (
        "",
        "```python",
        *(ROOT / "examples" / "dags" / name).read_text(encoding="utf-8").splitlines(),
        "```",
        "",
    )


WRITERS: dict[str, Callable[..., Iterable[str]]] = {
    "options": options,
    "commands": commands,
    "routes": routes,
    "python-api": python_api,
    "python-client": python_client,
    "modules": modules,
    "example": example,
}

if __name__ == "__main__":
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="cwl-ui-plugin-reference-"))
    sys.exit(main())
