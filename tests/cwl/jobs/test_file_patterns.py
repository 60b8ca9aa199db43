"""Which names a pattern takes, and what it finds in them."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.cwl.jobs.file_patterns import MAX_ALTERNATIVES, MAX_DEPTH, MAX_PATTERN, PatternError, parse


def found(pattern: str, path: str) -> list[tuple[int, dict[str, str]]]:
    return list(parse(pattern).match(path))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{sample}_R{1,2}.fastq.gz", "a_R1.fastq.gz", [(0, {"sample": "a"})]),
        ("{sample}_R{1,2}.fastq.gz", "a_b_R2.fastq.gz", [(1, {"sample": "a_b"})]),
        ("{sample}_R{1,2}.fastq.gz", "_R1.fastq.gz", []),
        ("{sample}_R{1,2}.fastq.gz", "a_R3.fastq.gz", []),
        ("{sample}_R{1,2}.fastq.gz", "x/a_R1.fastq.gz", []),
        ("{sample}/{sample}_R{1,2}.gz", "a/a_R2.gz", [(1, {"sample": "a"})]),
        ("{sample}/{sample}_R{1,2}.gz", "a/b_R2.gz", []),
        ("{run}/{sample}.txt", "r1/s.txt", [(0, {"run": "r1", "sample": "s"})]),
        ("{a}_{b}.txt", "x_y_z.txt", [(0, {"a": "x", "b": "y_z"})]),
        ("{a}-{b}-x", "1-2-3-x", [(0, {"a": "1", "b": "2-3"})]),
        ("*.txt", ".txt", [(0, {})]),
        ("{s}_*.txt", "a_1.txt", [(0, {"s": "a"})]),
        ("{s}_*.txt", "a_.txt", [(0, {"s": "a"})]),
        ("fixed.csv", "fixed.csv", [(0, {})]),
        ("fixed.csv", "fixed_csv", []),
        ("{s}.a+b[1](x)", "q.a+b[1](x)", [(0, {"s": "q"})]),
        ("{s}{.bam,.bam.bai}", "a.bam.bai", [(1, {"s": "a"})]),
        ("{x}_{1,2}_{3,4}", "n_2_3", [(2, {"x": "n"})]),
        ("aXa{s}aXa", "aXa", []),
        ("{a}_x_{b}_x", "1_x_x", []),
        ("n{a}n{b}n", "n1n", []),
    ],
)
def test_a_pattern_takes_what_it_says(pattern: str, path: str, expected: list[tuple[int, dict[str, str]]]) -> None:
    assert found(pattern, path) == expected


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "characters"),
        ("x" * 1001, "characters"),
        ("../x", "no '..'"),
        ("/etc/{s}", "no '/' first"),
        ("a//b", "between its slashes"),
        ("{s", "needs its"),
        ("s}", "needs its"),
        ("{}", "no group"),
        ("{a b}", "no group"),
        ("{self}.gz", "a word of templates"),
        ("{None}.gz", "a word of templates"),
        ("{1,1}", "differ"),
        ("{1,}", "none of them empty"),
        ("{s}{t}", "a text must stand"),
        ("{s}*", "a text must stand"),
        ("**", "a text must stand"),
        ("{s}_{s}", "stands once"),
        ("/".join("abcdefghij"), "8 folders"),
        ("{" + ",".join(map(str, range(101))) + "}", "100 files"),
        ("{1,2}" * 7, "100 files"),
    ],
)
def test_other_patterns_are_refused_in_words(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=words):
        parse(pattern)


def test_no_name_makes_a_pattern_slow() -> None:
    pattern = parse("-".join(f"{{g{number}}}a" for number in range(60)) + "b")
    assert list(pattern.match("a-a" * 80)) == []  # backtracking would not come to an end


def test_a_missing_file_is_named() -> None:
    pattern = parse("{sample}/{sample}_R{1,2}.*.gz")
    assert pattern.filled(1, {"sample": "a"}) == "a/a_R2.*.gz"
    assert pattern.groups == ("sample",)
    assert (pattern.depth, pattern.has_star) == (1, True)


@pytest.mark.parametrize(
    "pattern", ["a\0b", ".", "x/./y", "{a,*}", "x" * (MAX_PATTERN + 1), "x/" * (MAX_DEPTH + 1) + "y"]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        parse(pattern)


def test_a_pattern_may_be_as_long_deep_and_manifold_as_it_says() -> None:
    assert parse("x" * MAX_PATTERN).text == "x" * MAX_PATTERN
    assert parse("x/" * MAX_DEPTH + "y").depth == MAX_DEPTH
    numbers = ",".join(str(number) for number in range(MAX_ALTERNATIVES))
    assert len(parse(f"{{{numbers}}}").alternatives) == MAX_ALTERNATIVES
    with pytest.raises(PatternError, match=str(MAX_ALTERNATIVES)):
        parse(f"{{{numbers}}}{{a,b}}")
    with pytest.raises(PatternError, match=str(MAX_ALTERNATIVES)):
        parse(f"{{{numbers},more}}")


def test_a_group_that_is_not_known_is_shown_by_its_name() -> None:
    assert parse("{sample}/{lane}_*").filled(0, {"sample": "s1"}) == "s1/{lane}_*"
