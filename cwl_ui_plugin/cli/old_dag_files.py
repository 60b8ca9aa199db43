"""Dag files of the predecessors, read as text: what is to be written instead, and what nobody can write for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cwl_ui_plugin.cli.static_values import Values, calls_of, module_values, text_of
from cwl_ui_plugin.library.compressed import decompressed, is_compressed
from cwl_ui_plugin.library.errors import BadUpload

ROOTS = ("cwl_airflow", "cwl_airflow_parser")
ENDS = ("CWLJobDispatcher", "CWLJobGatherer")
RENAMED = {"cwl_workflow": "workflow", "schedule_interval": "schedule", "concurrency": "max_active_tasks"}
GONE = ("default_view", "orientation", "full_filepath", "sla_miss_callback")
OF_CWLTOOL = ("cwl", "tmp_folder", "basedir", "quiet", "strict", "on_error", "skip_schemas")
MOST_BYTES = 1 << 25
OLD_AIRFLOW = {
    "airflow.utils.dates": "write a date: datetime(2026, 1, 1, tzinfo=timezone.utc)",
    "airflow.operators.python_operator": "it is airflow.providers.standard.operators.python",
    "airflow.operators.bash_operator": "it is airflow.providers.standard.operators.bash",
    "airflow.operators.dummy_operator": "it is airflow.providers.standard.operators.empty",
    "airflow.utils.db": "provide_session is in airflow.utils.session",
    "airflow.utils.decorators": "apply_defaults is not needed any more",
    "airflow.contrib": "what was there is in providers",
}


@dataclass(frozen=True)
class Finding:
    """Something of a file that is to be known; ``blocks``: the file can't be rewritten because of it."""

    line: int
    text: str
    blocks: bool = True


@dataclass(frozen=True)
class FoundDag:
    """A Dag of a file; what can't be told from its text is None. ``workflow`` is a path, or a compressed document."""

    line: int
    dag_id: str | None
    workflow: str | None


@dataclass
class Migration:
    """What became of a file: its new content, documents to be put beside it, findings, and its Dags.

    ``has_others``: it has Dags that are no CWLDAGs, perhaps.
    """

    path: Path
    old: bytes
    new: bytes
    findings: list[Finding] = field(default_factory=list)
    dags: list[FoundDag] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)
    has_others: bool = False

    @property
    def is_blocked(self) -> bool:
        """Whether it can't be rewritten."""
        return any(finding.blocks for finding in self.findings)


def read_old(path: Path, content: bytes) -> Migration | None:
    """Return what is to be done with a Dag file, None for one that has nothing of the predecessors."""
    if not any(root.encode() in content for root in ROOTS):
        return None
    found = Migration(path, content, content)
    try:
        content.decode()
        tree = ast.parse(content)
    except UnicodeDecodeError:
        found.findings.append(Finding(1, "The file is no UTF-8: save it as UTF-8 first."))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        found.findings.append(Finding(line or 1, f"The file is no Python 3: {error}"))
    else:
        reader = _Reader(found, tree)
        reader.read()
        if not reader.names:
            return None
        found.findings.sort(key=lambda finding: finding.line)
        if not found.is_blocked:
            _take(found, reader.rewritten())
    return found


def _take(found: Migration, new: bytes) -> None:
    """Take what a file was rewritten to; not if that is no Python any more, as where a block has lost its only line."""
    try:
        ast.parse(new)
    except SyntaxError as error:
        text = f"Without what is not needed any more this would be no Python ({error.msg}): change the file by hand."
        found.findings.append(Finding(error.lineno or 1, text))
    else:
        found.new = new


class _Reader:
    """Goes through the tree of a file; remembers which bytes become what."""

    def __init__(self, found: Migration, tree: ast.Module) -> None:
        self.found, self.tree = found, tree
        self.names: dict[str, str] = {}
        """What local names stand for, of the predecessors."""
        self._starts = [0]
        for line in found.old.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._edits: list[tuple[int, int, bytes]] = []
        self._seen: set[ast.Name] = set()
        self._values = module_values(tree, str(found.path.absolute()))

    def read(self) -> None:
        """Look at all that there is."""
        for node in ast.walk(self.tree):
            self._import(node)
        dags = {name for node in ast.walk(self.tree) for name in self._dag_variables(node)}
        for node in ast.walk(self.tree):
            self._class(node)
            for body in (getattr(node, "body", None), getattr(node, "orelse", None), getattr(node, "finalbody", None)):
                if isinstance(body, list):
                    self._statements(body, dags)
        for function in (None, *(node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef))):
            self._calls(function)
        self._left_over()

    def rewritten(self) -> bytes:
        """Return the file with all edits."""
        content = self.found.old
        for start, end, text in sorted(self._edits, reverse=True):
            content = content[:start] + text + content[end:]
        return content

    def _say(self, node: ast.AST, text: str, *, blocks: bool = True) -> None:
        self.found.findings.append(Finding(getattr(node, "lineno", 1), text, blocks))

    def _span(self, node: ast.stmt | ast.expr | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None  # noqa: S101 - the parser sets it
        assert node.end_col_offset is not None  # noqa: S101
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] in ROOTS:
                    self.names[name.asname or name.name.split(".")[0]] = name.name
                    self._say(node, f"Write `from cwl_ui_plugin import CWLDAG` instead of `import {name.name}`.")
        elif isinstance(node, ast.ImportFrom) and node.module:
            for module, advice in OLD_AIRFLOW.items():
                if node.module == module or node.module.startswith(f"{module}."):
                    self._say(node, f"Airflow 3 has no {node.module}: {advice}.", blocks=False)
            if node.module.split(".")[0] == "airflow" and any(name.name in ("DAG", "dag") for name in node.names):
                self.found.has_others = True
            if node.module.split(".")[0] in ROOTS and not node.level:
                self._import_of_theirs(node)

    def _import_of_theirs(self, node: ast.ImportFrom) -> None:
        lines = []
        for name in node.names:
            self.names[name.asname or name.name] = name.name
            if name.name == "CWLDAG":
                alias = f" as {name.asname}" if name.asname else ""
                lines.append(f"from cwl_ui_plugin import CWLDAG{alias}")
            elif name.name not in ENDS:
                self._say(node, f"cwl-ui-plugin has nothing for {name.name} of {node.module}: do without it.")
        self._replace_statement(node, "; ".join(lines).encode())

    def _dag_variables(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Assign) and self._is_dag(node.value):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))

    def _is_dag(self, node: ast.AST | None) -> bool:
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        return is_call and self.names.get(node.func.id) == "CWLDAG"  # type: ignore[union-attr]

    def _is_end(self, node: ast.AST) -> bool:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            return False
        if self.names.get(node.func.id) not in ENDS:
            return False
        self._seen.add(node.func)
        return True

    def _class(self, node: ast.AST) -> None:
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name) and self.names.get(base.id):
                    self._seen.add(base)
                    self._say(
                        node,
                        f"{node.name} changes {self.names[base.id]}, which is not called any more: write a task that "
                        "runs before dag.get_task('CWLJobDispatcher'), or after dag.get_task('CWLJobGatherer').",
                    )

    def _statements(self, body: list[ast.stmt], dags: set[str]) -> None:
        """Take out what made the first and the last task."""
        removed = [statement for statement in body if self._is_to_go(statement, dags)]
        for statement in removed:
            if len(removed) == len(body):
                self._say(statement, "Nothing is left of this block without create() and add(): take it out by hand.")
            self._replace_statement(statement, b"")

    def _is_to_go(self, statement: ast.stmt, dags: set[str]) -> bool:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return False
        if not (isinstance(call.func.value, ast.Name) and call.func.value.id in dags):
            return False
        if call.func.attr == "add" and call.args and not self._is_end(call.args[0]):
            self._say(
                call,
                "add() is no more: write `task >> dag.get_task('CWLJobDispatcher')` for to='top', and "
                "`dag.get_task('CWLJobGatherer') >> task` for to='bottom'.",
            )
            return False
        return call.func.attr in ("create", "add")

    def _replace_statement(self, statement: ast.stmt, text: bytes) -> None:
        """Replace a statement that has its lines for itself; without a text the lines go, too."""
        start, end = self._span(statement)
        first, after = self._starts[statement.lineno - 1], self._starts[statement.end_lineno or statement.lineno]
        before, behind = self.found.old[first:start], self.found.old[end:after]
        if before.strip() or behind.strip()[:1] not in (b"", b"#"):
            self._say(statement, "Several statements stand in one line: give each its own.")
        elif text:
            self._edits.append((start, end, text))
        else:
            self._edits.append((first, after, b""))

    def _calls(self, function: ast.FunctionDef | None) -> None:
        """Look at the CWLDAGs of a function, or of what stands in none."""
        inner = {
            id(node) for each in ast.walk(self.tree) if isinstance(each, ast.FunctionDef) for node in ast.walk(each)
        }
        for node in ast.walk(function or self.tree):
            if isinstance(node, ast.Call) and self._is_dag(node) and (function or id(node) not in inner):
                assert isinstance(node.func, ast.Name)  # noqa: S101 - _is_dag has looked
                if node.func not in self._seen:
                    self._seen.add(node.func)
                    calls = list(calls_of(self.tree, function, self._values)) if function else []
                    self._dag(node, calls or [self._values], is_shared=function is not None)

    def _dag(self, call: ast.Call, all_values: Sequence[Values], *, is_shared: bool) -> None:
        given = dict(zip(("dag_id", "workflow"), call.args, strict=False))
        given |= {RENAMED.get(word.arg, word.arg): word.value for word in call.keywords if word.arg}
        if len(call.args) > 2:
            self._say(call, "CWLDAG takes two arguments without a name: give the others their names.")
        workflow, named = given.get("workflow"), given.get("dag_id")
        if workflow is None:
            self._say(call, "CWLDAG has no workflow here.")
            return
        for values in all_values:
            path = text_of(workflow, values)
            dag_id = text_of(named, values) if named else _name_of(path)
            self.found.dags.append(FoundDag(call.lineno, dag_id, path))
        for number, word in enumerate(call.keywords):
            self._keyword(call, number, word)
        first = self.found.dags[-len(all_values)]
        if first.workflow is not None and is_compressed(first.workflow) and isinstance(workflow, ast.Constant):
            self._unpack(workflow, first)
        elif first.workflow is not None and not Path(first.workflow).is_absolute():
            self._say(call, f"{first.workflow} is looked for beside the Dag file now.", blocks=False)
        if named is None:
            self._name(call, workflow, None if is_shared else first.dag_id)

    def _keyword(self, call: ast.Call, number: int, word: ast.keyword) -> None:
        start, end = self._span(word)
        if word.arg is None:
            self._say(word.value, "What ** brings is not looked at.", blocks=False)
        elif word.arg in GONE:
            self._say(word.value, f"Airflow 3 has no {word.arg}: take it out.")
        elif word.arg == "schedule_interval" and isinstance(word.value, ast.Constant) and word.value.value == "@once":
            self._edits.append((start, end, b"schedule=None"))
        elif word.arg in RENAMED:
            self._edits.append((start, start + len(word.arg), RENAMED[word.arg].encode()))
        elif word.arg in ("dispatcher", "gatherer"):
            is_none = isinstance(word.value, ast.Constant) and word.value.value is None
            if not is_none and not self._is_end(word.value):
                self._say(word.value, f"A {word.arg} of its own is not called any more: write a task before or after.")
            else:
                self._take_out(call, number)
        elif word.arg == "default_args":
            self._default_args(word.value)

    def _take_out(self, call: ast.Call, number: int) -> None:
        start, end = self._span(call.keywords[number])
        before: list[ast.expr | ast.keyword] = [*call.args, *call.keywords[:number]]
        if before:
            self._edits.append((self._span(before[-1])[1], end, b""))
        else:
            self._edits.append((start, self._span(call.keywords[number + 1])[0], b""))

    def _default_args(self, node: ast.expr) -> None:
        assigned = {
            target.id: statement.value
            for statement in self.tree.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        found = assigned.get(node.id, node) if isinstance(node, ast.Name) else node
        for key in found.keys if isinstance(found, ast.Dict) else ():
            if isinstance(key, ast.Constant) and key.value in OF_CWLTOOL:
                self._say(
                    key, f"default_args[{key.value!r}] means nothing any more: see [cwl] in airflow.cfg.", blocks=False
                )

    def _unpack(self, node: ast.expr, dag: FoundDag) -> None:
        name = f"{dag.dag_id or 'workflow'}.cwl"
        try:
            document = decompressed(dag.workflow or "", MOST_BYTES)
        except BadUpload as error:
            self._say(node, str(error))
            return
        if Path(name).name != name or name in self.found.documents:
            self._say(node, f"The workflow can't be put into a file {name!r}: give the Dag another dag_id.")
            return
        self.found.documents[name] = document
        self._edits.append((*self._span(node), repr(name).encode()))

    def _name(self, call: ast.Call, workflow: ast.expr, dag_id: str | None) -> None:
        """Give a Dag the name that cwl-airflow-parser made of its document."""
        text = repr(dag_id) if dag_id is not None else None
        if text is None and isinstance(workflow, ast.Name):
            text = f'{workflow.id}.split("/")[-1].replace(".cwl", "").replace(".", "_dot_")'
        if text is None:
            self._say(call, "CWLDAG has no dag_id, and the name of the document can't be told: write dag_id=... .")
            return
        end = self._span(workflow)[1]
        self._edits.append((end, end, f", dag_id={text}".encode()))

    def _left_over(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id in self.names and node not in self._seen:
                self._say(node, f"{node.id} is used here in a way that can't be translated: write it anew.")
            elif isinstance(node, ast.Constant) and node.value == "clean_dag_run":
                self._say(node, "The plugin has a Dag clean_dag_run of its own: remove this one.")


def _name_of(path: str | None) -> str | None:
    if path is None or is_compressed(path):
        return None
    return path.partition("#")[0].split("/")[-1].replace(".cwl", "").replace(".", "_dot_")
