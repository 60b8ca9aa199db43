"""The routes of TRS 2.0.1; also below ``/api/ga4gh/v2``, where ``cwltool --add-ga4gh-tool-registry`` looks."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.api import errors
from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.api.downloads import UNTRUSTED
from cwl_ui_plugin.api.security import OptionalUser, clean_address, known, logged_in, require
from cwl_ui_plugin.api.trs.errors import TrsErrors
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.discovery import organization
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.publishing import published, tools
from cwl_ui_plugin.services.publishing.tools import FileWrapper, Tool, ToolClass, ToolFile, ToolFilter, ToolVersion
from cwl_ui_plugin.services.workflows import versions
from cwl_ui_plugin.version import __version__

TRS_VERSION = "2.0.1"
MAX_PAGE = 1000
_VERSION = "/tools/{id}/versions/{version_id}"
_PLAIN = ("PLAIN_CWL", "PLAIN-CWL")
_TYPES = (tools.CWL, *_PLAIN)
_CHUNK = 256 * 1024


@cache
def app() -> FastAPI:
    """Return the app."""
    made = FastAPI(
        title="Tool Registry Service",
        version=TRS_VERSION,
        description="The CWL workflows of this Airflow as tools of a registry (GA4GH TRS).",
        docs_url=None,  # FastAPI's pages load their scripts from another host
        redoc_url=None,
        dependencies=[clean_address],
        default_response_class=AnyTextResponse,
    )
    errors.install(made)
    made.add_middleware(TrsErrors)
    made.get("/service-info", operation_id="getServiceInfo")(get_service_info)
    made.get("/toolClasses", operation_id="toolClassesGet")(get_tool_classes)
    made.get("/tools", operation_id="toolsGet")(list_tools)
    made.get("/tools/{id}", operation_id="toolsIdGet")(get_tool)
    made.get("/tools/{id}/versions", operation_id="toolsIdVersionsGet")(list_versions)
    made.get(_VERSION, operation_id="toolsIdVersionsVersionIdGet")(get_version)
    made.get(f"{_VERSION}/containerfile", operation_id="containerfileGet")(get_containerfile)
    made.get(f"{_VERSION}/{{type}}/descriptor", operation_id="descriptorGet", response_model=None)(get_descriptor)
    made.get(
        f"{_VERSION}/{{type}}/descriptor/{{relative_path:path}}",
        operation_id="relativeDescriptorGet",
        response_model=None,
    )(get_relative_descriptor)
    made.get(f"{_VERSION}/{{type}}/tests", operation_id="testsGet")(get_tests)
    made.get(f"{_VERSION}/{{type}}/files", operation_id="filesGet", response_model=None)(get_files)
    made.head(f"{_VERSION}/{{type}}/files", operation_id="filesHead", response_model=None)(get_files)
    return made


def _check_readable(id: str, user: OptionalUser) -> None:
    """Refuse a tool that is neither published nor one that the user may read."""
    if not published.is_published(id):
        require(permissions.may_read(logged_in(user), id))


readable = Depends(_check_readable)


def _stored(id: str, version_id: str, user: OptionalUser) -> StoredVersion:
    _check_readable(id, user)
    return tools.version_of(id, version_id)


Version = Annotated[StoredVersion, Depends(_stored)]


def _descriptor_type(type: str) -> str:
    if type.upper() not in _TYPES:
        raise HTTPException(404, f"There is no descriptor of the type {type!r}; there are CWL and PLAIN_CWL.")
    return type.upper()


DescriptorType = Annotated[str, Depends(_descriptor_type)]


def get_service_info() -> dict[str, object]:
    """Tell what this service is (GA4GH service-info 1.0)."""
    host = tools.organization()
    return {
        "id": ".".join([*reversed(host.split(".")), "cwl-ui-plugin", "trs"]),
        "name": "CWL workflows on Airflow",
        "type": {"group": "org.ga4gh", "artifact": "trs", "version": TRS_VERSION},
        "description": "Workflows in the Common Workflow Language that this Airflow runs.",
        "organization": organization(),
        "version": __version__,
    }


def get_tool_classes() -> list[ToolClass]:
    """List what tools may be."""
    return tools.tool_classes()


def list_tools(
    response: Response,
    user: OptionalUser,
    id: str | None = None,
    alias: str | None = None,
    toolClass: str | None = None,
    descriptorType: str | None = None,
    registry: str | None = None,
    organization: str | None = None,
    name: str | None = None,
    toolname: str | None = None,
    description: str | None = None,
    author: str | None = None,
    checker: bool | None = None,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> list[Tool]:
    """List the tools that are published, and those that the user may read."""
    shown = published.published()
    if (somebody := known(user)) is not None:
        shown |= permissions.readable_dag_ids(somebody)
    elif not published.patterns():
        logged_in(user)
    given = {
        "id": id,
        "alias": alias,
        "toolClass": toolClass,
        "descriptorType": descriptorType,
        "registry": registry,
        "organization": organization,
        "name": name,
        "toolname": toolname,
        "description": description,
        "author": author,
        "checker": checker,
    }
    wanted = ToolFilter(
        id, alias, toolClass, descriptorType, registry, organization, name, toolname, description, author, checker
    )
    found = tools.find_tools(wanted, shown)
    response.headers.update(_paging(len(found), offset, limit, {key: value for key, value in given.items() if value}))
    return list(tools.get_tools(found[offset : offset + limit]))


def get_tool(id: str, _readable: Annotated[None, readable]) -> Tool:
    """Show a tool with its versions."""
    return tools.get_tool(id)


def list_versions(id: str, _readable: Annotated[None, readable]) -> list[ToolVersion]:
    """List the versions of a tool, the current one first."""
    return tools.get_tool(id)["versions"]


def get_version(version: Version) -> ToolVersion:
    """Show a version."""
    return tools.get_version(version.dag_id, version.digest)


def get_containerfile(version: Version) -> list[FileWrapper]:
    """Say that there is none: images are named, not built."""
    raise NotFound(f"{version.dag_id!r} has no containerfile: its documents name the images that they run in.")


def get_descriptor(version: Version, type: DescriptorType) -> Response:
    """Return the main document."""
    return _descriptor(version, type, tools.main_document(version))


def get_relative_descriptor(version: Version, type: DescriptorType, relative_path: str) -> Response:
    """Return a file by its path in the upload."""
    return _descriptor(version, type, relative_path.lstrip("/"))


def get_tests(version: Version, type: DescriptorType) -> list[FileWrapper]:
    """List the tests of a version: none are kept."""
    return []


def get_files(
    version: Version,
    type: DescriptorType,
    format: Literal["json", "zip"] = "json",
) -> Response:
    """List the files of a version, or return them as a zip."""
    if format == "zip":
        packed = versions.archive(version)
        name = f"{version.dag_id}-{version.digest[:8]}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(iter(lambda: packed.read(_CHUNK), b""), media_type="application/zip", headers=headers)
    listed: list[ToolFile] = tools.files(version)
    return AnyTextResponse(listed)


def _descriptor(version: StoredVersion, kind: str, path: str) -> Response:
    if kind in _PLAIN:
        return PlainTextResponse(tools.read_file(version, path), headers=UNTRUSTED)
    return AnyTextResponse(tools.wrapped(version, path))


def _paging(total: int, offset: int, limit: int, given: dict[str, object]) -> dict[str, str]:
    """Return the headers that lead through a list."""

    def link(start: int) -> str:
        return f"{config.base_url()}{addresses.TRS}/tools?{urlencode({**given, 'offset': start, 'limit': limit})}"

    last = max(0, (total - 1) // limit * limit)
    headers = {
        "self_link": link(offset),
        "last_page": link(last),
        "current_offset": str(offset),
        "current_limit": str(limit),
    }
    return headers | ({"next_page": link(offset + limit)} if offset + limit < total else {})
