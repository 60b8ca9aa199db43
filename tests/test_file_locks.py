"""A lock is one process's at a time, also where its file was removed while others waited, and leaves nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cwl_ui_plugin import file_locks


def test_nobody_waits_unless_told_to_and_nothing_is_left(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "a.lock"
    with file_locks.held(lock):
        assert lock.is_file()
        with pytest.raises(BlockingIOError), file_locks.held(lock):
            pass
    assert list(lock.parent.iterdir()) == []


def test_who_waited_has_the_file_that_others_see(tmp_path: Path) -> None:
    lock, waits, done = tmp_path / "a.lock", threading.Event(), threading.Event()
    inside: list[str] = []

    def second() -> None:
        with file_locks.held(lock, waits.set):
            inside.append("second")
            with pytest.raises(BlockingIOError), file_locks.held(lock):
                inside.append("third")
        done.set()

    with file_locks.held(lock):
        threading.Thread(target=second, daemon=True).start()
        assert waits.wait(30)
        inside.append("first")
    assert done.wait(30)
    assert inside == ["first", "second"]


def test_a_file_that_was_removed_between_opening_and_locking_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, opened = tmp_path / "a.lock", file_locks._opened

    def opened_and_removed(path: Path) -> int:
        monkeypatch.setattr(file_locks, "_opened", opened)
        descriptor = opened(path)
        path.unlink()
        return descriptor

    monkeypatch.setattr(file_locks, "_opened", opened_and_removed)
    with file_locks.held(lock):
        assert lock.is_file()


def test_what_waiting_raises_ends_it(tmp_path: Path) -> None:
    def stop() -> None:
        raise TimeoutError

    with file_locks.held(tmp_path / "a.lock"), pytest.raises(TimeoutError), file_locks.held(tmp_path / "a.lock", stop):
        pass
