"""JavaScript for CWL's expressions, from Python packages that ship it: no system package is needed.

Most expressions are evaluated in this process (``quick_javascript``), the others by a Node.js that can do nothing else
(``node``). cwl_utils looks for ``nodejs`` on the PATH and starts it with all that this process may do; this engine
takes its place.
"""

from __future__ import annotations

import threading
from typing import NoReturn

from cwl_utils import sandboxjs
from cwl_utils.errors import JavascriptException
from cwl_utils.sandboxjs import NodeJSEngine, default_timeout

from cwl_ui_plugin.cwl import quick_javascript
from cwl_ui_plugin.cwl.engine.node import Node


class SandboxedEngine(NodeJSEngine):
    """cwl_utils' engine, with one Node.js for the process, started at the first expression that needs it."""

    def __init__(self) -> None:
        super().__init__()
        self._node: Node | None = None
        self._lock = threading.RLock()

    def exec_js_process(
        self,
        js_text: str,
        timeout: float = default_timeout,
        js_console: bool = False,
        context: str | None = None,
        *_more: object,
        **_options: object,
    ) -> tuple[int, str, str]:
        """Evaluate an expression; the threads of the elements of a scattered step take turns with Node.js.

        The exit code is always 0: cwl_utils words a failure after it. Without an output the expression has failed.
        """
        if js_console or context is not None:  # cwltool's debugging, and its check of JavaScript: both switched off
            raise JavascriptException("There is no console for JavaScript expressions, and no check of their style.")
        found = quick_javascript.evaluate(js_text)
        if found is not None:
            return 0, found, ""
        with self._lock:
            node = self._running()
            answer = node.evaluate(js_text, timeout)
            if not answer.value:  # it may have left no memory, and the step has failed
                self.end()
        return 0, answer.value, answer.failure

    def new_js_proc(self, *_arguments: object, **_options: object) -> NoReturn:
        """Refuse to start a Node.js that is not locked in."""
        raise JavascriptException("JavaScript expressions are evaluated by cwl_ui_plugin.cwl.engine.node only.")

    def end(self) -> None:
        """End Node.js; the next expression starts another one."""
        with self._lock:
            if self._node is not None:
                self._node.end()
                self._node = None

    def _running(self) -> Node:
        if self._node is None or not self._node.is_alive:
            self.end()
            self._node = Node()
        return self._node


def use_shipped_node() -> None:
    """Let expressions be evaluated in the sandboxes of this plugin."""
    if not isinstance(sandboxjs.get_js_engine(), SandboxedEngine):
        sandboxjs.set_js_engine(SandboxedEngine())


def end_node() -> None:
    """End the Node.js of this process; the next expression starts another one."""
    engine = sandboxjs.get_js_engine()
    if isinstance(engine, SandboxedEngine):
        engine.end()
