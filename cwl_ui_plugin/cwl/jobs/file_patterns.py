"""Patterns of file names in a watched folder: ``{sample}/{sample}_R{1,2}.fastq.gz``.

``{sample}`` is a group: one or more characters of a name, the fewest that fit; where it stands again, it is the same
text. ``{1,2}`` are alternatives: each of them is another file. ``*`` is any text. Everything else stands for itself, so
that a name is compared in time that grows with its length only.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

MAX_PATTERN = 1000
MAX_DEPTH = 8
"""Folders below the watched one that a pattern may name."""
MAX_ALTERNATIVES = 100
_BRACES = re.compile(r"\{([^{}]*)\}")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS_OF_TEMPLATES = frozenset(
    ("and", "else", "false", "if", "in", "is", "loop", "none", "not", "or", "recursive", "self", "true")
)
"""Of Jinja; see https://jinja.palletsprojects.com/en/stable/templates/#expressions."""


class PatternError(ValueError):
    """A pattern that can't be used; its text says why, for users."""


@dataclass(frozen=True)
class _Part:
    """A part of a name: a text, or with ``group`` (a name, or ``*``) whatever stands there."""

    text: str = ""
    group: str | None = None

    def filled(self, groups: Mapping[str, str]) -> str:
        """Return it for people, with a group's text where that is known."""
        if self.group is None or self.group == "*":
            return self.group or self.text
        return groups.get(self.group, f"{{{self.group}}}")


@dataclass(frozen=True)
class Pattern:
    """A pattern; ``alternatives`` are one for each file that it stands for, in their order."""

    text: str
    alternatives: tuple[tuple[tuple[_Part, ...], ...], ...]
    """Of each alternative the segments between slashes, each a list of parts."""
    groups: tuple[str, ...]

    @property
    def has_star(self) -> bool:
        """Whether any number of files may match."""
        return any(part.group == "*" for segments in self.alternatives for segment in segments for part in segment)

    @property
    def depth(self) -> int:
        """How many folders stand before the file's name."""
        return len(self.alternatives[0]) - 1

    def match(self, path: str) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield, for each alternative that a relative path is, its number and the texts of its groups."""
        names = path.split("/")
        for number, segments in enumerate(self.alternatives):
            if len(names) == len(segments):
                groups: dict[str, str] | None = {}
                for name, segment in zip(names, segments, strict=True):
                    groups = None if groups is None else _matched(name, segment, groups)
                if groups is not None:
                    yield number, groups

    def filled(self, number: int, groups: Mapping[str, str]) -> str:
        """Return the name of an alternative, for people: groups filled in, stars as they are."""
        return "/".join("".join(part.filled(groups) for part in segment) for segment in self.alternatives[number])


def parse(text: str) -> Pattern:
    """Return a pattern; raise :class:`PatternError`."""
    if not text or len(text) > MAX_PATTERN or "\0" in text:
        raise PatternError(f"A pattern has 1 to {MAX_PATTERN} characters.")
    names = text.split("/")
    if any(name in ("", ".", "..") for name in names):
        raise PatternError(
            "A pattern is relative to the folder, with names between its slashes: no '..', no '/' first."
        )
    if len(names) - 1 > MAX_DEPTH:
        raise PatternError(f"A pattern names {MAX_DEPTH} folders at most.")
    tokens = [_tokens(name) for name in names]
    choices = [token for segment in tokens for token in segment if isinstance(token, list)]
    if _product(choices) > MAX_ALTERNATIVES:
        raise PatternError(f"A pattern stands for {MAX_ALTERNATIVES} files at most.")
    alternatives = tuple(_with(tokens, list(chosen)) for chosen in itertools.product(*choices))
    groups = dict.fromkeys(
        part.group for segment in alternatives[0] for part in segment if part.group not in (None, "*")
    )
    return Pattern(text, alternatives, tuple(group for group in groups if group))


def groups_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the groups of some patterns; those that are none have no groups."""
    found: dict[str, None] = {}
    for text in texts:
        with suppress(PatternError):
            found.update(dict.fromkeys(parse(text).groups))
    return tuple(found)


def _tokens(name: str) -> list[_Part | list[str]]:
    """Return the parts of a name; alternatives are lists."""
    found: list[_Part | list[str]] = []
    for number, piece in enumerate(_BRACES.split(name)):
        if number % 2 == 0:
            found += _literal(piece)
        elif "," in piece:
            found.append(_choices(piece))
        elif piece.lower() in _WORDS_OF_TEMPLATES:
            raise PatternError(f"{{{piece}}} is a word of templates, where groups are used: give it another name.")
        elif _GROUP.fullmatch(piece):
            found.append(_Part(group=piece))
        else:
            raise PatternError(
                f"{{{piece}}} is no group: use letters, digits and '_', such as {{sample}}; or a list: {{1,2}}."
            )
    groups = [part.group for part in found if isinstance(part, _Part) and part.group and part.group != "*"]
    if len(set(groups)) != len(groups):
        raise PatternError(f"A group stands once in a name; in another folder's name it may stand again: {name!r}.")
    if any(_is_open(first) and _is_open(second) for first, second in itertools.pairwise(found)):
        raise PatternError(f"Between two groups, or a group and '*', a text must stand: {name!r}.")
    return found


def _literal(piece: str) -> list[_Part | list[str]]:
    if "{" in piece or "}" in piece:
        raise PatternError("Each '{' needs its '}'.")
    found: list[_Part | list[str]] = []
    for number, text in enumerate(piece.split("*")):
        found += [_Part(group="*")] if number else []
        found += [_Part(text)] if text else []
    return found


def _choices(piece: str) -> list[str]:
    texts = piece.split(",")
    if any(not text or "*" in text for text in texts) or len(set(texts)) != len(texts):
        raise PatternError(f"{{{piece}}} must be texts that differ, none of them empty.")
    return texts


def _is_open(token: _Part | list[str]) -> bool:
    return isinstance(token, _Part) and token.group is not None


def _product(choices: list[list[str]]) -> int:
    count = 1
    for texts in choices:
        count = min(count * len(texts), MAX_ALTERNATIVES + 1)
    return count


def _with(tokens: list[list[_Part | list[str]]], chosen: list[str]) -> tuple[tuple[_Part, ...], ...]:
    """Return the segments of a pattern with one text for each list of alternatives."""
    return tuple(
        tuple(token if isinstance(token, _Part) else _Part(chosen.pop(0)) for token in segment) for segment in tokens
    )


def _matched(name: str, segment: tuple[_Part, ...], known: dict[str, str]) -> dict[str, str] | None:
    """Return the groups of a name that a segment matches, with those that are known already; else None.

    Each group takes the fewest characters: if any way fits, that one does, since between two groups stands a text.
    """
    texts, groups = _between(segment, known)
    at, end = len(texts[0]), len(name) - len(texts[-1])
    if not groups:
        return known if name == texts[0] else None
    if not name.startswith(texts[0]) or not name.endswith(texts[-1]):
        return None
    found = dict(known)
    for number, (group, text) in enumerate(zip(groups, texts[1:], strict=True), start=1):
        begin = at + (group != "*")
        after = end if number == len(groups) else name.find(text, begin, end)
        if after < begin:
            return None
        found[group] = name[at:after]
        at = after + len(text)
    found.pop("*", None)
    return found


def _between(segment: tuple[_Part, ...], known: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the texts of a segment, those of known groups with them, and the groups that stand between them."""
    texts, groups = [""], []
    for part in segment:
        if part.group is None or part.group in known:
            texts[-1] += known[part.group] if part.group else part.text
        else:
            groups.append(part.group)
            texts.append("")
    return texts, groups
