"""Waiting for the end of an upload without holding a thread: validation may take minutes."""

from __future__ import annotations

import asyncio

from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin.services.workflow_models import Upload
from cwl_ui_plugin.services.workflows import uploads

_POLL_SECONDS = 0.1


async def ended(upload: Upload) -> Upload:
    """Return an upload as it is when it has ended, well or not."""
    while not upload.has_ended:
        await asyncio.sleep(_POLL_SECONDS)
        upload = await run_in_threadpool(uploads.get_upload, upload.id)
    return upload
