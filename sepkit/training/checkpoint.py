"""A run's folder: ``last.pt``, from which it is resumed, and the best weights.

``last.pt`` is what `torch.save` writes, followed by a digest of all bytes before it.
"""

import hashlib
import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ..errors import Notice, SepkitError
from ..files import atomic_path, digest, provenance, write_json
from ..models import fill, read_header, save
from .description import refuse_differences
from .distributed import CollectiveError, World
from .progress import NOT_FINITE, Losses, Progress
from .recipe import Recipe
from .songs import Songs

#: What stands before the digest at the end of the file; `torch.load` does not read that far.
MARK = b"\nsepkit sha256 "
_LENGTH = len(MARK) + 64
#: In the state itself, so that one that has lost its digest is known to be damaged.
_VERSION = 2
#: Seconds to wait for the folder's lock: workers of a killed run hold it until they end as well.
LOCK_SECONDS = 5.0
_NAMES_ALONE = (
    "was begun when runs recorded the names of songs alone; it goes on with what they hold now"
)


@contextmanager
def locked(folder: Path, world: World) -> Iterator[None]:
    """Let one run at a time use a folder, which is removed again if nothing was written to it.

    Raises
    ------
    SepkitError
        If another one uses it. The lock of a process that was killed does not count.
    """
    made, lock = not folder.exists(), FileLock(folder / ".lock")
    world.by_first(lambda: _acquire(folder, lock))
    try:
        yield
    finally:
        if world.rank == 0:
            with suppress(OSError):  # the folder was removed meanwhile, or Windows holds the file
                os.unlink(lock.lock_file)
            lock.release()
            if made:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()


def _acquire(folder, lock):
    try:
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_SECONDS)
            if os.path.exists(lock.lock_file):
                return
            lock.release()  # whoever held it before has removed it in between
    except Timeout:
        raise SepkitError(
            f"{folder}: another training is running in this folder; wait for its end, or choose "
            "another folder"
        ) from None
    except OSError as error:
        raise SepkitError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


class Checkpoint:
    """The files of a run: ``last.pt`` (its state), ``<target>.safetensors`` (the best weights).

    Parameters
    ----------
    out : Path
    about : dict
        See `sepkit.training.description.describe_run`.
    recipe : Recipe
    progress : Progress
    songs : Songs
    losses : Losses
    world : World
    model : Module
        Not wrapped.
    ema : AveragedModel, optional
    **parts
        What else is saved: objects with ``state_dict``.

    Attributes
    ----------
    last_path, best_path : Path
    """

    def __init__(
        self,
        out: Path,
        about: dict,
        recipe: Recipe,
        progress: Progress,
        songs: Songs,
        losses: Losses,
        world: World,
        model,
        ema=None,
        **parts,
    ):
        self.out, self.about, self.recipe = out, about, recipe
        self.progress, self.songs, self.losses, self.world = progress, songs, losses, world
        self._model, self._ema = model, ema
        self._parts = {**parts, **({"ema": ema} if ema else {})}
        self.last_path, self.best_path = out / "last.pt", out / f"{about['target']}.safetensors"
        self._provenance = provenance()
        self._saved_at = 0.0

    # --- resuming -------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up the state that was saved last, if there is one.

        Raises
        ------
        SepkitError
            If it is damaged, or of a run with other settings, songs or first weights.
        """
        begun = self.world.from_first(self.last_path.exists())
        with self.world.fail_together():
            if begun:
                self._restore()
            elif self.best_path.exists():
                raise SepkitError(
                    f"{self.best_path}: is there, but no last.pt to resume from; choose another "
                    "folder"
                )

    def _restore(self):
        try:
            saved = read_state(self.last_path)
            refuse_differences(self.out, saved["about"], self.about, saved["state"]["left_out"])
            if "audio" not in saved["about"] and self.world.rank == 0:
                warnings.warn(f"{self.last_path}: {_NAMES_ALONE}", Notice, stacklevel=2)
            fill(self._model, saved["model"], self.last_path)
            for name, part in self._parts.items():
                part.load_state_dict(saved[name])
            own = saved["processes"][self.world.rank]
            torch.set_rng_state(own["rng"])
            if self._device().type == "cuda" and own["cuda_rng"] is not None:
                torch.cuda.set_rng_state(own["cuda_rng"], self._device())
            self.songs.left_out = saved["state"]["left_out"]
            self.progress.restore({**saved["state"], **own["state"]})
        except SepkitError:
            raise
        except Exception as error:  # whatever the state of another kind of run leads to
            reason = f"cannot be resumed from ({_line(error)}); delete the folder to start again"
            raise SepkitError(f"{self.last_path}: {reason}") from None
        self._saved_at = self.progress.seconds

    def mend(self) -> None:
        """Save the best weights if the run was killed between saving its state and them."""
        progress = self.progress
        if progress.rows and progress.is_best and progress.batch == 0:
            header = read_header(self.best_path) if self.best_path.exists() else {"extra": {}}
            if header["extra"].get("epoch") != progress.epoch:
                self.save_best()

    # --- saving ---------------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether the last save was long ago."""
        return self.progress.seconds - self._saved_at > 60 * self.recipe.save_minutes

    def save(self) -> None:
        """Write ``last.pt`` and ``run.json``; all processes call this together.

        Raises
        ------
        SepkitError
            If a loss or a weight is not finite: the state saved before is kept.
        """
        self.losses.read()
        if self.losses.failed_step is not None:
            raise self.failure(self.losses.failed_step, self.losses.why)
        weights, device = self._model.state_dict(), self._device()
        if not all(torch.isfinite(value).all() for value in weights.values()):
            raise self.failure(self.progress.step, NOT_FINITE)
        own = {
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "state": self.progress.own_state(),
        }
        processes = self.world.gather(own)
        with self.world.fail_together():
            if self.world.rank == 0:
                state = {**self.progress.state(), "left_out": self.songs.left_out}
                parts = {name: part.state_dict() for name, part in self._parts.items()}
                whole = {"about": self.about, "state": state, "processes": processes}
                write_state(self.last_path, {**whole, "model": weights, **parts})
                write_json(self.out / "run.json", {**self.about, "provenance": self._provenance})
        self._saved_at = self.progress.seconds

    def save_best(self) -> None:
        """Write the weights that were validated, averaged where they are, with the last row."""
        about = {**self.about, "audio": digest(self.about["audio"])}  # it is long
        extra = {**about, **self.progress.rows[-1], "provenance": self._provenance}
        if math.isnan(extra["train_loss"]):  # JSON has no word for it
            extra["train_loss"] = None
        save(self.best_path, self._ema.module if self._ema else self._model, extra)

    def best_is_lost(self) -> bool:
        """Whether the best weights have been removed; a note says so."""
        if self.progress.best == math.inf:
            return False
        if not self.world.from_first(not self.best_path.exists()):
            return False
        if self.world.rank == 0:
            warnings.warn(
                f"{self.best_path}: has been removed; the best from now on is kept",
                Notice,
                stacklevel=2,
            )
        return True

    def result(self) -> Path:
        """The file with the best weights."""
        if self.world.from_first(not self.best_path.exists()):
            raise CollectiveError(
                f"{self.best_path}: has been removed, and with it the best weights (of epoch "
                f"{self.progress.best_epoch}); train on, with more epochs or steps, or in another "
                "folder"
            )
        return self.best_path

    def failure(self, step: int, why: str) -> CollectiveError:
        """The error of a training that has failed."""
        kept = ""
        if self.best_path.exists():
            kept = f"; {self.best_path} keeps the best of epoch {self.progress.best_epoch}"
        return CollectiveError(
            f"training failed in epoch {self.progress.epoch + 1}, step {step}: {why}; start again "
            f"in another folder with a smaller lr than {self.recipe.lr:g}, or with clip=1{kept}"
        )

    def save_and_interrupt(self) -> None:
        """Save, and end the run with a `KeyboardInterrupt` that says how to go on."""
        self.save()
        raise KeyboardInterrupt(
            f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}; the same "
            f"call resumes from {self.last_path}"
        )

    def _device(self):
        return next(self._model.parameters()).device


# --- the format of last.pt ----------------------------------------------------------------------


def write_state(path, state):
    """Write a state atomically; one that cannot be written leaves the one before.

    Parameters
    ----------
    path : str or Path
    state : dict
        Tensors, numbers, strings, lists and dicts.

    Raises
    ------
    SepkitError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save({**state, "version": _VERSION}, temporary)
        except RuntimeError as error:  # torch's own name for a full disk
            kept = " The state saved before is kept" if os.path.exists(path) else ""
            raise SepkitError(
                f"{path}: cannot be written ({_line(error)}); is the disk full?{kept}"
            ) from None
        digest = _sha256(temporary, os.path.getsize(temporary))
        with open(temporary, "ab") as file:
            file.write(MARK + digest)


def read_state(path):
    """What `write_state` wrote, bit for bit.

    States of earlier versions have no digest; for those, the checksums of the archive speak.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    SepkitError
        If the file is damaged, incomplete or no state.
    """
    try:
        size = os.path.getsize(path) - _LENGTH
        with open(path, "rb") as file:
            file.seek(max(0, size))
            end = file.read()
        marked = end.startswith(MARK)
        whole = (
            _sha256(path, size) == end[len(MARK) :]
            if marked
            else zipfile.ZipFile(path).testzip() is None
        )
        state = torch.load(path, map_location="cpu", weights_only=True) if whole else None
        version = state.pop("version", 1) if whole else None
    except Exception as error:  # torch.load raises whatever a damaged file makes it stumble over
        raise _refusal(path, _line(error)) from None
    if whole and isinstance(version, int) and version > _VERSION:
        raise _refusal(path, "written by a newer sepkit")
    if not whole or marked != (version == _VERSION):
        raise _refusal(path, "damaged, its contents are not those that were saved")
    return state


def _refusal(path, reason):
    return SepkitError(
        f"{path}: cannot be resumed from ({reason}); delete the folder to start again"
    )


def _sha256(path, count):
    """Of the first `count` bytes of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while count > 0 and (block := file.read(min(count, 1 << 20))):
            digest.update(block)
            count -= len(block)
    return digest.hexdigest().encode()


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
