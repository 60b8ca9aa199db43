"""What an expression of a Dag file will be, as far as its text tells; nothing of it is executed."""

from __future__ import annotations

import ast
import os.path
from collections.abc import Callable, Iterator, Mapping

Values = Mapping[str, str]
_LONGEST = 100_000
_DEEPEST = 50
_PATHS: dict[str, Callable[..., str]] = {
    "join": os.path.join,
    "dirname": os.path.dirname,
    "basename": os.path.basename,
    "abspath": os.path.normpath,
    "realpath": os.path.normpath,
    "normpath": os.path.normpath,
}
"""Functions of ``os.path`` that look at no disk, as a Dag file's own path is absolute."""


def text_of(node: ast.expr, values: Values, depth: int = 0) -> str | None:
    """Return the text that an expression will be, None where that can't be told."""
    found: str | None = None
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Constant):
        found = node.value if isinstance(node.value, str) else None
    elif isinstance(node, ast.Name):
        found = values.get(node.id)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        found = _joined([node.left, node.right], values, depth)
    elif isinstance(node, ast.JoinedStr):
        found = _joined([_part(part) for part in node.values], values, depth)
    elif isinstance(node, ast.Call):
        found = _of_path(node, values, depth)
    return found if found is not None and len(found) <= _LONGEST else None


def module_values(tree: ast.Module, file: str) -> dict[str, str]:
    """Return the texts that a module's names have, in order; a name that is given twice has the last."""
    values = {"__file__": file}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, text = statement.targets[0], text_of(statement.value, values)
            if isinstance(target, ast.Name):
                values.pop(target.id, None)
                if text is not None:
                    values[target.id] = text
    return values


def calls_of(tree: ast.Module, function: ast.FunctionDef, values: Values) -> Iterator[dict[str, str]]:
    """Yield, for each call of a function that stands at the top of a module, the texts of its parameters."""
    names = [argument.arg for argument in function.args.args]
    for statement in tree.body:
        call = statement.value if isinstance(statement, (ast.Assign, ast.Expr)) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == function.name:
            given = dict(zip(names, call.args, strict=False))
            given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
            found = {name: text_of(value, values) for name, value in given.items()}
            yield {**values, **{name: text for name, text in found.items() if text is not None}}


def _part(node: ast.expr) -> ast.expr:
    is_plain = isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None
    return node.value if is_plain and isinstance(node, ast.FormattedValue) else node


def _joined(nodes: list[ast.expr], values: Values, depth: int) -> str | None:
    texts = [text_of(node, values, depth + 1) for node in nodes]
    return None if None in texts else "".join(text for text in texts if text is not None)


def _of_path(node: ast.Call, values: Values, depth: int) -> str | None:
    name = ast.unparse(node.func)
    function = _PATHS.get(name.removeprefix("os.path.").removeprefix("path."))
    if function is None or node.keywords or not node.args:
        return None
    texts = [text_of(argument, values, depth + 1) for argument in node.args]
    if None in texts or (function is not os.path.join and len(texts) > 1):
        return None
    return function(*texts)
