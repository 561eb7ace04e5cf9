"""A training run's folder: its state, from which it goes on where it stopped, and its checkpoints."""

import json
import math
import warnings

import torch

from ..errors import Notice, SepkitError
from ..files import digest, provenance, write_json
from ..models import fill, read_header, save
from ..validation import place
from .checks import has_risen
from .distributed import Agreed
from .fine_tuning import refuse_other_start
from .log import Log
from .songs import WatchedTrack, identities, refuse_other_songs
from .state import read_state, write_state

#: Parts of a recipe that may change from one call to the next: they bound or speed up the run, and do not alter it.
FREE = (
    "epochs",
    "max_steps",
    "max_seconds",
    "patience",
    "workers",
    "cache",
    "save_minutes",
    "log",
    "strict",
)
_OLD = "was begun when runs recorded the names of songs alone; it goes on with what they hold now"
#: Steps between looks at the loss on a device that computes ahead; every look waits for it.
EVERY = 20


class Run:
    """What a run remembers, in memory (`state`) and in its folder.

    Parameters
    ----------
    out : str or Path
    model, target, recipe, train_tracks, valid_tracks
        As in `sepkit.training.train`.
    team : Team
    speech : Speech, optional
    init : dict, optional
        What `sepkit.training.fine_tuning.take_weights` says of the weights it begins with.

    Attributes
    ----------
    state : dict
        epoch: epochs finished; batch: batches done in the current one; step:
        steps in all; seconds: training time in all, validation included;
        waiting: seconds of this epoch in which the loop waited for data;
        loss_sum and examples of this epoch, in this process; best: lowest
        validation loss, and its best_epoch; left_out: numbers of the songs
        that cannot be read; train_start and valid_start: losses of the first
        batches and of the first validation; rows: the log.
    """

    def __init__(
        self, out, model, target, recipe, train_tracks, valid_tracks, team, speech=None, init=None
    ):
        self.out, self.target, self.recipe, self.team = place("out", out), target, recipe, team
        self.best_path, self.last_path = self.out / f"{target}.safetensors", self.out / "last.pt"
        self.state = dict(
            epoch=0,
            batch=0,
            step=0,
            seconds=0.0,
            waiting=0.0,
            loss_sum=0.0,
            examples=0,
            best=math.inf,
            best_epoch=0,
            left_out={"train": [], "valid": []},
            rows=[],
            train_start=None,
            valid_start=None,
        )
        settings = {k: v for k, v in recipe.flat().items() if k not in FREE}
        about = {
            "model": model.name,
            "target": target,
            "settings": model.settings,
            "recipe": settings,
            "processes": team.size,
            "speech": None if speech is None else repr(speech),
            "train tracks": [track.name for track in train_tracks],
            "valid tracks": [track.name for track in valid_tracks],
        }
        if init is not None:
            about["init"] = init
        heard = _heard(train_tracks, valid_tracks, speech) if team.rank == 0 else None
        about["audio"] = team.from_first(heard)
        self.about = json.loads(
            json.dumps(about)
        )  # tuples become lists, as they will when read back
        self.log = Log(self.out, recipe)
        self._songs = {"train": train_tracks, "valid": valid_tracks}
        self._provenance = provenance()
        self._saved_at = 0.0
        self._pending = []  # (loss, examples) of steps that were not looked at yet
        self._recent = []  # losses of the last steps that were looked at
        self._failed_at, self._why = (
            None,
            "loss or weights are NaN or infinite, or the loss has risen a hundredfold",
        )

    # --- resuming ---------------------------------------------------------------------------------------

    def begun(self):
        """Whether there is a state to go on from."""
        return self.team.from_first(self.last_path.exists())

    def attach(self, **parts):
        """Name what is saved besides the state: model, and objects with ``state_dict`` (or None); resume if there is a state."""
        self._parts, self._model = parts, parts["model"]
        with self.team.agreed():
            if self.begun():
                self._resume()
            elif self.best_path.exists():
                raise SepkitError(
                    f"{self.best_path}: is there, but no last.pt to resume from; choose another folder"
                )

    def _resume(self):
        try:
            saved = read_state(self.last_path)
            _refuse_difference(self.out, saved["about"], self.about)
            refuse_other_start(self.out, saved["about"], self.about)
            refuse_other_songs(self.out, saved["about"], self.about, saved["state"]["left_out"])
            if "audio" not in saved["about"] and self.team.rank == 0:
                warnings.warn(f"{self.last_path}: {_OLD}", Notice, stacklevel=2)
            fill(self._model, saved["model"], self.last_path)
            for name, part in self._parts.items():
                if part is not None and name != "model":
                    part.load_state_dict(saved[name])
            own = saved["processes"][self.team.rank]
            torch.set_rng_state(own["rng"])
            if self._device().type == "cuda" and own["cuda_rng"] is not None:
                torch.cuda.set_rng_state(own["cuda_rng"], self._device())
            self.state = {**self.state, **saved["state"], **own["state"]}
        except SepkitError:
            raise
        except (
            Exception
        ) as error:  # whatever a state that is not of this run makes its parts stumble over
            reason = f"cannot be resumed from ({_line(error)}); delete the folder to start again"
            raise SepkitError(f"{self.last_path}: {reason}") from None
        self._saved_at = self.state["seconds"]
        state = self.state
        if (
            self.team.rank == 0 and state["rows"]
        ):  # the run may have been killed after the state was written, and before these were
            if (
                state["best_epoch"] == state["epoch"]
                and state["batch"] == 0
                and self._kept_epoch() != state["epoch"]
            ):
                self._save_best()
            self.log.rewrite(state["rows"])

    def save_last(self):
        """Write ``last.pt``, unless the weights are no longer numbers. All processes call this together."""
        self.look()
        self.check()
        weights, device = self._model.state_dict(), self._device()
        if not all(torch.isfinite(value).all() for value in weights.values()):
            self._failed_at, self._why = self.state["step"], "loss or weights are NaN or infinite"
            self._fail()
        own = {
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "state": {name: self.state[name] for name in ("loss_sum", "examples", "waiting")},
        }
        processes = self.team.gathered(own)
        with self.team.agreed():
            if self.team.rank == 0:
                others = {
                    name: part.state_dict()
                    for name, part in self._parts.items()
                    if part is not None
                }
                write_state(
                    self.last_path,
                    {"about": self.about, "state": self.state, "processes": processes, **others},
                )
        self._saved_at = self.state["seconds"]

    def _device(self):
        return next(self._model.parameters()).device

    # --- songs ------------------------------------------------------------------------------------------

    def songs(self, part):
        """The songs of "train" or "valid" that can be read, as far as is known."""
        left_out = self.state["left_out"][part]
        return [
            WatchedTrack(track, number)
            for number, track in enumerate(self._songs[part])
            if number not in left_out
        ]

    def leave_out(self, part, failures):
        """Do without songs from now on; `failures` holds a (number, message) for each, or None.

        Raises
        ------
        SepkitError
            If the recipe is strict, or no song is left.
        """
        for number, message in sorted({failure for failure in failures if failure}):
            if self.recipe.strict:
                raise Agreed(message)
            self.state["left_out"][part].append(number)
            if self.team.rank == 0:
                warnings.warn(f"{message}; this song is left out from now on", Notice, stacklevel=2)
            if len(self.state["left_out"][part]) == len(self._songs[part]):
                raise Agreed(f"no {part} song is left that can be read; the last: {message}")

    # --- the course of a run ----------------------------------------------------------------------------

    def agree(self, *flags):
        """Tell the other processes; get each flag that is set in any of them. All have the same clock then."""
        *flags, self.state["seconds"], failed_at = self.team.largest(
            *map(float, flags), self.state["seconds"], float(self._failed_at or 0)
        )
        self._failed_at = int(failed_at) or None
        self.check()
        return [bool(flag) for flag in flags]

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

    def result(self):
        """The checkpoint with the best validation loss."""
        if self.team.from_first(not self.best_path.exists()):
            raise Agreed(
                f"{self.best_path}: has been removed, and with it the best weights (of epoch {self.state['best_epoch']}); "
                "train on, with more epochs or steps, or in another folder"
            )
        return self.best_path

    def save_due(self):
        """Whether the last save was long ago."""
        return self.state["seconds"] - self._saved_at > 60 * self.recipe.save_minutes

    def note_loss(self, loss, examples):
        """Keep a loss (scalar Tensor) for the log; where reading it is free, or time has come, look whether it is a number."""
        self._pending.append((loss.detach(), examples, self.state["step"] + 1))
        if loss.device.type == "cpu" or len(self._pending) >= EVERY:
            self.look()
            if self.team.size == 1:
                self.check()

    def look(self):
        """Read the losses that are still on the device."""
        if not self._pending:
            return
        values = torch.stack([loss for loss, _, _ in self._pending]).tolist()
        for value, (_, examples, step) in zip(values, self._pending):
            self.must_be_sound(value, step=step)
            self._recent.append(value)
            self.state["loss_sum"] += value * examples
            self.state["examples"] += examples
        self._pending = []
        if len(self._recent) >= EVERY:
            self.must_be_sound(sum(self._recent) / len(self._recent), "train_start")
            self._recent = []
        if self.log.watched:
            best = f", best {self.state['best']:.4g}" if self.state["rows"] else ""
            text = f"{self.target}: epoch {self.state['epoch'] + 1}, step {self.state['step']}, loss {values[-1]:.4g}{best}"
            self.log.show(self.budget_used(), text)

    def must_be_sound(self, loss, start=None, step=None):
        """Remember a loss that is not a number, or a hundred times `state[start]`, until all processes know."""
        if self._failed_at is not None:
            return
        if not math.isfinite(loss):
            self._failed_at, self._why = (
                step or self.state["step"],
                "loss or weights are NaN or infinite",
            )
        elif start is not None and self.state[start] is None:
            self.state[start] = loss
        elif start is not None and has_risen(
            loss, self.state[start], self.about["settings"].get("loss") in ("sdr", "si-sdr")
        ):
            self._why = f"the loss has risen from {self.state[start]:.3g} to {loss:.3g}"
            self._failed_at = step or self.state["step"]

    def check(self):
        """Raise a `SepkitError` if a loss was not a number, or has risen a hundredfold."""
        if self._failed_at is not None:
            self._fail()

    def _fail(self):
        state = self.state
        kept = (
            f"; {self.best_path} keeps the best of epoch {state['best_epoch']}"
            if self.best_path.exists()
            else ""
        )
        raise Agreed(
            f"training failed in epoch {state['epoch'] + 1}, step {self._failed_at}: {self._why}; "
            f"start again in another folder with a smaller lr than {self.recipe.lr:g}, or with clip=1{kept}"
        )

    def end_batch(self, seconds, waited, stepped):
        """Take note of a batch, and of a step of the optimiser if it was the last one for that."""
        self.state["batch"] += 1
        self.state["step"] += stepped
        self.state["seconds"] += seconds
        self.state["waiting"] += waited

    def begin(self, valid_loss, lr):
        """Log as epoch 0 and keep the weights that the run begins with."""
        self._note_epoch(math.nan, valid_loss, lr)

    def end_epoch(self, valid_loss, lr):
        """Log the epoch, keep the weights that were validated if they are the best so far, and save the state."""
        self.look()
        self.agree()
        state = self.state
        sums = self.team.gathered((state["loss_sum"], state["examples"]))
        total, examples = (sum(values) for values in zip(*sums))
        state["epoch"] += 1
        self._note_epoch(total / max(1, examples), valid_loss, lr)

    def _note_epoch(self, train_loss, valid_loss, lr):
        state = self.state
        row = dict(
            epoch=state["epoch"],
            step=state["step"],
            train_loss=train_loss,
            valid_loss=valid_loss,
            lr=lr,
            seconds=round(state["seconds"], 3),
            waiting=round(state["waiting"], 3),
        )
        state["rows"].append(row)
        state.update(batch=0, loss_sum=0.0, examples=0, waiting=0.0)
        lost = state["best"] < math.inf and self.team.from_first(not self.best_path.exists())
        if lost and self.team.rank == 0:
            warnings.warn(
                f"{self.best_path}: has been removed; the best from now on is kept",
                Notice,
                stacklevel=2,
            )
        if valid_loss < state["best"] or lost:
            state.update(best=valid_loss, best_epoch=state["epoch"])
        self.save_last()
        with self.team.agreed():
            if self.team.rank == 0:
                if state["best_epoch"] == state["epoch"]:
                    self._save_best()
                write_json(self.out / "run.json", {**self.about, "provenance": self._provenance})
                self.log.write(state["rows"])

    def _kept_epoch(self):
        return (
            read_header(self.best_path)["extra"].get("epoch") if self.best_path.exists() else None
        )

    def _save_best(self):
        ema, row = self._parts.get("ema"), self.state["rows"][-1]
        about = {**self.about, "audio": digest(self.about["audio"])}  # it is long
        extra = {**about, **row, "provenance": self._provenance}
        if math.isnan(row["train_loss"]):  # JSON has no word for it
            extra["train_loss"] = None
        save(self.best_path, ema.module if ema else self._model, extra)

    def interrupt(self):
        """Save and stop, saying how to go on."""
        self.save_last()
        state = self.state
        raise KeyboardInterrupt(
            f"stopped in epoch {state['epoch'] + 1} after step {state['step']}; the same call resumes from {self.last_path}"
        )


def _heard(train_tracks, valid_tracks, speech):
    """The identities of all that a run learns from."""
    said = None if speech is None else identities([speech])[0]
    return {"train": identities(train_tracks), "valid": identities(valid_tracks), "speech": said}


def _refuse_difference(out, then, now):
    """Raise a `SepkitError` naming the first thing but its songs that differs between two runs."""
    then_flat, now_flat = _flat(then), _flat(now)
    for key in sorted(then_flat.keys() | now_flat.keys()):
        old, new = then_flat.get(key), now_flat.get(key)
        if old != new:
            raise SepkitError(
                f"{out}: holds a run with {key} {old}, not {new}; choose another folder, or the same settings"
            )


def _flat(about):
    flat = {}
    for key, value in about.items():
        if key in (
            "train tracks",
            "valid tracks",
            "audio",
            "init",
        ):  # see `refuse_other_songs` and `refuse_other_start`
            continue
        flat.update(value if isinstance(value, dict) else {key: value})
    return flat


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
