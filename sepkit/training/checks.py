"""What can be seen of a training before it begins and after it has ended, and is worth a line."""

import math
import statistics
import warnings

import torch

from ..datasets.track import not_the_sum
from ..errors import Notice, SepkitError
from ..models import load
from .distributed import Agreed

#: Peaks below this are silence: -80 dB of full scale.
SILENT = 1e-4
#: A loss that rises to so many times what it was means that training has diverged.
RISE = 100
#: Songs, and seconds of each, that are looked at.
SONGS, SECONDS = 4, 20.0


def must_sound(songs, target, part):
    """Raise a `SepkitError` if the target is silent in all songs of a part, "train" or "valid"."""
    if not any(_sounds(song, target) for song in songs):
        where = "training" if part == "train" else "validation"
        raise Agreed(
            f"{target} is silent in all of the {len(songs)} {where} songs ({songs[0].name}, ...): "
            f"there is nothing to "
            "learn from them; choose another target, or songs with it"
        )


def _sounds(song, target):
    return any(
        float(song.stem(target, start, min(song.block, song.samples - start)).abs().max()) > SILENT
        for start in range(0, song.samples, song.block)
    )


def tell_of_mixtures(songs):
    """A note if the mixtures of some of the songs are not the sums of their stems."""
    if told := not_the_sum(_some(songs), SECONDS):
        warnings.warn(
            f"{told}; training adds up the stems, validation takes the mixtures as they are",
            Notice,
            stacklevel=2,
        )


def has_risen(now, start, in_decibels=False):
    """Whether a loss has risen a hundredfold; `in_decibels` for losses that are minus an SDR."""
    if in_decibels or start <= 0:
        return now - start > 10 * math.log10(RISE)
    return now > RISE * start


@torch.no_grad()
def judge(checkpoint, songs, target, device):
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
    model, ratios, loudest = load(checkpoint).to(device), [], 0.0
    for song in _some(songs):
        frames = min(song.samples, int(SECONDS * song.sample_rate))
        try:
            mixture, wanted = (
                read((song.samples - frames) // 2, frames)
                for read in (song.mixture, lambda *place: song.stem(target, *place))
            )
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
