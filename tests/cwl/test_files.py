"""What is known of files without looking at them."""

from __future__ import annotations

from cwl_ui_plugin.cwl.files import total_size


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
