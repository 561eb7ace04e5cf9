"""One notebook in a process of its own, seen from the process that started it: with a watchdog."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..runtime.processes import kill_family
from .notebook import Chapter

#: Seconds beyond a cell's limit after which a notebook is killed that has not ended by itself.
GRACE = 30.0
#: A notebook that computes for less than `IDLE` seconds in `STUCK` seconds is stuck.
STUCK, IDLE = 900.0, 1.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class NotebookProcess:
    """Runs one chapter in a process of its own, and leaves none of it behind.

    Parameters
    ----------
    chapter : Chapter
        What to run.
    folder : Path
        Where executed/ and results/ lie.
    parameters : dict
        For the chapter's parameter cell.
    timeout : float or None
        Seconds a cell may take.
    on_cell : callable
        Called with ``{"cell": index, "of": count}`` when a cell begins.
    """

    def __init__(
        self,
        chapter: Chapter,
        folder: Path,
        parameters: dict[str, Any],
        timeout: float | None,
        on_cell: Callable[[dict], object] = lambda message: None,
    ):
        self.chapter, self.folder, self.on_cell = chapter, folder, on_cell
        self.parameters, self.timeout = parameters, timeout
        self.process: subprocess.Popen | None = None
        self.stopped = False
        self._lock = threading.Lock()

    def run(self, threads: int) -> dict[str, Any]:
        """Execute the chapter on `threads` cores.

        Returns
        -------
        dict
            What `execution.execute` returns; and executed and results, the files that it left,
            as paths from the folder, or None.
        """
        executed = self.folder / "executed" / f"{self.chapter.name}.ipynb"
        failed = executed.with_suffix(".failed.ipynb")
        partial = executed.with_name(f".{self.chapter.name}.partial.ipynb")
        results = self.folder / "results" / f"{self.chapter.name}.json"
        for folder in (executed.parent, results.parent):
            folder.mkdir(parents=True, exist_ok=True)
        # So that no chapter takes an earlier run's numbers for this one's.
        results.unlink(missing_ok=True)
        try:
            outcome = self._converse(partial, threads)
            if self.stopped:
                return outcome
            done = outcome["status"] == "done"
            # What an earlier run left no longer holds.
            for stale in [failed] if done else [executed, failed, results]:
                stale.unlink(missing_ok=True)
            if partial.is_file():
                os.replace(partial, executed if done else failed)
        finally:
            partial.unlink(missing_ok=True)
        paths = {"executed": executed if done else failed, "results": results}
        for key, path in paths.items():
            outcome[key] = path.relative_to(self.folder).as_posix() if path.is_file() else None
        return outcome

    def stop(self) -> None:
        """End the chapter's process and the kernel under it, now."""
        with self._lock:
            self.stopped = True
            process = self.process
        if process is None or process.poll() is not None:
            return
        kill_family(process.pid)
        process.wait()

    def _converse(self, output, threads):
        """Start the process, give it its job, and return its outcome."""
        job = {
            "notebook": str(self.chapter.path),
            "output": str(output),
            "cwd": str(self.chapter.path.parent),
            "parameters": self.parameters,
            "timeout": self.timeout,
        }
        with tempfile.TemporaryFile("w+") as log:
            with self._lock:
                if self.stopped:
                    return {"status": "failed", "error": "interrupted"}
                # A session of its own: Ctrl-C reaches the batch alone, which then ends the rest in
                # order.
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "sepkit.reproduce.execution"],
                    env=_environment(self.parameters, threads),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
            watchdog = Watchdog(self.process.pid, self.timeout)
            outcome, cell, of = self._listen(json.dumps(job), watchdog)
            if outcome is None:
                log.seek(0)
                last = [line.strip() for line in log if line.strip()][-1:] or ["no message"]
                error = watchdog.verdict or f"its process died ({last[0]})"
                outcome = {"status": "failed", "cell": cell, "error": error}
        if outcome.get("cell") is not None:
            outcome["error"] = f"cell {outcome['cell'] + 1} of {of}: {outcome['error']}"
        return outcome

    def _listen(self, job, watchdog):
        outcome = cell = of = None
        try:
            self.process.stdin.write(job + "\n")
            self.process.stdin.flush()  # and left open: when it closes, the chapter ends
        except BrokenPipeError:
            pass
        with watchdog:
            for line in self.process.stdout:
                message = json.loads(line)
                watchdog.reset()
                if "status" in message:
                    outcome = message
                else:
                    cell, of = message["cell"], message["of"]
                    self.on_cell(message)
            self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return outcome, cell, of


class Watchdog:
    """Kills a notebook that neither ends its cell in time nor by itself, or that does nothing.

    The process that executes it ends a cell at its limit; the watchdog is for kernels that hold
    on to it (an endless loop in compiled code), and for those that wait for ever.

    Attributes
    ----------
    verdict : str
        Why it was killed; empty if it was not.
    """

    def __init__(self, process: int, timeout: float | None):
        self.process, self.timeout, self.verdict = process, timeout, ""
        self._ended = threading.Event()
        self.reset()

    def reset(self) -> None:
        """A sign of life: the next cell has begun."""
        self._began = self._busy = time.monotonic()
        self._computed = 0.0

    def __enter__(self):
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._ended.set()

    def _watch(self):
        while not self._ended.wait(min(10.0, STUCK / 10, GRACE / 3)):
            if verdict := self._look():
                self.verdict = verdict
                kill_family(self.process)

    def _look(self):
        now = time.monotonic()
        if self.timeout and now - self._began > self.timeout + GRACE:
            return f"took longer than {self.timeout:g} s and did not stop; it was killed"
        computed = _cpu_seconds(self.process)
        if computed - self._computed > IDLE:
            self._busy, self._computed = now, computed
        if now - self._busy > STUCK:
            return f"did nothing for {STUCK / 60:.0f} minutes; it was killed"
        return ""


def _cpu_seconds(process):
    """Seconds that a process and all that it has started have computed so far."""
    import psutil

    try:
        head = psutil.Process(process)
        family = [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for member in family:
        with contextlib.suppress(psutil.Error):
            times = member.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _environment(parameters, threads):
    """The kernel's environment: a share of the cores, and this Python, whatever is registered."""
    return {
        **os.environ,
        **dict.fromkeys(_THREADS, str(threads)),
        "SEPKIT_PROFILE": parameters["profile"],
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
