"""Songs to files: parallel, resumable, and never half a song."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import SepkitError
from ..files import write_json
from ..runtime.processes import run_jobs

RATE = 44100
FILES = ("mixture", "drums", "bass", "other", "vocals")
_FACTS = "song.json"


def render_song(folder, plan):
    """Render one song into `folder`, which appears only when it is complete.

    Parameters
    ----------
    folder : str or Path
        Where the five WAV files (44.1 kHz, stereo, int16) and song.json come to lie.
    plan : Plan

    Returns
    -------
    dict
        What was drawn for the song.
    """
    import soundfile

    from . import song

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    stems, facts = song.make(plan)
    mixture = np.sum([stems[stem].astype(np.int32) for stem in FILES[1:]], axis=0)
    if np.abs(mixture).max(initial=0) > 32767:  # the ceilings of mixing.py rule it out
        raise SepkitError(f"{folder.name}: the mixture would clip; please report this song's seed")
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, audio in {"mixture": mixture.astype(np.int16), **stems}.items():
            soundfile.write(temporary / f"{name}.wav", audio.T, RATE, subtype="PCM_16")
        write_json(temporary / _FACTS, facts)
        temporary.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except OSError as error:
        reason = (
            "the disk is full; free some space"
            if error.errno == 28
            else f"cannot be written ({error.strerror}); choose another folder"
        )
        raise SepkitError(f"{folder}: {reason} and run again") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return facts


def is_complete(folder: str | Path) -> bool:
    """Whether a song's folder holds all its files."""
    return all((Path(folder) / name).is_file() for name in (*(f"{f}.wav" for f in FILES), _FACTS))


@contextmanager
def only_one(root, lock=".band.lock"):
    """Let one process at a time render into `root`; another waits, then finds the songs done."""
    from filelock import FileLock

    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        lock = FileLock(Path(root) / lock)
        lock.acquire()
    except OSError as error:
        raise SepkitError(
            f"{root}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    deleted = SepkitError(f"{root}: was deleted while it was written to; run again")
    try:
        yield
    except (SepkitError, OSError):
        if os.path.exists(lock.lock_file):
            raise
        raise deleted from None
    else:
        if not os.path.exists(lock.lock_file):
            raise deleted
    finally:
        lock.release()


def sweep(root: str | Path) -> None:
    """Remove what an interrupted rendering left behind: hidden temporary folders."""
    for split in ("train", "test"):
        for leftover in Path(root, split).glob(".*.*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)


def render_all(jobs, workers: int, advance=lambda: None, render=None) -> None:
    """Call `render`, by default `render_song`, with each job's arguments on `workers` processes.

    `advance()` is called after each.
    """
    render = render or render_song
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            render(*job)
            advance()
        return
    for _ in run_jobs([partial(render, *job) for job in jobs], workers):
        advance()
