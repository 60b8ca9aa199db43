"""Whether a value is of a CWL type, in CWL's words, and where the files of a job may be.

Types are the plain JSON of ``plan.Parameter.type``. See https://www.commonwl.org/v1.2/CommandLineTool.html#CWLType.
"""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin.cwl.cwl_types import ArrayType, Compound, CwlType, RecordType
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.file_objects import file_object, parts_problems
from cwl_ui_plugin.fetching.hosts import HostRules
from cwl_ui_plugin.fetching.storage_roots import StorageRules, is_stored, shown, without_login
from cwl_ui_plugin.strict_json import is_text

REMOTE_SCHEMES = ("http", "https", "drs")
_REMOTE = tuple(f"{scheme}://" for scheme in REMOTE_SCHEMES)
_LONGEST = max(map(len, _REMOTE))
NO_HOSTS = HostRules()
NO_STORAGE = StorageRules()
NOT_ALLOWED = (
    "is not in a folder that inputs may come from: upload it, use an output of a workflow that you may see, or ask an "
    "administrator for its folder ([cwl] input_roots)"
)
NOT_WHOLE = "holds folders that inputs may not come from, such as what others uploaded: name a folder in it"
_BITS = {"int": 32, "long": 64}


@dataclass(frozen=True)
class FileRules:
    """Where files of a job may be: relative paths start at ``base``; links resolved, all must be in ``roots``.

    ``closed`` are folders in these roots that no file may come from; a root within one of them is open all the same.
    """

    base: Path
    roots: tuple[Path, ...]
    hosts: HostRules = NO_HOSTS
    """Those that files may be fetched from."""
    storage: StorageRules = NO_STORAGE
    """Places of object stores that files may be fetched from."""
    closed: tuple[Path, ...] = ()
    not_allowed: str = NOT_ALLOWED
    """What is said about a file that is elsewhere."""
    awaited: frozenset[Path] = frozenset()
    """Paths without links of files that need not be there yet."""

    def allows(self, real: Path, *, whole: bool = False) -> bool:
        """Whether a job may name a path without links; ``whole``: with everything below it, as a Directory does."""
        if self.root_of(real) is None:
            return False
        return not whole or not any(
            folder.is_relative_to(real) for folder, is_open in self._is_open.items() if not is_open
        )

    def root_of(self, real: Path) -> Path | None:
        """Return the root that a path is in; None where the innermost folder that decides is a closed one, or none."""
        innermost = next((folder for folder in (real, *real.parents) if folder in self._is_open), None)
        return innermost if innermost is not None and self._is_open[innermost] else None

    @cached_property
    def _is_open(self) -> dict[Path, bool]:
        closed = {folder.resolve(): False for folder in self.closed}
        return {**closed, **{root.resolve(): True for root in self.roots}}


def type_text(declared: CwlType) -> str:
    """Return a type as people write it: ``File``, ``int?``, ``string[]``, ``one of a, b``."""
    if isinstance(declared, list):
        names = [type_text(part) for part in declared if part != "null"]
        text = " or ".join(names)
        if "null" not in declared or not names:
            return text or "null"
        return f"{text}?" if len(names) == 1 else f"{text} or null"
    if not isinstance(declared, dict):
        return str(declared)
    if declared["type"] == "array":
        inner = type_text(declared["items"])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if declared["type"] == "enum":
        return "one of " + ", ".join(declared["symbols"])
    return "record with " + ", ".join(f"{field['name']}: {type_text(field['type'])}" for field in declared["fields"])


def fits(declared: CwlType, value: object) -> bool:
    """Whether a value is of a type, wherever its files are."""
    if isinstance(declared, list):
        return any(fits(part, value) for part in declared)
    if isinstance(declared, dict):
        return _compound_fits(declared, value)
    if declared == "Any":
        return value is not None
    if declared in ("File", "Directory"):
        return isinstance(value, dict) and value.get("class") == declared
    return _is_scalar(declared, value)


def _compound_fits(declared: Compound, value: object) -> bool:
    if declared["type"] == "array":
        return isinstance(value, list) and all(fits(declared["items"], item) for item in value)
    if declared["type"] == "enum":
        return isinstance(value, str) and value in declared["symbols"]
    return _record_fits(declared, value)


def _record_fits(declared: RecordType, value: object) -> bool:
    kinds = {field["name"]: field["type"] for field in declared["fields"]}
    return (
        isinstance(value, dict)
        and value.keys() <= kinds.keys()
        and all(fits(kind, value.get(name)) for name, kind in kinds.items())
    )


class Checker:
    """Checks values and makes the locations of files absolute."""

    def __init__(self, files: FileRules) -> None:
        self.files = files

    def check(self, declared: CwlType, value: object, problems: list[Problem]) -> object:
        """Return the value with absolute locations; add what is wrong, and where within it, to ``problems``."""
        if isinstance(declared, list):
            return self._check_union(declared, value, problems)
        if isinstance(declared, dict):
            return self._check_compound(declared, value, problems)
        if declared == "Any":
            return self._check_any(value, problems)
        if declared in ("File", "Directory"):
            return self._check_file(declared, value, problems)
        if not _is_scalar(declared, value):
            problems.append(_wrong(declared, value))
        elif isinstance(value, str):
            _check_text(value, problems)
        return value

    def _check_union(self, declared: list[CwlType], value: object, problems: list[Problem]) -> object:
        if value is None and "null" in declared:
            return None
        attempts: list[list[Problem]] = []
        for part in declared:
            found: list[Problem] = []
            result = self.check(part, value, found)
            if not found:
                return result
            if _same_shape(part, value):
                attempts.append(found)
        problems += attempts[0] if attempts else [_wrong(declared, value)]
        return value

    def _check_compound(self, declared: Compound, value: object, problems: list[Problem]) -> object:
        if declared["type"] == "array":
            return self._check_array(declared, value, problems)
        if declared["type"] == "record":
            return self._check_record(declared, value, problems)
        if value not in declared["symbols"]:
            problems.append(_wrong(declared, value))
        return value

    def _check_array(self, declared: ArrayType, value: object, problems: list[Problem]) -> object:
        if not isinstance(value, list):
            problems.append(_wrong(declared, value))
            return value
        return [self._check_at(f"[{index}]", declared["items"], item, problems) for index, item in enumerate(value)]

    def _check_record(self, declared: RecordType, value: object, problems: list[Problem]) -> object:
        if not isinstance(value, dict):
            problems.append(_wrong(declared, value))
            return value
        fields = {field["name"]: field["type"] for field in declared["fields"]}
        for name in value:
            if name not in fields:
                problems.append(Problem(f"the record has no field {name!r}; it has {', '.join(fields)}"))
        return {
            name: self._check_at(f".{name}", kind, value.get(name), problems)
            for name, kind in fields.items()
            if name in value or not _is_optional(kind)
        }

    def _check_at(self, where: str, declared: CwlType, value: object, problems: list[Problem]) -> object:
        found: list[Problem] = []
        result = self.check(declared, value, found)
        problems += [replace(problem, input=where + (problem.input or "")) for problem in found]
        return result

    def _check_any(self, value: object, problems: list[Problem]) -> object:
        """Any value but null; files within it follow the rules of files."""
        if value is None:
            problems.append(Problem("expected a value of any type, but got null"))
        elif isinstance(value, dict) and value.get("class") in ("File", "Directory"):
            return self._check_file(value["class"], value, problems)
        elif isinstance(value, dict):
            return {name: item if item is None else self._check_any(item, problems) for name, item in value.items()}
        elif isinstance(value, list):
            return [item if item is None else self._check_any(item, problems) for item in value]
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(_wrong("Any", value))
        elif isinstance(value, str):
            _check_text(value, problems)
        return value

    def _check_file(self, declared: str, value: object, problems: list[Problem]) -> object:
        if not isinstance(value, dict) or value.get("class") != declared:
            problems.append(_wrong(declared, value))
            return value
        for text in value.values():
            if isinstance(text, str):
                _check_text(text, problems)
        checked = file_object(value, problems)
        if declared == "File" and is_remote(checked.get("location")):
            _keep_announced(value, checked, problems)
        if "location" in checked:
            checked["location"] = self._check_location(declared, checked["location"], problems)
        elif not isinstance(checked.get("contents" if declared == "File" else "listing"), (str, list)):
            problems.append(
                Problem(f'a {declared} needs a location, for instance {{"class": "{declared}", "location": "x"}}')
            )
        for key in ("secondaryFiles", "listing"):
            if isinstance(checked.get(key), list):
                checked[key] = [
                    self._check_part(f".{key}[{index}]", item, problems) for index, item in enumerate(checked[key])
                ]
        problems += parts_problems(checked)
        return checked

    def _check_part(self, where: str, item: object, problems: list[Problem]) -> object:
        if not isinstance(item, dict) or item.get("class") not in ("File", "Directory"):
            problems.append(Problem("secondaryFiles and listing hold objects of class File or Directory", input=where))
            return item
        return self._check_at(where, item["class"], item, problems)

    def _check_location(self, declared: str, location: object, problems: list[Problem]) -> object:
        if not isinstance(location, str) or not location.strip() or "\0" in location:
            problems.append(Problem(f"choose a {declared.lower()}: its location is empty"))
            return location
        if "://" not in location:
            return self._check_path(declared, self.files.base / location, location, problems)
        try:
            address = urlsplit(location)
        except ValueError:
            problems.append(Problem(f"{shown(without_login(location))} is no address"))
            return location
        if address.scheme in REMOTE_SCHEMES:
            location = address.scheme + location[len(address.scheme) :]  # in small letters
            self._check_remote(declared, location, problems)
            return location
        if is_stored(location):
            location = address.scheme + location[len(address.scheme) :]
            self._check_stored(declared, location, problems)
            return location
        if address.scheme != "file" or address.netloc not in ("", "localhost"):
            problems.append(Problem(f"{location}: files are named by a path or by file:///"))
            return location
        if address.query or address.fragment:
            problems.append(Problem(f"{location}: in file:///, write ? as %3F and # as %23"))
            return location
        return self._check_path(declared, Path(unquote(address.path)), location, problems)

    def _check_remote(self, declared: str, location: str, problems: list[Problem]) -> None:
        from cwl_ui_plugin.fetching import drs, fetch
        from cwl_ui_plugin.fetching.errors import FetchError

        if declared == "Directory":
            problems.append(Problem(f"{location}: only files are fetched from the network; name them in a listing"))
            return
        try:
            is_drs = location.startswith(f"{drs.SCHEME}://")
            fetch.check_address(drs.object_url(location) if is_drs else location, self.files.hosts)
        except FetchError as error:
            problems.append(Problem(str(error)))

    def _check_stored(self, declared: str, location: str, problems: list[Problem]) -> None:
        from cwl_ui_plugin.fetching.errors import FetchError

        try:
            self.files.storage.address(location, is_folder=declared == "Directory")
        except FetchError as error:
            problems.append(Problem(str(error)))

    def _check_path(self, declared: str, path: Path, location: str, problems: list[Problem]) -> str:
        try:
            real = path.resolve()
            mode = real.stat().st_mode
        except FileNotFoundError:
            mode = 0
        except (OSError, RuntimeError, ValueError):
            problems.append(Problem(f"{location} can't be read"))
            return location
        is_folder = stat.S_ISDIR(mode)
        if not self.files.allows(real):
            problems.append(Problem(f"{location} {self.files.not_allowed}"))
        elif not mode and real in self.files.awaited:
            pass
        elif not mode:
            problems.append(Problem(f"there is no {declared.lower()} {location}"))
        elif not is_folder and not stat.S_ISREG(mode):
            problems.append(Problem(f"{location} is neither a file nor a folder, but a device, a pipe or a socket"))
        elif is_folder != (declared == "Directory"):
            problems.append(Problem(f"{location} is {'a folder' if is_folder else 'a file'}, not a {declared}"))
        elif is_folder and not self.files.allows(real, whole=True):
            problems.append(Problem(f"{location} {NOT_WHOLE}"))
        absolute = path.absolute()
        return (real if ".." in absolute.parts else absolute).as_uri()  # the last part becomes a basename


def is_remote(location: object) -> bool:
    """Whether a location is an address on the network, or in an object store."""
    if not isinstance(location, str):
        return False
    return location[:_LONGEST].lower().startswith(_REMOTE) or is_stored(location)


def _keep_announced(value: dict[str, object], checked: dict[str, object], problems: list[Problem]) -> None:
    """Keep the checksum and size that a file must have when it is fetched; of files here the runner finds them out."""
    from cwl_ui_plugin.fetching.checksums import of_file_object
    from cwl_ui_plugin.fetching.errors import OtherContent

    if "checksum" in value:
        try:
            of_file_object(value["checksum"])
        except OtherContent as error:
            problems.append(Problem(str(error)))
        checked["checksum"] = value["checksum"]
    if (size := value.get("size")) is not None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            problems.append(Problem("the size of a file is a number of bytes"))
        checked["size"] = size


def _is_scalar(declared: str, value: object) -> bool:
    if declared == "null":
        return value is None
    if declared == "boolean":
        return isinstance(value, bool)
    if declared == "string":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if declared in _BITS:
        limit = 2 ** (_BITS[declared] - 1)
        return isinstance(value, int) and -limit <= value < limit
    return declared in ("float", "double") and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that is greater than any float
        return False


def _check_text(text: str, problems: list[Problem]) -> None:
    if not is_text(text):
        problems.append(Problem("the text has a null character or half of a surrogate pair in it"))


def _is_optional(declared: CwlType) -> bool:
    return declared == "null" or (isinstance(declared, list) and "null" in declared)


def _same_shape(declared: CwlType, value: object) -> bool:
    """Whether ``value`` was meant to be of this type, so that what is wrong inside of it is worth telling."""
    if isinstance(declared, dict):
        return isinstance(value, list) if declared["type"] == "array" else isinstance(value, dict)
    if declared == "Any":
        return value is not None
    return declared in ("File", "Directory") and isinstance(value, dict) and value.get("class") == declared


def _wrong(declared: CwlType, value: object) -> Problem:
    return Problem(f"expected {type_text(declared)}, but got {_shown(value)}")


def _shown(value: object) -> str:
    names: dict[type, str] = {dict: "a mapping", list: "a list", type(None): "null", bool: "the boolean"}
    if isinstance(value, (dict, list)) or value is None:
        return names[type(value)]
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    kind = "the text" if isinstance(value, str) else names.get(type(value), "the number")
    return f"{kind} {text[:80]}"
