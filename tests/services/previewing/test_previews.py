"""Previews of files that hostile tools wrote: what they show, what they say is wrong, and that they end."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cwl_ui_plugin.services.previewing import archives, previews, searching, unpacking
from cwl_ui_plugin.services.previewing.models import MAX_ROWS, TEXT_BYTES, Preview

Show = Callable[..., Preview]


def packed(content: bytes, level: int = 9) -> bytes:
    """Return content compressed with gzip, always the same."""
    return gzip.compress(content, level, mtime=0)


FASTQ = b"@r1 first\nACGT\n+\nII#I\n@r2\nAC\n+r2\n!~\n"
VCF = (
    b"##fileformat=VCFv4.3\n##source=test\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\tbob\n"
    b"chr1\t10\t.\tA\tC\t50\tPASS\t.\tGT\t0/1\t1/1\n"
)


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """Return the preview of a file with this content."""

    def shown(name: str, content: bytes) -> Preview:
        (tmp_path / name).write_bytes(content)
        with (tmp_path / name).open("rb") as file:
            return previews.preview(file, name)

    return shown


def named(value: object) -> str:
    """Name a test by its texts: contents would make names that differ from process to process."""
    return value if isinstance(value, str) else "content"


def bam_of(header: bytes, references: list[bytes], records: list[bytes]) -> bytes:
    """Return a BAM file, uncompressed."""
    named = b"".join(struct.pack("<i", len(name) + 1) + name + b"\0" + struct.pack("<i", 1000) for name in references)
    sized = b"".join(struct.pack("<i", len(record)) + record for record in records)
    return b"BAM\1" + struct.pack("<i", len(header)) + header + struct.pack("<i", len(references)) + named + sized


RECORD = (
    struct.pack("<iiBBHHHiiii", 0, 9, 3, 60, 0, 1, 16, 4, -1, -1, 0)
    + b"r1\0"
    + struct.pack("<I", 4 << 4)
    + bytes([0x12, 0x48])
    + b"\x1e" * 4
)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.txt", b"text", "text"),
        ("a.log", "ü".encode() * 100_000, "text"),
        ("a.bin", b"\x00\x01", "binary"),
        ("a.dat", bytes(range(128, 256)) * 10, "binary"),
        ("latin.txt", "Größe\n".encode("latin-1"), "text"),
        ("wide.txt", "Größe\n".encode("utf-16"), "text"),
        ("a.json", b'{"a": [1]}', "source"),
        ("broken.json", b'{"a": ', "source"),
        ("deep.json", b"[" * 100_000, "source"),
        ("a.yml", b"a: 1", "source"),
        ("a.csv", b'x,"y\nz"\n1,2\n', "table"),
        ("a.TSV", b'x\t"y\n1\t2\n', "table"),
        ("a.svg", b"<svg/>", "image"),
        ("a.html", b"<script>", "html"),
        ("a.pdf", b"%PDF", "pdf"),
        ("a.png", b"no picture", "none"),
        ("empty", b"", "text"),
        ("empty.csv", b"", "text"),
        ("empty.zip", b"", "text"),
        ("a.fastq", FASTQ, "reads"),
        ("a.fq.gz", packed(FASTQ), "reads"),
        ("a.fasta.gz", packed(b">s one\nACGT\nAC\n"), "table"),
        ("a.vcf.gz", packed(VCF), "table"),
        ("a.sam", b"@HD\tVN:1.6\nr1\t0\t*\t0\t0\t*\t*\t0\t0\tA\tI\n", "table"),
        ("noend.gz", packed(b"text " * 1000)[:40], "text"),
        ("a.gz", b"\x1f\x8bno gzip at all", "binary"),
    ],
    ids=named,
)
def test_a_preview_fits_the_file(show: Show, name: str, content: bytes, kind: str) -> None:
    assert show(name, content).kind == kind


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("broken.json", b'{"a":\n1,}', "line 2, column 3"),
        ("a.png", b"%PDF-1.7", "looks like a PDF"),
        ("a.png", b"", "empty"),
        ("a.fastq.gz", FASTQ, "and it is not"),
        ("a.fastq.gz", packed(FASTQ)[:-12], "ends in the middle"),
        ("a.txt.gz", packed(b"x") + b"garbage", "damaged"),
        ("a.fastq", b">s\nAC\n+\nII\n", "does not begin with @"),
        ("a.fastq", b"@r\nACG\n+\nII\n", "3 bases and 2 qualities"),
        ("a.fastq", b"@r\nAC\n", "ends within the read at line 1"),
        ("a.fastq", b"@r\nAC\nII\nII\n", "does not begin with \\+"),
        ("a.fastq", b"@r\nAC\n+\nI\x7f\n", "no quality"),
        ("a.fasta", b"ACGT\n", "before the first line that begins with >"),
        ("a.vcf", b"chr1\t1\n", "no line that begins with #CHROM"),
        ("a.bed", b"track x\nchr1\t5\n", "Line 2 has 2 of 3"),
        ("a.tsv", b"a\tb\n1\t2\n3\n", "Line 3 has 1 of 2"),
        ("a.bam", b"@HD", "does not begin as one"),
        ("a.bam", packed(bam_of(b"@HD\n", [b"chr1"], [RECORD])[:-20]), "ends too early"),
        ("a.bam", packed(b"BAM\1" + struct.pack("<i", -5)), "header has -5 bytes"),
        ("a.bam", packed(b"BAM\1\0\0\0\0" + struct.pack("<i", 2**31 - 1)), "at most"),
        ("a.zip", b"no zip", "no valid zip"),
        ("a.tar", b"no tar", "no valid tar"),
        ("a.tar.gz", packed(b"no tar"), "no valid tar"),
    ],
    ids=named,
)
def test_what_is_wrong_is_said(show: Show, name: str, content: bytes, problem: str) -> None:
    assert re.search(problem, show(name, content).problem)


def test_reads_have_readable_qualities(show: Show) -> None:
    first, second = show("a.fastq", FASTQ).reads
    assert (first.name, first.length, first.lowest_quality, first.mean_quality) == ("r1 first", 4, 2, 30.5)
    assert first.bars == "██▁█"
    assert second.qualities == (0, 93)


def test_a_read_that_is_cut_at_the_end_of_what_is_read_is_no_fault(show: Show) -> None:
    shown = show("a.fastq", b"@r\n" + b"A" * 60_000 + b"\n+\n" + b"I" * 60_000 + b"\n" + FASTQ * 1000)
    assert (shown.problem, shown.is_part, shown.reads[0].length) == ("", True, 60_000)
    assert len(shown.reads[0].bases) == len(shown.reads[0].qualities) == 300


def test_a_vcf_has_its_header_apart_and_its_samples(show: Show) -> None:
    shown = show("a.vcf", VCF)
    assert shown.header.splitlines()[:2] == ["##fileformat=VCFv4.3", "##source=test"]
    assert shown.columns[:2] == ("CHROM", "POS")
    assert shown.rows == (("chr1", "10", ".", "A", "C", "50", "PASS", ".", "GT", "0/1", "1/1"),)
    assert shown.facts == (("Samples", "2: ann, bob"),)


def test_bed_and_gff_have_the_names_of_their_columns(show: Show) -> None:
    bed = show("a.bed", b"chr1\t1\t2\tgene\nchr2\t1\t2\tgene\n")
    assert (bed.columns, len(bed.rows)) == (("chrom", "start", "end", "name"), 2)
    gff = show("a.gff3", b"##gff-version 3\nc\ts\tgene\t1\t2\t.\t+\t.\tID=x\n")
    assert (gff.columns[-1], gff.header, gff.problem) == ("attributes", "##gff-version 3", "")


def test_a_bam_shows_its_header_and_alignments(show: Show) -> None:
    shown = show("a.bam", packed(bam_of(b"@HD\tVN:1.6\n", [b"chr1"], [RECORD] * 60)))
    assert shown.header == "@HD\tVN:1.6\n"
    assert shown.rows[0] == ("r1", "16", "chr1", "10", "60", "4M", "*", "0", "0", "ACGT")
    assert (len(shown.rows), shown.is_part, shown.problem) == (50, True, "")


@pytest.mark.skipif(shutil.which("samtools") is None, reason="needs samtools")
def test_a_bam_of_samtools_is_read_as_samtools_reads_it(show: Show, tmp_path: Path) -> None:
    sam = (
        b"@SQ\tSN:chr1\tLN:1000\nr1\t0\tchr1\t5\t60\t2M1I2S\t=\t9\t7\tACGTN\tIIIII\nr2\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\n"
    )
    (tmp_path / "in.sam").write_bytes(sam)
    subprocess.run(["samtools", "view", "--no-PG", "-b", "-o", "made.bam", "in.sam"], cwd=tmp_path, check=True)
    shown = show("again.bam", (tmp_path / "made.bam").read_bytes())
    printed = sam.decode().splitlines()[1:]
    assert ["\t".join(row) for row in shown.rows] == [line.rpartition("\t")[0] for line in printed]
    assert (shown.problem, shown.is_part) == ("", False)


def test_hostile_alignments_are_refused(show: Show) -> None:
    long_name = struct.pack("<iiBBHHHiiii", 0, 9, 255, 60, 0, 65535, 16, 2**30, -1, -1, 0) + b"x" * 10
    assert "shorter than it says" in show("a.bam", packed(bam_of(b"", [], [long_name]))).problem


def test_archives_are_listed(show: Show) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("plots/ü.txt", "x" * 2000)
        archive.writestr("b", "")
    assert [row[:2] for row in show("a.zip", content.getvalue()).rows] == [("plots/ü.txt", "2.0 kB"), ("b", "0 B")]
    for mode, name in (("w", "a.tar"), ("w:gz", "a.tar.gz"), ("w:gz", "a.tgz")):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode=mode) as made:
            info = tarfile.TarInfo("x/y")
            info.size = 3
            made.addfile(info, io.BytesIO(b"abc"))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            made.addfile(link)
        shown = show(name, content.getvalue())
        assert [row[:2] for row in shown.rows] == [("x/y", "3 B"), ("link", "link to /etc/passwd")]
        assert (shown.problem, shown.is_part) == ("", False)


def test_a_list_of_an_archive_is_bounded(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(20):
            archive.writestr(str(number), "")
    monkeypatch.setattr(archives, "MAX_ENTRIES", 5)
    shown = show("a.zip", content.getvalue())
    assert (len(shown.rows), shown.is_part, shown.problem) == (5, True, "")
    lying = content.getvalue()[:-10] + struct.pack("<2IH", 2**32 - 2, 0, 0)
    assert "too long" in show("b.zip", lying).problem


def test_a_tar_whose_header_says_it_is_huge_takes_little_memory(show: Show) -> None:
    huge = tarfile.TarInfo("x")
    huge.type, huge.size = tarfile.GNUTYPE_LONGNAME, 8 * 1024**3
    for name, content in (("a.tar", huge.tobuf()), ("a.tar.gz", packed(huge.tobuf() + b"x" * 100_000))):
        assert not show(name, content).rows


def test_a_bomb_is_not_unpacked(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    decompressobj = zlib.decompressobj

    class Counted:
        def __init__(self, bits: int) -> None:
            self._inner = decompressobj(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            part = self._inner.decompress(data, most)
            taken.append(len(part))
            return part

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

    monkeypatch.setattr(unpacking.zlib, "decompressobj", Counted)
    bomb = packed(b"\n" * 50_000_000, 1)
    shown = show("a.txt.gz", bomb)
    assert shown.is_part
    assert sum(taken) <= TEXT_BYTES + 1


def test_a_gzip_file_of_countless_empty_parts_ends(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_PACKED", 100_000)
    unpacked = unpacking.Unpacked(io.BytesIO(packed(b"") * 100_000), 100_000)
    assert (unpacked.read(10), unpacked.is_cut) == (b"", True)


class CountedClock:
    """A clock that goes on by a second each time somebody looks at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def test_reading_ends_in_time_within_countless_empty_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO(packed(b"") * 100_000)
    monkeypatch.setattr(unpacking, "time", CountedClock())
    unpacked = unpacking.Unpacked(file, 10**9, seconds=1000)
    assert (unpacked.read(10), unpacked.is_cut, unpacked.problem) == (b"", True, "")
    assert file.tell() <= unpacking.CHUNK_BYTES


@pytest.mark.parametrize("name", ["a.log.gz", "a.tar.gz"])
def test_searching_and_listing_end_within_one_reading(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(packed(b"") * 50_000 + packed(b"needle\n" * 1000))
    monkeypatch.setattr(unpacking, "time", CountedClock())
    with (tmp_path / name).open("rb") as file:
        if name == "a.log.gz":
            found = searching.search(file, "needle")
            assert (found.lines, found.is_all) == ((), False)
        else:
            listed = archives.tar_preview(file, 1)
            assert (listed.rows, listed.is_part) == ((), True)
        assert file.tell() <= unpacking.CHUNK_BYTES


@pytest.mark.parametrize(
    "content",
    [packed(b"") * 10_000, b"\0".join([packed(b"")] * 10_000), packed(b"x" * 10_000)],
    ids=["empty", "empty, with filling", "read by letters"],
)
def test_what_zlib_copies_does_not_grow_with_the_parts(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    copied, decompressobj = [0], zlib.decompressobj

    class Copying:
        def __init__(self, bits: int) -> None:
            self._inner = decompressobj(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            part = self._inner.decompress(data, most)
            copied[0] += len(self._inner.unused_data) + len(self._inner.unconsumed_tail)
            return part

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

    monkeypatch.setattr(unpacking.zlib, "decompressobj", Copying)
    unpacked = unpacking.Unpacked(io.BytesIO(content))
    while unpacked.read(4):
        pass
    assert not unpacked.problem
    assert copied[0] <= 300 * 10_000


def test_a_tar_whose_headers_are_within_one_another_is_told(show: Show) -> None:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 2
    first = tarfile.TarInfo("first").tobuf()
    shown = show("a.tar", first + (name.tobuf(tarfile.USTAR_FORMAT) + b"x".ljust(512, b"\0")) * 2000)
    assert [row[0] for row in shown.rows] == ["first"]
    assert "too many headers" in shown.problem


def test_json_that_would_be_long_with_indentation_is_shown_as_it_is(show: Show) -> None:
    depth = 200
    content = b"[" * depth + b",".join([b"1"] * 30_000) + b"]" * depth
    shown = show("a.json", content)
    assert (shown.text, shown.problem) == (content.decode(), "")
    assert "as it is" in shown.note


def test_a_file_in_many_parts_is_one_file(show: Show) -> None:
    assert show("a.txt.gz", b"".join(packed(b"%d\n" % number) for number in range(1000))).text.count("\n") == 1000
    assert show("b.txt.gz", packed(b"x") + b"\0" * 70_000).problem == ""


def test_a_preview_is_bounded(show: Show) -> None:
    wide = show("wide.csv", (",".join(["x" * 10_000] * 100) + "\n" + "1,2\n" * 100_000).encode())
    assert wide.is_part
    assert len(wide.rows) <= MAX_ROWS
    assert sum(len(cell) for row in (wide.columns, *wide.rows) for cell in row) <= TEXT_BYTES
    assert len(show("long.txt", b"x" * 10_000_000).text) == TEXT_BYTES
    assert json.loads(show("a.json", b'{"a": 1}').text) == {"a": 1}


def test_words_are_found_in_a_large_file_and_only_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"line %d" % number for number in range(100_000)]
    lines[77_777] += b" ERROR: no space left"
    for name, content in (("a.log", b"\n".join(lines)), ("b.log.gz", packed(b"\n".join(lines), 1))):
        (tmp_path / name).write_bytes(content)
        with (tmp_path / name).open("rb") as file:
            found = searching.search(file, "error: NO")
        assert found.lines == ((77_778, "line 77777 ERROR: no space left"),)
        assert found.is_all
        with (tmp_path / name).open("rb") as file:
            last = searching.search(file, "line 99999")
        assert last.lines == ((100_000, "line 99999"),)
    with (tmp_path / "a.log").open("rb") as file:
        many = searching.search(file, "line")
    assert (len(many.lines), many.is_all) == (searching.MAX_FOUND, False)
    monkeypatch.setattr(searching, "MAX_BYTES", 1000)
    with (tmp_path / "a.log").open("rb") as file:
        part = searching.search(file, "ERROR")
    assert (part.lines, part.is_all) == ((), False)


def test_a_line_without_an_end_is_searched_in_parts(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000 + b"needle" + b"y" * 3_000_000)
    with (tmp_path / "a").open("rb") as file:
        found = searching.search(file, "needle")
    assert all(len(text) <= searching.MAX_LINE for _number, text in found.lines)
    assert "needle" in found.lines[0][1]


def test_a_pipe_is_never_opened_for_a_preview(tmp_path: Path) -> None:
    from cwl_ui_plugin.opened import NotPlain, Place

    os.mkfifo(tmp_path / "a.fastq")
    with pytest.raises(NotPlain):
        Place(tmp_path).open("a.fastq")
