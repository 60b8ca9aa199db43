"""The options of the ``[cwl]`` section: what each is called, means, and is when nobody sets it."""

from __future__ import annotations

from cwl_ui_plugin.options.callers import CALLERS
from cwl_ui_plugin.options.keeping import KEEPING
from cwl_ui_plugin.options.network import NETWORK
from cwl_ui_plugin.options.option import Option
from cwl_ui_plugin.options.storage import STORAGE
from cwl_ui_plugin.options.tasks import TASKS
from cwl_ui_plugin.options.tools import TOOLS

__all__ = ["OPTIONS", "Option"]

OPTIONS: tuple[Option, ...] = (
    *STORAGE,
    *NETWORK,
    *TOOLS,
    *TASKS,
    *CALLERS,
    *KEEPING,
)
