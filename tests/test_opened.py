"""A name leads to the file that is open, never through a link, and never to anything but a plain file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from support.swapping import SECRET, elsewhere, swap_when_opened

from cwl_ui_plugin.opened import Entry, NotPlain, Place, place_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The folder of a run below a site's folder, and a foreign folder beside it."""
    inner = tmp_path / "site/dag/run/plots/deep"
    inner.mkdir(parents=True)
    (inner / "p.txt").write_text("mine")
    elsewhere(tmp_path / "foreign", "p.txt", "deep/p.txt", "plots/deep/p.txt", "run/plots/deep/p.txt")
    return Place(tmp_path / "site", ("dag", "run"))


def read(place: Place, name: str) -> str:
    with place.open(name) as file:
        return file.read().decode()


def test_a_plain_file_is_read(place: Place) -> None:
    assert read(place, "plots/deep/p.txt") == "mine"
    assert read(place, "./plots//deep/p.txt") == "mine"
    assert read(place.below("plots"), "deep/p.txt") == "mine"
    assert list(place.files()) == ["plots/deep/p.txt"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../run/plots/deep/p.txt", "/etc/passwd", "plots/../plots/deep/p.txt", "x\0y", "plots"]
)
def test_a_name_that_leads_out_or_to_no_file_opens_nothing(place: Place, name: str) -> None:
    with pytest.raises(OSError):
        place.open(name)


@pytest.mark.parametrize("victim", ["site/dag", "site/dag/run", "site/dag/run/plots", "site/dag/run/plots/deep"])
def test_a_link_on_the_way_opens_nothing(place: Place, tmp_path: Path, victim: str) -> None:
    (tmp_path / victim).rename(tmp_path / "moved")
    (tmp_path / victim).symlink_to(tmp_path / "moved")
    for use in (place.open, place.state, place.entries):
        with pytest.raises(OSError):
            use("plots/deep/p.txt" if use != place.entries else "plots/deep")
    assert list(place.files()) == []


@pytest.mark.parametrize(
    ("victim", "target"),
    [
        ("site/dag/run/plots/deep/p.txt", "foreign/p.txt"),
        ("site/dag/run/plots/deep", "foreign"),
        ("site/dag/run/plots", "foreign"),
        ("site/dag/run", "foreign"),
        ("site/dag", "foreign"),
    ],
)
def test_a_link_that_comes_at_the_last_moment_opens_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str, target: str
) -> None:
    swapped = swap_when_opened(monkeypatch, tmp_path / victim, tmp_path / target)
    with pytest.raises(OSError):
        read(place, "plots/deep/p.txt")
    assert swapped


def test_looking_at_many_follows_no_link_and_goes_from_folder_to_folder(place: Place, tmp_path: Path) -> None:
    folder = place.path
    (folder / "one").mkdir(exist_ok=True)
    (folder / "two").mkdir(exist_ok=True)
    (folder / "one/a").write_text("a")
    (folder / "two/b").write_text("bb")
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    (tmp_path / "elsewhere/c").write_text("c")
    (folder / "three").symlink_to(tmp_path / "elsewhere")
    (folder / "one/link").symlink_to(tmp_path / "elsewhere/c")
    with place.looking() as look:
        for name in ("three/c", "one/link", "../x", "gone/x", "one/gone"):
            with pytest.raises(OSError):
                look(name)
        sizes = [look(name).st_size for name in ("one/a", "two/b", "one/a")]
    assert sizes == [1, 2, 1]


def test_what_is_open_stays_what_is_read(place: Place, tmp_path: Path) -> None:
    with place.open("plots/deep/p.txt") as file:
        (tmp_path / "site/dag/run/plots/deep/p.txt").unlink()
        (tmp_path / "site/dag/run/plots/deep/p.txt").symlink_to(tmp_path / "foreign/p.txt")
        assert file.read() == b"mine"


def test_pipes_sockets_and_links_are_not_opened(place: Place) -> None:
    os.mkfifo(place.path / "pipe")
    (place.path / "link").symlink_to(place.path / "plots/deep/p.txt")
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(place.path)  # the path of a socket must be short
        made.bind("socket")
        os.chdir(here)
    for name in ("pipe", "socket", "link"):
        for use in (place.open, place.state):
            with pytest.raises(OSError):
                use(name)
    entries, is_cut = place.entries()
    assert entries == [Entry(name, "other") for name in ("link", "pipe")] + [
        Entry("plots", "folder"),
        Entry("socket", "other"),
    ]
    assert not is_cut
    assert place.entries(most=3)[1]


def test_a_further_name_of_somebody_elses_file_is_not_opened(place: Place, tmp_path: Path) -> None:
    os.link(tmp_path / "foreign/p.txt", place.path / "mine-as-well")
    assert read(place, "mine-as-well") == SECRET  # the same owner could have copied it
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(place.path, 4711, 4711)
    with pytest.raises(NotPlain):
        place.open("mine-as-well")


def test_folders_in_folders_have_an_end(place: Place) -> None:
    assert list(place.files(depth=2)) == ["plots/deep/p.txt"]
    assert list(place.files(depth=1)) == []


def test_a_place_is_below_the_outermost_root(tmp_path: Path) -> None:
    roots = (tmp_path / "data/outputs", tmp_path / "data")
    assert place_of(tmp_path / "data/outputs/dag/run", roots) == Place(tmp_path / "data", ("outputs", "dag", "run"))
    assert place_of(tmp_path / "other", roots) is None
    assert place_of(tmp_path / "data/../other", roots) is None
