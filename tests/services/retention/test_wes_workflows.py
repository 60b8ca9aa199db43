"""What WES clients sent with a run goes when it is old and nobody has a run of it, or has made it one of their own."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable

import pytest

from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.retention import versions, wes_workflows
from cwl_ui_plugin.services.retention.items import DAY
from cwl_ui_plugin.services.triggering import triggers

Sent = Callable[[], StoredVersion]


@pytest.fixture
def sent(add: Callable[..., StoredVersion], store: WorkflowStore) -> Sent:
    """Store a workflow as WES does, whose name has the digest of its document; 200 days ago."""

    def make() -> StoredVersion:
        text = uuid.uuid4().hex
        digest = add("other", text).digest
        version = add(f"wes-main-{digest[:12]}", text)
        registration.register(version.dag_id)
        age(version)
        return version

    return make


def age(version: StoredVersion, days: float = 200) -> None:
    moment = time.time() - days * DAY
    os.utime(version.folder, (moment, moment))


def start(version: StoredVersion) -> None:
    triggers.trigger(version.dag_id, conf={"job": {"text": "x"}}, user="ada", via="rest", version=version.digest)


def gone(store: WorkflowStore) -> set[str]:
    """Remove what may go; return the workflows that are not there any more."""
    return {
        str(item.dag_id)
        for item in versions.find()
        if item.option == wes_workflows.OPTION and versions.remove(item) and item.dag_id not in store
    }


def test_what_nobody_has_sent_for_long_goes_and_can_be_sent_again(
    store: WorkflowStore, sent: Sent, add: Callable[..., StoredVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young, used, run, own = sent(), sent(), sent(), sent(), add("wes-main-0123456789ab", "own")
    age(young, 179)
    age(own)
    store.use(used.dag_id, used.digest)
    start(run)
    age(run)
    monkeypatch.setenv("AIRFLOW__CWL__KEEP_WES_WORKFLOWS_DAYS", "0")
    assert gone(store) == set()
    monkeypatch.delenv("AIRFLOW__CWL__KEEP_WES_WORKFLOWS_DAYS")
    assert gone(store) == {old.dag_id}
    assert store.has_version(old.dag_id, old.digest), "it can be restored as long as other versions"
    store.make_current(old.dag_id, old.digest)
    assert gone(store) == set()


def test_what_somebody_has_made_their_own_stays(
    store: WorkflowStore, sent: Sent, add: Callable[..., StoredVersion]
) -> None:
    from cwl_ui_plugin.library.schedules import Schedule

    changed, liked, scheduled = sent(), sent(), sent()
    add(changed.dag_id, "another version")
    presets.save_preset(liked.dag_id, name="mine", job={"text": "x"}, user="ada")
    at = {"saved_by": "ada", "saved_at": "2026-01-01T00:00:00+00:00"}
    schedule = Schedule("cron", {"cron": "0 0 * * *"}, {}, scheduled.digest, is_paused=True, **at)
    store.set_schedule(scheduled.dag_id, schedule, instead_of=None)
    for version in (changed, liked, scheduled):
        age(version)
    assert gone(store) == set()


def test_what_is_sent_or_run_meanwhile_stays(store: WorkflowStore, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    used, run = sent(), sent()
    items = {item.dag_id: item for item in wes_workflows.find()}
    assert store.use(used.dag_id, used.digest)
    assert not versions.remove(items[used.dag_id])
    start(run)
    age(run)
    assert not versions.remove(items[run.dag_id])
    assert store.current(run.dag_id).digest == run.digest
