"""JavaScript in this process, by QuickJS: an expression takes a millisecond, where Node.js boots for fifty.

CWL asks for ECMAScript 5.1, which QuickJS does as Node.js does it. What QuickJS can't evaluate, or might answer in
other words, is left to Node.js, so that results and complaints are those of cwltool. An expression sees ECMAScript and
nothing else: QuickJS's modules ``std`` and ``os`` are not in the package.
"""

from __future__ import annotations

import re
import threading

import quickjs

_SECONDS = 1
"""Of the processor. Whatever takes longer gets the compiler of Node.js."""
_PATIENCE_SECONDS = 15.0
"""Some functions of QuickJS, such as join() of a list of four billion nothings, don't look at the limit. A second of
the processor takes a while on a busy machine."""
_MEMORY_BYTES = 256 * 2**20
_FOR_NODE = re.compile(r"\bDate\b|Intl|[lL]ocale|\bconsole\b|\bstack\b|\bWebAssembly\b")
"""What depends on the engine: names of time zones, languages, and what only one of the two has."""
_WORDS = ("Date", "Intl", "ocale", "console", "stack", "WebAssembly")
"""Of which one is in whatever the pattern finds: a search for a text takes no second for a million characters."""
_EVALUATE = "(code) => JSON.stringify((0, eval)(code))"
"""Called indirectly, eval() sees global names only: those of ECMAScript."""


def evaluate(code: str) -> str | None:
    """Return the JSON of what ``code`` evaluates to, or None if Node.js has to say."""
    if any(word in code for word in _WORDS) and _FOR_NODE.search(code):
        return None
    found: list[str] = []
    thread = threading.Thread(target=_evaluate, args=(code, found), daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)  # QuickJS leaves Python's lock to others; what does not end here ends with the task
    return found[0] if found else None


def _evaluate(code: str, found: list[str]) -> None:
    context = quickjs.Context()  # new, as an expression must not see what another has left
    context.set_time_limit(_SECONDS)
    context.set_memory_limit(_MEMORY_BYTES)
    try:
        value = context.eval(_EVALUATE)(code)
    except (quickjs.JSException, MemoryError):
        return
    if isinstance(value, str):
        found.append(value)
