"""Long audio in overlapping pieces: each is processed by itself, then all are added up, weighted.

The shape of the weights is an argument: a rectangle averages where pieces overlap, as the
band-split RNN does (chapter 06); a triangle trusts the middle of a piece most, as Demucs does
(chapter 09).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def triangle(size: int, like: Tensor) -> Tensor:
    """The weights 1, 2, ..., 2, 1, (size,), of the type and on the device of `like`."""
    rise = torch.arange(1, size + 1, device=like.device, dtype=like.dtype)
    return torch.minimum(rise, rise.flip(0))


def overlap_add(
    process: Callable[[Tensor], Tensor],
    audio: Tensor,
    starts: Sequence[int],
    window: Tensor,
    batch: int = 1,
    divisor: float | None = None,
) -> Tensor:
    """Process pieces of audio; the weighted sum of the results over the sum of the weights.

    Parameters
    ----------
    process : callable
        (B, C, n) to (B, ..., n).
    audio : Tensor
        (B, C, T)
    starts : sequence of int
        Where the pieces begin. Together they cover all of the audio. Those that would end after
        it end with it, and then come one by one (`batch` of 1).
    window : Tensor
        (n,): the weights of a piece's samples, above 0.
    batch : int
        Pieces that are processed together.
    divisor : float, optional
        One number for all samples, instead of each sample's own sum of weights.

    Returns
    -------
    Tensor
        (B, ..., T)
    """
    size, weights = len(window), audio.new_zeros(audio.shape[-1])
    total: Any = None  # made when the first result shows its axes
    for first in range(0, len(starts), batch):
        some = starts[first : first + batch]
        pieces = [audio[..., start : start + size] for start in some]  # (B, C, n) each
        out = process(pieces[0] if len(some) == 1 else torch.cat(pieces))  # (pieces B, ..., n)
        for start, piece in zip(some, out.unflatten(0, (len(some), -1))):
            if total is None:
                total = piece.new_zeros(*piece.shape[:-1], audio.shape[-1])  # (B, ..., T)
            weight = window[: piece.shape[-1]]
            total[..., start : start + size] += weight * piece
            weights[start : start + size] += weight
    return total / (weights if divisor is None else divisor)
