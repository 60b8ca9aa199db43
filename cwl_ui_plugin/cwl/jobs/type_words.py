"""CWL types in plain words, for people who don't write CWL; ``types.type_text`` has them as authors write them."""

from __future__ import annotations

from cwl_ui_plugin.cwl.cwl_types import CwlType

MAX_SYMBOLS = 6
MAX_FIELDS = 6
_WORDS = {
    "File": ("file", "files"),
    "Directory": ("folder", "folders"),
    "string": ("text", "texts"),
    "int": ("whole number", "whole numbers"),
    "long": ("whole number", "whole numbers"),
    "float": ("number", "numbers"),
    "double": ("number", "numbers"),
    "boolean": ("yes or no", "answers yes or no"),
    "Any": ("anything", "anything"),
    "stdin": ("file", "files"),
    "null": ("nothing", "nothing"),
}


def type_words(declared: CwlType) -> str:
    """Return a type in plain words: ``file``, ``list of texts``, ``one of a, b``.

    That a value may be left out is not in it.
    """
    return _words(declared, plural=False)


def _words(declared: CwlType, *, plural: bool) -> str:
    if isinstance(declared, list):
        parts = [_words(part, plural=plural) for part in declared if part != "null"]
        return " or ".join(dict.fromkeys(parts)) or "nothing"
    if isinstance(declared, str):
        one, many = _WORDS.get(declared, (declared, declared))
        return many if plural else one
    if declared["type"] == "array":
        return f"{'lists' if plural else 'list'} of {_words(declared['items'], plural=True)}"
    if declared["type"] == "enum":
        return f"{'choices' if plural else 'one'} of {_listed(declared['symbols'], MAX_SYMBOLS)}"
    if declared["type"] == "record":
        names = [field["name"] for field in declared["fields"]]
        return f"{'groups' if plural else 'group'} of {_listed(names, MAX_FIELDS)}"
    return _words(declared["type"], plural=plural)  # a primitive type as some documents write it


def _listed(names: list[str], most: int) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
