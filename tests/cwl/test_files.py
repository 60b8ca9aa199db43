"""What is known of files without looking at them."""

from __future__ import annotations

from cwl_ui_plugin.cwl.files import handed_on, total_size


def test_the_size_of_outputs_counts_each_file_once() -> None:
    def file(size: int | None, **more: object) -> dict[str, object]:
        return {"class": "File", "location": "file:///x", **({} if size is None else {"size": size}), **more}

    outputs = {
        "sorted": file(10, secondaryFiles=[file(5), {"class": "Directory", "listing": [file(3)]}]),
        "scattered": [[file(1)], [file(None)], None],
        "record": {"size": 1000, "inner": file(2)},
        "text": "x",
    }
    assert total_size(outputs) == 21


def test_what_is_handed_on_has_secondary_files_and_not_what_folders_list() -> None:
    def named(name: str, **more: object) -> dict[str, object]:
        return {"class": "Directory" if "listing" in more else "File", "basename": name, **more}

    value = {
        "a": [named("1", secondaryFiles=[named("2"), named("3", listing=[named("no")])]), "text", None],
        "b": {"record": [[named("4")]]},
    }
    assert [item["basename"] for item in handed_on(value)] == ["1", "2", "3", "4"]
