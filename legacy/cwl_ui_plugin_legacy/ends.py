"""What stands for the first and the last task, and for steps: cwl-ui-plugin makes these tasks itself."""

from __future__ import annotations

_OWN = (
    "{name} changes what {base} does, which cwl-ui-plugin does not call. Write a task of your own instead: `task >> "
    "dag.get_task('CWLJobDispatcher')` runs before a workflow, `dag.get_task('CWLJobGatherer') >> task` after it, and "
    "an upload with a job (REST API, `cwl-ui-plugin trigger`) takes the place of a dispatcher that makes jobs."
)


class _End:
    """A task of the predecessors that takes all arguments that theirs took; none of them means anything any more."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        base = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        if type(self) is not base:
            raise TypeError(_OWN.format(name=type(self).__name__, base=base.__name__))


class CWLJobDispatcher(_End):
    """The first task."""


class CWLJobGatherer(_End):
    """The last task."""


class CWLStepOperator:
    """A step; a Dag file could make one by itself."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        raise TypeError(
            "A CWLStepOperator can't be made alone any more: CWLDAG makes the tasks of all steps. For one CWL tool in "
            "another Dag write `from cwl_ui_plugin.operators import CwlToolOperator`."
        )
