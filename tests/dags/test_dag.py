"""The Dag has the shape of the workflow."""

from __future__ import annotations

from collections.abc import Callable

from cwl_ui_plugin.library.store import StoredVersion

Add = Callable[[str, str], StoredVersion]


def test_one_task_per_step_between_dispatcher_and_gatherer(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    dag = CWLDAG("wf", version=add("wf", "one"))

    edges = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert edges == {
        "CWLJobDispatcher": {"a"},
        "a": {"b", "c"},
        "b": {"d"},
        "c": {"d"},
        "d": {"CWLJobGatherer"},
        "CWLJobGatherer": set(),
    }


def test_a_skipped_step_does_not_stop_what_follows(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    assert {task.trigger_rule for task in CWLDAG("wf", version=add("wf", "one")).tasks} == {"none_failed"}


def test_the_dag_can_be_triggered_at_once_and_tells_what_it_is(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add("wf", "one")
    dag = CWLDAG("wf", version=version, tags=["mine"])

    assert dag.is_paused_upon_creation is False
    assert dag.schedule is None
    assert dag.tags == {"cwl", "mine"}
    assert dag.description == "one"
    assert version.digest in (dag.doc_md or "")
    assert dag.fileloc == __file__
    assert dag.get_task("a").task_display_name == "Step a"
