"""How much main memory is free."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes of main memory that are free without swapping; None where that is not known.

    On Linux what the kernel calls available, and not more than the limit of the container;
    elsewhere what psutil finds, if it is installed, else all that the machine has.
    """
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found: list[int | None] = [1024 * int(lines["MemAvailable"].split()[0])]
    except (OSError, KeyError, ValueError):
        found = [_elsewhere()]
    try:
        limit, taken = (
            (_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current")
        )
        found.append(max(0, int(limit) - int(taken)) if limit != "max" else None)
    except (OSError, ValueError):
        pass
    return min((value for value in found if value is not None), default=None)


def _elsewhere():
    try:
        import psutil

        return psutil.virtual_memory().available
    except ImportError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
