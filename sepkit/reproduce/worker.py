"""Starting one chapter's process, listening to it, and leaving none of it behind."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading

from ..runtime.processes import kill_family


class Worker:
    """Runs one chapter, in a process of its own, from a thread of the batch.

    Parameters
    ----------
    chapter : Chapter
        What to run.
    out : Path
        Where executed/ and results/ lie.
    parameters : dict
        For the chapter's parameter cell.
    timeout : float or None
        Seconds a cell may take.
    notify : callable
        See `batch.run`.
    """

    def __init__(self, chapter, out, parameters, timeout, notify):
        self.chapter, self.out, self.notify = chapter, out, notify
        self.parameters, self.timeout = parameters, timeout
        self.process = None
        self._lock, self.stopped = threading.Lock(), False

    def run(self, threads):
        """Execute the chapter on `threads` cores; returns its outcome for the manifest."""
        executed = self.out / "executed" / f"{self.chapter.name}.ipynb"
        failed = executed.with_suffix(".failed.ipynb")
        partial = executed.with_name(f".{self.chapter.name}.partial.ipynb")
        results = self.out / "results" / f"{self.chapter.name}.json"
        for folder in (executed.parent, results.parent):
            folder.mkdir(parents=True, exist_ok=True)
        results.unlink(
            missing_ok=True
        )  # so that no chapter takes an earlier run's numbers for this one's
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
        found = {
            key: path.relative_to(self.out).as_posix() if path.is_file() else None
            for key, path in paths.items()
        }
        return {**outcome, **found}

    def stop(self):
        """End the chapter's process and the kernel under it, now."""
        with self._lock:
            self.stopped = True
            process = self.process
        if process is None or process.poll() is not None:
            return
        kill_family(process.pid)
        process.wait()

    def _converse(self, output, threads):
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
                # A session of its own: Ctrl-C reaches the batch alone, which then ends the rest in order.
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "sepkit.reproduce.notebook"],
                    env=_environment(self.parameters, threads),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
            outcome, cell, of = self._listen(json.dumps(job))
            if outcome is None:
                log.seek(0)
                last = [line.strip() for line in log if line.strip()][-1:] or ["no message"]
                outcome = {
                    "status": "failed",
                    "cell": cell,
                    "error": f"its process died ({last[0]})",
                }
        if outcome.get("cell") is not None:
            outcome["error"] = f"cell {outcome['cell'] + 1} of {of}: {outcome['error']}"
        return outcome

    def _listen(self, job):
        outcome = cell = of = None
        try:
            self.process.stdin.write(job + "\n")
            self.process.stdin.flush()  # and left open: when it closes, the chapter ends
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            message = json.loads(line)
            if "status" in message:
                outcome = message
            else:
                cell, of = message["cell"], message["of"]
                self.notify(self.chapter.name, "cell", message)
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return outcome, cell, of


def _environment(parameters, threads):
    """The kernel's environment: cores shared fairly, and this Python whatever kernels are registered."""
    cores = {
        name: str(threads)
        for name in (
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "NUMBA_NUM_THREADS",
        )
    }
    return {
        **os.environ,
        **cores,
        "SEPKIT_PROFILE": parameters["profile"],
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
