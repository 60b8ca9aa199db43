"""The store of workflows, with its errors as those of this layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cwl_ui_plugin.library.errors import BadDagId, DamagedArchive, NotCompiled, StoreAway, UnknownWorkflow
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import BadRequest, NotFound, Unavailable

WES_PREFIX = "wes"
"""Begins the dag_id of a workflow that a WES client has sent; this many hex digits of a digest end it."""
WES_DIGITS = 12


def open_store() -> WorkflowStore:
    """Return the store of the site, as it was some seconds ago on other machines."""
    store = site_store()
    store.freshen()
    return store


@contextmanager
def library_errors() -> Iterator[None]:
    """Turn the store's errors into those of this layer."""
    try:
        yield
    except UnknownWorkflow as error:
        raise NotFound(str(error)) from error
    except BadDagId as error:
        raise BadRequest(str(error)) from error
    except (NotCompiled, StoreAway, DamagedArchive) as error:
        raise Unavailable(str(error)) from error


def stored(dag_id: str, digest: str | None = None) -> StoredVersion:
    """Return a version, the current one by default; raise :class:`NotFound`."""
    with library_errors():
        store = open_store()
        return store.current(dag_id) if digest is None else store.version(dag_id, digest)
