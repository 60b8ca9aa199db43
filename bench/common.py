"""What the benchmarks share: options, medians, tables, peers' environments, the sections of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".build" / "peers"
PAGE = ROOT / "docs" / "benchmarks.md"
sys.path.insert(0, str(ROOT / "tests"))


def options(description: str | None, **numbers: tuple[int, str]) -> argparse.Namespace:
    """Return the command line's options: ``--repeat``, ``--page``, and ``numbers``, each with its default and help."""
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(1))  # stops what was started, as Ctrl-C does
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeat", type=int, default=5, help="how often each thing is measured; medians are shown")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose section is written")
    for name, (default, text) in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=f"{text} ({default})")
    return parser.parse_args()


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which ``percent`` of the values are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def seconds(value: float) -> str:
    """Return seconds as people read them."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def peak_memory(pid: int) -> float:
    """Return the peak of the resident memory of a process, in bytes."""
    return kilobytes("VmHWM", Path(f"/proc/{pid}/status").read_text())


def kilobytes(field: str, text: str) -> float:
    """Return the sum of a field (a pattern) of a file of /proc, in bytes."""
    return sum(float(number) * 1024 for number in re.findall(rf"{field}:\s+(\d+) kB", text))


def verdict(value: float, most: float) -> str:
    """Say whether a figure that must not exceed ``most`` does."""
    return "reached" if value <= most else "missed"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def timed(action: Callable[..., object], *arguments: object) -> float:
    """Return the seconds that an action takes."""
    began = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - began


def run(command: Sequence[str | Path], **kwargs: object) -> str:
    """Run a command; return what it prints; raise with its complaints if it fails."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **kwargs)  # type: ignore
    if result.returncode:
        name = " ".join(str(word) for word in command[:3])  # the rest may have a token
        raise RuntimeError(f"{name} … ended with {result.returncode}:\n{(result.stdout + result.stderr)[-3000:]}")
    return str(result.stdout)


def peer(name: str, *requirements: str, first: Sequence[str] = (), constraints: Path | None = None) -> Path:
    """Return the ``bin`` folder of a peer's own environment, made if it is not there; ``first`` comes first."""
    folder = PEERS / name
    stamp = folder / "installed.txt"
    wanted = "\n".join([*first, *requirements])
    bounds = ["--constraint", constraints] if constraints else []
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"installing {name}")
        run([sys.executable, "-m", "venv", "--clear", folder])
        for packages in (first, requirements):
            if packages:
                run([folder / "bin" / "pip", "install", "--quiet", *bounds, *packages])
        stamp.write_text(wanted)
    return folder / "bin"


def machine() -> str:
    """Describe the machine: figures of another one differ."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {_system()}, Python {platform.python_version()}, "
        f"Airflow {version('apache-airflow')}, cwltool {version('cwltool').rpartition('.')[0]}"
    )


def write_section(page: Path, name: str, text: str, repeat: int) -> None:
    """Write a section of the page, between its markers; the rest of the page stays as it is."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- end:{name} -->"
    medians = f", medians of {repeat}" if repeat > 1 else ""
    measured = f"Measured {time.strftime('%Y-%m-%d')}{medians}: {machine()}."
    section = f"{begin}\n{text.strip()}\n\n{measured}\n{end}"
    content = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(content):
        raise RuntimeError(f"{page} has no {begin} … {end}")
    page.write_text(pattern.sub(lambda _match: section, content), encoding="utf-8")
    print(text)


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
