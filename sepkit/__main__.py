"""The command ``sepkit``, also as ``python -m sepkit``."""

import contextlib
import io
import os
import sys

from .runtime import interruption


def main() -> None:
    """Run the command; signals are handled before anything heavy is imported."""
    open_streams()
    interruption.watch()
    from .cli import main as run

    with interruption.ending():
        run()


def open_streams() -> None:
    """Open standard streams that were closed, and let any file name be printed.

    Without this, the next file that is opened would take the place of a closed stream.
    """
    with contextlib.suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="replace", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() == "utf-8":
        # Names of files are bytes, which need not be UTF-8.
        sys.stdout.reconfigure(errors="surrogateescape")


if __name__ == "__main__":
    main()
