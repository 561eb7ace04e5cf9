"""A training run's folder: its state, checkpoints, log and progress bar."""

import csv
import dataclasses
import json
import math
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import torch

from .errors import SepkitError
from .files import atomic_path, provenance, write_json
from .models import fill, save

#: Parts of a recipe that may change from one call to the next: they bound or speed up the run, and do not alter it.
FREE = ("epochs", "max_steps", "max_seconds", "patience", "workers", "cache", "save_minutes")
COLUMNS = ("epoch", "step", "train_loss", "valid_loss", "lr", "seconds", "waiting")


class Run:
    """What a run remembers, in memory (`state`) and in its folder.

    Parameters
    ----------
    out : str or Path
    model, target, recipe, train_tracks, valid_tracks
        As in `sepkit.training.train`.

    Attributes
    ----------
    state : dict
        epoch: epochs finished; batch: batches done in the current one; step:
        steps in all; seconds: training time in all, validation included;
        waiting: seconds of this epoch in which the loop waited for data;
        loss_sum and examples of this epoch; best: lowest validation loss, and
        its best_epoch; rows: the log.
    """

    def __init__(self, out, model, target, recipe, train_tracks, valid_tracks):
        self.out, self.model, self.target, self.recipe = Path(out), model, target, recipe
        self.best_path, self.last_path = self.out / f"{target}.safetensors", self.out / "last.pt"
        self.state = dict(
            epoch=0, batch=0, step=0, seconds=0.0, waiting=0.0, loss_sum=0.0, examples=0,
            best=math.inf, best_epoch=0, rows=[],
        )
        settings = {k: v for k, v in dataclasses.asdict(recipe).items() if k not in FREE}
        about = {
            "model": model.name, "target": target, "settings": model.settings, "recipe": settings,
            "train tracks": [track.name for track in train_tracks],
            "valid tracks": [track.name for track in valid_tracks],
        }
        self.about = json.loads(json.dumps(about))  # tuples become lists, as they will when read back
        self._provenance = provenance()
        self._saved_at = 0.0
        self._bar = None

    # --- resuming ---------------------------------------------------------------------------------------

    def resume(self, model, optimiser, plateau):
        """Load ``last.pt`` into model, optimiser and scheduler; False when there is none."""
        self._training = (model, optimiser, plateau)
        if not self.last_path.exists():
            if self.best_path.exists():
                raise SepkitError(f"{self.best_path}: is there, but no last.pt to resume from; choose another folder")
            return False
        try:
            saved = torch.load(self.last_path, map_location="cpu", weights_only=True)
            _refuse_difference(self.out, saved["about"], self.about)
            fill(model, saved["model"], self.last_path)
            optimiser.load_state_dict(saved["optimiser"])
            plateau.load_state_dict(saved["plateau"])
            torch.set_rng_state(saved["rng"])
            if torch.cuda.is_available() and saved["cuda_rng"]:
                torch.cuda.set_rng_state_all(saved["cuda_rng"])
            self.state = saved["state"]
        except SepkitError:
            raise
        except Exception as error:  # torch.load raises whatever a damaged file makes it stumble over
            reason = f"cannot be resumed from ({_line(error)}); delete the folder to start again"
            raise SepkitError(f"{self.last_path}: {reason}") from None
        self._saved_at = self.state["seconds"]
        return True

    def save_last(self):
        """Write ``last.pt``, unless the weights are no longer numbers."""
        model, optimiser, plateau = self._training
        weights = model.state_dict()
        if not all(torch.isfinite(value).all() for value in weights.values()):
            self._fail()
        saved = {
            "about": self.about, "state": self.state, "model": weights, "optimiser": optimiser.state_dict(),
            "plateau": plateau.state_dict(), "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with atomic_path(self.last_path) as temporary:
            try:
                torch.save(saved, temporary)
            except RuntimeError as error:  # torch's own name for a full disk
                reason = f"cannot be written ({_line(error)}); is the disk full? The state saved before is kept"
                raise SepkitError(f"{self.last_path}: {reason}") from None
        self._saved_at = self.state["seconds"]

    # --- the course of a run ----------------------------------------------------------------------------

    def budget_used(self):
        """The share of the budget used up, 0 to 1: of epochs, steps or seconds, whichever is most."""
        state, recipe = self.state, self.recipe
        used = [state["epoch"] / recipe.epochs]
        if recipe.max_steps:
            used.append(state["step"] / recipe.max_steps)
        if recipe.max_seconds:
            used.append(state["seconds"] / recipe.max_seconds)
        return min(1.0, max(used))

    def out_of_budget(self):
        return self.budget_used() >= 1

    def finished(self):
        """Whether the budget is used up, or the validation loss has stopped falling."""
        waited = self.state["epoch"] - self.state["best_epoch"]
        return (self.out_of_budget() or waited >= self.recipe.patience) and self.state["batch"] == 0

    def check_finite(self, loss):
        if not torch.isfinite(loss):
            self._fail()

    def _fail(self):
        state = self.state
        kept = f"; {self.best_path} keeps the best of epoch {state['best_epoch']}" if self.best_path.exists() else ""
        raise SepkitError(
            f"training failed in epoch {state['epoch'] + 1}, step {state['step'] + 1}: loss or weights are NaN or infinite; "
            f"start again in another folder with a smaller lr than {self.recipe.lr:g}, or with clip=1{kept}"
        )

    def end_step(self, loss, examples, seconds, waited):
        """Take note of a step; save if that was long ago."""
        state = self.state
        state["batch"] += 1
        state["step"] += 1
        state["examples"] += examples
        state["loss_sum"] += loss * examples
        state["seconds"] += seconds
        state["waiting"] += waited
        self._show(loss)
        if state["seconds"] - self._saved_at > 60 * self.recipe.save_minutes:
            self.save_last()

    def end_epoch(self, valid_loss, lr):
        """Log the epoch, keep the model if it is the best so far, and save the state."""
        state = self.state
        state["epoch"] += 1
        row = dict(
            epoch=state["epoch"], step=state["step"], train_loss=state["loss_sum"] / max(1, state["examples"]),
            valid_loss=valid_loss, lr=lr, seconds=round(state["seconds"], 3), waiting=round(state["waiting"], 3),
        )
        state["rows"].append(row)
        state.update(batch=0, loss_sum=0.0, examples=0, waiting=0.0)
        if valid_loss < state["best"]:
            state.update(best=valid_loss, best_epoch=state["epoch"])
            save(self.best_path, self.model, {**self.about, **row, "provenance": self._provenance})
        self.save_last()
        self._write_log()
        if self._report:
            self._report(row)

    def interrupt(self):
        """Save and stop, saying how to go on."""
        self.save_last()
        state = self.state
        raise KeyboardInterrupt(
            f"stopped in epoch {state['epoch'] + 1} after step {state['step']}; the same call resumes from {self.last_path}"
        )

    def _write_log(self):
        write_json(self.out / "run.json", {**self.about, "provenance": self._provenance})
        with atomic_path(self.out / "log.csv") as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.state["rows"])

    # --- progress ---------------------------------------------------------------------------------------

    @contextmanager
    def display(self, progress):
        """A progress bar with the time left, on a terminal only."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._report = progress if callable(progress) else None
        console = Console(stderr=True)
        if progress is not True or not console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            self._bar = bar, bar.add_task(self.target, total=1.0, completed=self.budget_used())
            try:
                yield
            finally:
                self._bar = None

    def _show(self, loss):
        if self._bar:
            bar, task = self._bar
            best = f", best {self.state['best']:.4g}" if self.state["rows"] else ""
            text = f"{self.target}: epoch {self.state['epoch'] + 1}, step {self.state['step']}, loss {loss:.4g}{best}"
            bar.update(task, completed=self.budget_used(), description=text)


@contextmanager
def interruptible():
    """Let Ctrl-C wait for the end of a step; the second one stops at once.

    Yields
    ------
    callable
        Whether Ctrl-C has been pressed.
    """
    pressed = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number, frame):
        pressed.append(True)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _refuse_difference(out, then, now):
    """Raise a `SepkitError` naming the first thing that differs between two runs."""
    then_flat, now_flat = _flat(then), _flat(now)
    for key in sorted(then_flat.keys() | now_flat.keys()):
        old, new = then_flat.get(key), now_flat.get(key)
        if old != new:
            if isinstance(old, list) and isinstance(new, list):
                old, new = (f"{len(x)} from {x[0]!r} to {x[-1]!r}" if x else "none" for x in (old, new))
            raise SepkitError(f"{out}: holds a run with {key} {old}, not {new}; choose another folder, or the same settings")


def _flat(about):
    flat = {}
    for key, value in about.items():
        flat.update(value if isinstance(value, dict) else {key: value})
    return flat


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
