"""The files of a run, what it was given and what it made: as trees, previews, pictures; and words found in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose

from cwl_ui_plugin import addresses
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user, requires
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.outputs import output_files, output_tree
from cwl_ui_plugin.services.outputs.value_tree import PAGE
from cwl_ui_plugin.services.previewing import previews, searching
from cwl_ui_plugin.services.provenance import run_inputs, stories
from cwl_ui_plugin.services.provenance.run_files import IN, OUT
from cwl_ui_plugin.views.addresses import rooted
from cwl_ui_plugin.views.base import CwlView, page_offset, run_arguments

INPUTS = "inputs"


@dataclass(frozen=True)
class RunFile:
    """A file of a run: an output by its ``path``, an input by its ``place`` in the job, and ``path`` in a Directory."""

    dag_id: str
    run_id: str
    path: str
    place: tuple[str, ...] = ()
    is_input: bool = False
    query: dict[str, object] = field(default_factory=dict)

    @classmethod
    def asked(cls) -> RunFile:
        """Return the one that a request names."""
        dag_id, run_id, path = run_arguments("path")
        place, is_input = tuple(request.args.getlist("place")), request.args.get("of") == INPUTS
        return cls.of(dag_id, run_id, path, place if is_input else (), is_input=is_input)

    @classmethod
    def of(cls, dag_id: str, run_id: str, path: str, place: tuple[str, ...] = (), *, is_input: bool) -> RunFile:
        """Return a file with the query that names it."""
        query: dict[str, object] = {"dag_id": dag_id, "run_id": run_id}
        if path:
            query["path"] = path
        if is_input:
            query |= {"of": INPUTS, "place": list(place)}
        return cls(dag_id, run_id, path, place, is_input, query)

    def open(self) -> tuple[str, BinaryIO]:
        """Open it, and return what it is called; raise :class:`NotFound` for what the user may not open."""
        if not self.is_input:
            return PurePosixPath(self.path).name, output_files.open_output(self.dag_id, self.run_id, self.path)
        access = permissions.input_access(current_user())
        return run_inputs.open_input(self.dag_id, self.run_id, access, self.place, self.path)

    def named(self) -> tuple[str, str]:
        """Return what it is called and where it is, not looked at; raise :class:`NotFound`."""
        if self.is_input:
            return run_inputs.named_input(self.dag_id, self.run_id, self.place, self.path)
        return PurePosixPath(self.path).name, output_files.output_location(self.dag_id, self.run_id, self.path)

    def is_there(self) -> bool:
        """Whether the user may open it now."""
        try:
            self.open()[1].close()
        except NotFound:
            return False
        return True

    @property
    def address(self) -> str:
        """Where it is in the REST API, below what Airflow is served below."""
        if self.is_input:
            return rooted(addresses.input_file(self.dag_id, self.run_id, self.place, self.path))
        return rooted(addresses.output_file(self.dag_id, self.run_id, self.path))

    @property
    def shown_address(self) -> str:
        """Where a browser gets it to show it itself."""
        return f"{self.address}{'&' if '?' in self.address else '?'}inline=true"


class RunFilesView(CwlView):
    """The inputs and outputs of a run. A script asks for the middle of a page alone, to show it inside of another."""

    default_view = "preview"

    @expose("/run/outputs")
    @requires(permissions.may_read, "dag_id")
    def outputs(self) -> ResponseReturnValue:
        """Show a part of the outputs: what is in a folder, or at a place of the output object."""
        dag_id, run_id = run_arguments()
        path, place, offset = request.args.get("path"), request.args.getlist("place"), page_offset()
        if path is None:
            nodes = output_tree.output_nodes(dag_id, run_id, place, offset)
        else:
            nodes = output_tree.folder_nodes(dag_id, run_id, path, offset)
        return self.fragment(
            "outputs_part",
            summary={"dag_id": dag_id, "run_id": run_id},
            nodes=nodes,
            name=path if path is not None else " / ".join(place) or "Outputs",
            offset=offset,
            page_size=PAGE,
        )

    @expose("/run/inputs")
    @requires(permissions.may_read, "dag_id")
    def inputs(self) -> ResponseReturnValue:
        """Show a part of the inputs: what is at a place of the job, or in a Directory there."""
        dag_id, run_id = run_arguments()
        path, place, offset = request.args.get("path"), request.args.getlist("place"), page_offset()
        access = permissions.input_access(current_user())
        if path is None:
            nodes = run_inputs.input_nodes(dag_id, run_id, access, place, offset)
        else:
            nodes = run_inputs.folder_nodes(dag_id, run_id, access, place, path, offset)
        return self.fragment(
            "inputs_part",
            summary={"dag_id": dag_id, "run_id": run_id},
            nodes=nodes,
            name=" / ".join((*place, *([path] if path else ()))) or "Inputs",
            offset=offset,
            page_size=PAGE,
        )

    @expose("/run/preview")
    @requires(permissions.may_read, "dag_id")
    def preview(self) -> ResponseReturnValue:
        """Show what a file looks like."""
        file = RunFile.asked()
        name, opened = file.open()
        with opened:
            preview = previews.preview(opened, name)
        return self.fragment("preview", summary=_run_of(file), name=name, file=file, preview=preview)

    @expose("/run/file")
    @requires(permissions.may_read, "dag_id")
    def file(self) -> ResponseReturnValue:
        """Show which runs made a file and which used it."""
        file, user = RunFile.asked(), current_user()
        name, location = file.named()
        access, readable = permissions.input_access(user), permissions.readable_dag_ids(user)
        direction = IN if file.is_input else OUT
        story, is_noted = stories.story_of_file(
            file.dag_id, file.run_id, direction, location, name, access, readable | {file.dag_id}
        )
        is_there = file.is_there()
        if not is_noted and not is_there and not file.is_input:
            raise NotFound(f"The run {file.run_id!r} has no output {file.path!r}.")
        return self.page(
            "file.html",
            summary=_run_of(file),
            name=name,
            file=file,
            story=story,
            is_noted=is_noted,
            is_there=is_there,
            waits=_waits(file, story, is_noted),
        )

    @expose("/run/search")
    @requires(permissions.may_read, "dag_id")
    def search(self) -> ResponseReturnValue:
        """Show the lines of a file that have some words."""
        file, words = RunFile.asked(), request.args.get("words", "")
        name, opened = file.open()
        with opened:
            found = searching.search(opened, words) if words else None
        return self.fragment("file_search", summary=_run_of(file), name=name, words=words, found=found)

    @expose("/run/pictures")
    @requires(permissions.may_read, "dag_id")
    def pictures(self) -> ResponseReturnValue:
        """Show the pictures among the outputs side by side."""
        dag_id, run_id = run_arguments()
        found = output_tree.pictures(dag_id, run_id, page_offset())
        shown = [
            (picture, RunFile.of(dag_id, run_id, picture.path, is_input=False), picture.size <= previews.MAX_SHOWN)
            for picture in found.items
        ]
        back = url_for("RunsView.show", dag_id=dag_id, run_id=run_id)
        summary = {"dag_id": dag_id, "run_id": run_id}
        return self.page(
            "pictures.html",
            summary=summary,
            back=back,
            pictures=shown,
            found=found,
            offset=page_offset(),
            page_size=PAGE,
        )


def _waits(file: RunFile, story: stories.FileStory, is_noted: bool) -> bool:
    """Whether more may be known in a moment: the run has not been looked at since it ended, or the file not read."""
    return story.is_read_later or (not is_noted and not stories.is_noted(file.dag_id, file.run_id))


def _run_of(file: RunFile) -> dict[str, str]:
    return {"dag_id": file.dag_id, "run_id": file.run_id}
