"""What the networks from waveform to waveform have in common: several targets, long audio.

Wave-U-Net, Conv-TasNet, Hybrid Demucs and SCNet differ only in how they turn a mixture into
estimates; chapter 09 compares the first three. Each gives `estimate`, the rest is here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import SepkitError
from ..overlap import overlap_add, triangle
from ..stems import STEMS_OF_DEMUCS
from ..validation import Name, optional
from .base import Model
from .losses import LOSSES

#: Changes of `sepkit.training.STUDENT` for these networks. Not tuned: tried for seconds only, in
#: chapter 09.
STUDENT_RECIPE = dict(batch=2, lr=1e-3, clip=5.0)


class WaveformModel(Model):
    """Mixture in, the waveforms of one or several targets out.

    Parameters
    ----------
    arguments : dict
        As for `Model`, with ``target``: one stem, in short for ``targets=[target]``; ``targets``:
        the stems that the network estimates, in this order, by default `STEMS_OF_DEMUCS`, the
        order of the published weights; ``segment``: in evaluation, audio longer than this many
        seconds is separated in segments that overlap by a quarter (`in_segments`), None for whole;
        and where the class has it ``as_published``: in evaluation, the mixture is standardised
        (`standardised`), and the segments are cut, as the authors of the published weights do.

    Notes
    -----
    B, J, C, T: batch, targets, channels, samples.
    """

    kinds = {"target": optional(Name())}
    #: Share of a segment that the next one repeats.
    overlap = 0.25

    def __init__(self, arguments: Mapping[str, Any]):
        target, segment = arguments["target"], arguments["segment"]
        targets = _targets(target, arguments["targets"])
        super().__init__({**arguments, "targets": targets})
        del self.settings["target"]
        if segment is not None and not segment > 0:
            raise SepkitError(f"segment={segment}: seconds above 0 were expected, or None")
        self.segment = segment
        self.as_published: bool = arguments.get("as_published", False)

    def estimate(self, mixture: Tensor) -> Tensor:
        """The estimates of all targets, (B, J, C, T), from the mixture, (B, C, T)."""
        raise NotImplementedError

    def in_evaluation(self, mixture: Tensor) -> Tensor:
        """The same from a mixture of any length: in segments, where there is a `segment`."""
        if not self.as_published:
            return self._in_segments(mixture)
        x, mean, deviation = standardised(mixture)  # (B, C, T), (B, 1, 1), (B, 1, 1)
        x = self._in_segments(x)  # (B, J, C, T)
        return x * deviation.unsqueeze(1) + mean.unsqueeze(1)

    def forward(self, mixture: Tensor) -> Tensor | dict[str, Tensor]:
        """Separate, see `Model.forward`."""
        self.check(mixture)
        separate = self.estimate if self.training else self.in_evaluation
        estimates = separate(mixture)  # (B, J, C, T)
        if len(self.targets) == 1:
            return estimates[:, 0]
        return dict(zip(self.targets, estimates.unbind(1)))

    def _in_segments(self, mixture):
        """(B, C, T) to (B, J, C, T)."""
        if not self.segment:
            return self.estimate(mixture)
        size = max(4, round(self.segment * self.sample_rate))
        return in_segments(self.estimate, mixture, size, self.overlap, self.as_published)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss`."""
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        return LOSSES[self.loss_name](self.estimate(mixture), targets, mixture)


def standardised(mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A mixture less the mean of its mono mix, over the deviation of that; and both.

    As Demucs and SCNet have it for inference. (B, C, T) to (B, C, T), (B, 1, 1) and (B, 1, 1).
    """
    mono = mixture.mean(1, keepdim=True)  # (B, 1, T)
    mean = mono.mean(-1, keepdim=True)  # (B, 1, 1)
    deviation = mono.std(-1, correction=0, keepdim=True) + 1e-8  # (B, 1, 1)
    return (mixture - mean) / deviation, mean, deviation


def in_segments(
    separate: Callable[[Tensor], Tensor],
    mixture: Tensor,
    size: int,
    overlap: float = 0.25,
    evenly: bool = False,
) -> Tensor:
    """Separate long audio piece by piece, weighted by triangles where the pieces overlap.

    That is how Demucs does it, with the same overlap. The last piece ends with the audio
    and has the same size as the others.

    Parameters
    ----------
    separate : callable
        (B, C, n) to (B, J, C, n).
    mixture : Tensor
        (B, C, T)
    size : int
        Samples of a piece, at least 2.
    overlap : float
        Share of a piece that the next one repeats.
    evenly : bool
        All pieces begin at multiples of the hop, to the end of the audio, which cuts the last ones.

    Returns
    -------
    Tensor
        (B, J, C, T)
    """
    samples, hop = mixture.shape[-1], max(1, round(size * (1 - overlap)))
    if samples <= (hop if evenly else size):
        return separate(mixture)
    if evenly:
        starts = [*range(0, samples, hop)]
    else:
        starts = [*range(0, samples - size, hop), samples - size]
    return overlap_add(separate, mixture, starts, triangle(size, mixture))


def _targets(target: str | None, targets: Sequence[str] | str | None) -> list[str]:
    if target is not None and targets is not None:
        raise SepkitError(f"target={target!r} and targets={targets!r}: give one of them")
    targets = (target,) if target is not None else STEMS_OF_DEMUCS if targets is None else targets
    targets = [targets] if isinstance(targets, str) else list(targets)
    if not targets or len(set(targets)) < len(targets):
        raise SepkitError(f"targets={targets}: expected at least one, each of them once")
    return targets
