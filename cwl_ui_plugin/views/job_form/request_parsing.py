"""What a browser sent about a job: as fields, as text, as a file, or in a link."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from flask import Request

from cwl_ui_plugin import addresses, config, strict_json
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.services.errors import BadRequest, TooLarge
from cwl_ui_plugin.views.job_form.job_path import PREFIX, Posted

MAX_LINK = addresses.MAX_JOB_IN_LINK
MAX_FIELDS = 20_000


def text_of(request: Request, name: str) -> str:
    """Return a text, sent as a field or, where it may be long, as a file.

    Raises:
        BadRequest: it is no UTF-8.
        TooLarge: it is longer than a job may be.

    """
    file = request.files.get(name)
    if file is None:
        return request.form.get(name, "")
    longest = config.max_job_size()
    content = file.stream.read(4 * longest + 1)  # what UTF-8 takes at most
    if len(content) > 4 * longest:
        raise TooLarge(checks.too_long(longest))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The job file is no text in UTF-8.") from None
    if len(text) > longest:
        raise TooLarge(checks.too_long(longest))
    return text


def fields_of(request: Request) -> Posted:
    """Return the fields of the job: in one file where a script sent them, since browsers' forms have their limits.

    Raises:
        BadRequest: the file is not what the script sends, or has too many fields.

    """
    if "fields" not in request.files:
        return Posted((name, value) for name, value in request.form.items(multi=True) if name.startswith(f"{PREFIX}-"))
    try:
        pairs = strict_json.loads(text_of(request, "fields"))
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise BadRequest("The fields of the form arrived damaged: reload the page and try again.")
    if len(pairs) > MAX_FIELDS:
        raise BadRequest(f"The form has more than {MAX_FIELDS} fields; write the job as YAML or JSON.")
    return Posted(pairs)


def conf_of(text: str) -> dict[str, object]:
    """Return the conf that a browser signed; raise :class:`BadRequest` for what is none."""
    try:
        conf = strict_json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The conf is no valid JSON: {error}") from error
    if not isinstance(conf, dict) or not isinstance(conf.get("job"), dict):
        raise BadRequest('The conf must be a JSON object {"job": {...}}.')
    try:
        checks.check_texts(conf)
    except JobError as error:
        raise BadRequest(error.message) from error
    return conf


def link_of_job(job: Mapping[str, object] | None) -> str | None:
    """Return what :func:`job_of_link` reads back."""
    return None if job is None else addresses.job_in_link(job)


def job_of_link(text: str) -> dict[str, object]:
    """Return the job in a link; raise :class:`JobError`."""
    if len(text) > MAX_LINK:
        raise JobError("The job in this link is too long; import a job file.")
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise JobError("The job in this link is damaged: copy the whole link.") from None
    return read_job(content)


def read_job(text: str) -> dict[str, object]:
    """Read a job that a user wrote; raise :class:`JobError`."""
    return checks.read_job(text, config.max_job_size())


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)


def kept(job: Mapping[str, object], without: Iterable[str]) -> dict[str, object]:
    """Return a job without some inputs: secrets of other people, for instance."""
    left_out = set(without)
    return {name: value for name, value in job.items() if name not in left_out}
