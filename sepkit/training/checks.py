"""Songs that cannot teach, networks that are of no use: looked for before and after a training."""

import math
import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from ..datasets.track import not_the_sum
from ..errors import Notice, SepkitError
from ..models import load
from .distributed import CollectiveError, World
from .progress import RISE
from .songs import Songs

#: Peaks below this are silence: -80 dB of full scale.
SILENT = 1e-4
#: Songs, and seconds of each, that are looked at.
SONGS, SECONDS = 4, 20.0


def look_at_songs(songs: Songs, target: str, world: World) -> None:
    """Before a run begins: is there something to learn, and are the mixtures the sums of stems?

    Raises
    ------
    SepkitError
        If the target is silent in all songs to train or to validate with.
    """
    songs.retry("train", lambda tracks: _must_sound(tracks, target, "training"))
    songs.retry("valid", lambda tracks: _must_sound(tracks, target, "validation"))
    songs.retry("train", lambda tracks: None if world.rank else _note_mixtures(tracks))


def _must_sound(tracks, target, purpose):
    if not any(_sounds(track, target) for track in tracks):
        raise CollectiveError(
            f"{target} is silent in all of the {len(tracks)} {purpose} songs ({tracks[0].name}, "
            "...): there is nothing to learn from them; choose another target, or songs with it"
        )


def _sounds(song, target):
    return any(
        float(song.stem(target, start, min(song.block, song.samples - start)).abs().max()) > SILENT
        for start in range(0, song.samples, song.block)
    )


def _note_mixtures(tracks):
    """A note if the mixtures of some of the songs are not the sums of their stems."""
    if found := not_the_sum(_some(tracks), SECONDS):
        warnings.warn(
            f"{found}; training adds up the stems, validation takes the mixtures as they are",
            Notice,
            stacklevel=2,
        )


@torch.no_grad()
def judge(
    checkpoint: str | Path, songs: Sequence, target: str, device: str | torch.device
) -> float | None:
    """How a trained network does on songs that it was not trained on.

    A network is of use if its estimates are not silent, and not a hundred times further from
    the target than silence would be.

    Parameters
    ----------
    checkpoint : Path
    songs : list of Track
        A few of them are separated, the middle of each. Those that cannot be read, or in
        which the target is silent, say nothing.
    target : str
    device : str or torch.device

    Returns
    -------
    float or None
        The median over songs of 10 log10(|target|^2 / |target - estimate|^2), above 0 if the
        estimates are better than silence; None if no song says anything.

    Raises
    ------
    SepkitError
        If the network is of no use.
    """
    model = load(checkpoint)
    assert not isinstance(model, dict)  # it is one file
    model, ratios, loudest = model.to(device), [], 0.0
    for song in _some(songs):
        frames = min(song.samples, int(SECONDS * song.sample_rate))
        start = (song.samples - frames) // 2
        try:
            mixture, wanted = song.mixture(start, frames), song.stem(target, start, frames)
        except (SepkitError, OSError):
            continue
        if float(wanted.abs().max()) <= SILENT:
            continue
        estimate = model(mixture[None].to(device, torch.float32))[0].cpu()
        error = float((wanted - estimate).double().square().sum())
        ratios.append(
            10 * math.log10(max(float(wanted.double().square().sum()), 1e-30) / max(error, 1e-30))
        )
        loudest = max(loudest, float(estimate.abs().max()))
    if not ratios:
        return None
    ratio = statistics.median(ratios)
    remedy = "train again in another folder, with a smaller lr, clip=1 or another loss"
    if loudest <= SILENT:
        raise SepkitError(
            f"{checkpoint}: of no use, its estimates of the validation songs are silent; {remedy}"
        )
    if ratio < -10 * math.log10(RISE):
        raise SepkitError(
            f"{checkpoint}: of no use, its estimates are {-ratio:.0f} dB further from {target} "
            f"than silence; {remedy}"
        )
    return ratio


def _some(songs):
    """A few songs from all over the list."""
    step = max(1, len(songs) // SONGS)
    return songs[::step][:SONGS]
