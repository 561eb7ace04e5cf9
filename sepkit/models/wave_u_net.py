"""Wave-U-Net: a U-Net on the samples themselves, halving their number level by level.

Stoller, Ewert and Dixon, "Wave-U-Net: A Multi-Scale Neural Network for End-to-End Audio Source
Separation", ISMIR 2018 (arXiv 1806.03185). Chapter 09 takes it apart, and lets the aliasing be
heard that some ways to go back up bring.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from .base import WAVEFORM, ModelCard, one_of, positive
from .losses import LOSSES
from .waveform import STUDENT_RECIPE, WaveformModel

UPSAMPLINGS = ("linear", "learned", "transposed")
ACTIVATIONS = ("tanh", "linear")
OUTPUTS = ("difference", "direct")
#: Of the leaky ReLUs, as in the authors' code.
SLOPE = 0.2
#: Settings by size. "student" is for training one target on one CPU core, at 44.1 kHz: 0.5 million
#: parameters, 0.4 s of processor time per step of one stereo chunk of 3 s.
SIZES: dict[str, dict[str, Any]] = {
    "student": dict(
        levels=9, filters=8, sample_rate=44100, output="direct", activation="linear", loss="nmse"
    )
}


class WaveUNet(WaveformModel):
    """Mixture in, all targets out, by convolutions on ever coarser and again finer samples.

    Parameters
    ----------
    target : str, optional
        A network for one stem only; needs ``output="direct"``.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default.
    levels : int
        How often the number of samples is halved.
    filters : int
        Feature maps of the first level; each further level has as many more.
    kernel, merge_kernel : int
        Taps of the convolutions on the way down and up, odd.
    upsampling : {"linear", "learned", "transposed"}
        How the number of samples is doubled. ``"linear"``: the mean of two neighbours comes
        between them. ``"learned"``: a mean with a weight for each feature map (section 3.2.2).
        ``"transposed"``: a transposed convolution with stride 2, whose taps meet odd and even
        samples unequally: the tones that this leaves are why the paper avoids it.
    context : bool
        True: no layer pads, so estimates depend on real neighbours only, and `loss` is taken
        where all of them lie in the chunk (section 3.2.3). False: every layer pads with zeros.
    output : {"difference", "direct"}
        ``"difference"``: the last target is the mixture less the others, so that they sum to
        the mixture (section 3.2.1). ``"direct"``: one output each.
    activation : {"tanh", "linear"}
        Of the output. ``"tanh"`` is the paper's: no estimate exceeds 1.
    sample_rate, channels : int
        The audio that the network is for; the paper's is 22.05 kHz.
    segment : float, optional
        In evaluation, longer audio is separated in overlapping pieces of this many seconds.
    loss : {"l1", "mse", "nmse", "sdr", "si-sdr"}
        The paper's is ``"mse"``.

    Raises
    ------
    SepkitError
        For sizes that make no network, and unknown choices.

    Notes
    -----
    The defaults are the paper's M6, for four stems in stereo; M4 has two targets, vocals and
    accompaniment. `forward` extends the mixture with silence by the context at both ends, as
    the authors do with songs. B, J, C, T: batch, targets, channels, samples; W: feature maps.
    """

    name = "wave-u-net"
    card = ModelCard(
        paper="Stoller et al., ISMIR 2018, arXiv 1806.03185",
        domain=WAVEFORM,
        parameters=10_263_498,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE},
        lacking="all targets at once, the last as the mixture less the others; early stopping, "
        "then again from there with larger batches at a tenth of the learning rate",
    )

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        levels: int = 12,
        filters: int = 24,
        kernel: int = 15,
        merge_kernel: int = 5,
        upsampling: str = "linear",
        context: bool = True,
        output: str = "difference",
        activation: str = "tanh",
        sample_rate: int = 22050,
        channels: int = 2,
        segment: float | None = None,
        loss: str = "mse",
    ):
        super().__init__(locals())
        for name in ("levels", "filters", "kernel", "merge_kernel"):
            positive(name, self.settings[name])
        one_of("upsampling", upsampling, UPSAMPLINGS)
        one_of("output", output, OUTPUTS)
        one_of("activation", activation, ACTIVATIONS)
        if kernel % 2 == 0 or merge_kernel % 2 == 0:
            raise SepkitError(
                f"kernel={kernel}, merge_kernel={merge_kernel}: odd numbers of taps were expected"
            )
        if output == "difference" and len(self.targets) == 1:
            only = self.targets[0]
            raise SepkitError(
                f"output='difference' makes the last target from the others, but {only} is the "
                "only one; use 'direct'"
            )
        widths = [filters * (level + 1) for level in range(levels + 1)]
        self.step = 2**levels
        self.context, self.difference = context, output == "difference"
        self.tanh = activation == "tanh"
        #: Samples that a convolution on the way down and on the way up costs.
        self.lost = (kernel - 1, merge_kernel - 1) if context else (0, 0)

        def convolution(inputs, outputs, taps):
            return nn.Conv1d(inputs, outputs, taps, padding=0 if context else taps // 2)

        self.down = nn.ModuleList(
            convolution(i, o, kernel) for i, o in zip([channels, *widths], widths[:-1])
        )
        self.middle = convolution(widths[-2], widths[-1], kernel)
        self.doubling = nn.ModuleList(
            Double(width, upsampling, merge_kernel) for width in reversed(widths[1:])
        )
        self.up = nn.ModuleList(
            convolution(i + o, o, merge_kernel)
            for i, o in zip(reversed(widths), reversed(widths[:-1]))
        )
        written = len(self.targets) - self.difference
        self.last = nn.Conv1d(filters + channels, written * channels, 1)
        self.apply(_initialise)

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        samples = mixture.shape[-1]
        size, given = self.fitting(samples)
        before = (given - size) // 2
        x = nn.functional.pad(mixture, (before, given - samples - before))  # (B, C, given)
        return self._u_net(x)[..., :samples]  # (B, J, C, T)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss`.

        Raises
        ------
        SepkitError
            With ``context=True``, if chunks are too short to have estimates with all their
            context. The paper's have 147,443 samples, of which the middle 16,389 are compared.
        """
        if not self.context:
            return super().loss(mixture, target)
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        size, given = self.fitting(mixture.shape[-1], within=True)
        before = (given - size) // 2
        estimates = self._u_net(mixture[..., :given])  # (B, J, C, size)
        middle = slice(before, before + size)
        return LOSSES[self.loss_name](estimates, targets[..., middle], mixture[..., middle])

    def fitting(self, samples: int, within: bool = False) -> tuple[int, int]:
        """How many samples come out, and how many must go in for that.

        Only certain numbers come out of layers that do not pad and halve odd numbers.

        Parameters
        ----------
        samples : int
        within : bool
            False: the least numbers with `samples` or more coming out, and no fewer
            than `merge_kernel`. True: the greatest with at most `samples` going in.

        Returns
        -------
        tuple of int
            Out, in.
        """
        lost, lost_up = self.lost
        if within:
            steps = (samples - 1 + lost) // self.step + 1 - 2 * lost  # left at the lowest level
        else:
            steps = 1 + lost_up + max(0, -(-(samples - 1 - lost_up) // self.step))
        if within and steps < 2 + lost_up:
            raise SepkitError(
                f"chunks of {samples} samples are too short: with all its context, {self.name} "
                f"takes {self._given(2 + lost_up)} for {self.step + 1 + lost_up}; give longer "
                "chunks, or build it with fewer levels or context=False"
            )
        return self.step * (steps - 1 - lost_up) + 1 + lost_up, self._given(steps)

    def _given(self, steps):
        """How many samples must go in at the top for so many steps at the bottom.

        Solves in(0) = steps + lost, in(k + 1) = 2 in(k) - 1 + lost.
        """
        lost = self.lost[0]
        return self.step * (steps - 1 + 2 * lost) + 1 - lost

    def _u_net(self, mixture):
        x, skips = mixture, []  # (B, C, T)
        for convolution in self.down:
            x = nn.functional.leaky_relu(convolution(x), SLOPE)  # (B, W, T)
            skips.append(x)
            x = x[..., ::2]  # (B, W, (T + 1) / 2)
        x = nn.functional.leaky_relu(self.middle(x), SLOPE)  # (B, W + filters, T)
        for double, convolution in zip(self.doubling, self.up):
            x = double(x)  # (B, W + filters, 2 T - 1)
            x = torch.cat([_centre(skips.pop(), x), x], 1)  # (B, 2 W + filters, 2 T - 1)
            x = nn.functional.leaky_relu(convolution(x), SLOPE)  # (B, W, T)
        cropped = _centre(mixture, x)  # (B, C, T)
        x = self.last(torch.cat([cropped, x], 1))  # (B, J C, T), or (J - 1) C
        if self.tanh:
            x = torch.tanh(x)
        x = x.unflatten(1, (-1, self.channels))  # (B, J or J - 1, C, T)
        if self.difference:
            x = torch.cat([x, cropped.unsqueeze(1) - x.sum(1, keepdim=True)], 1)  # (B, J, C, T)
        return x


class Double(nn.Module):
    """From T samples to 2 T - 1: one comes between each two."""

    def __init__(self, width, kind, kernel):
        super().__init__()
        self.kind = kind
        if kind == "learned":
            # Through a sigmoid: the mean to begin with.
            self.weight = nn.Parameter(torch.zeros(width, 1))
        elif kind == "transposed":
            self.convolution = nn.ConvTranspose1d(width, width, kernel, 2, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) to (B, W, 2 T - 1)."""
        if self.kind == "transposed":
            return self.convolution(x)  # (B, W, 2 T - 1)
        left, right = x[..., :-1], x[..., 1:]  # (B, W, T - 1)
        share = torch.sigmoid(self.weight) if self.kind == "learned" else 0.5
        between = share * left + (1 - share) * right  # (B, W, T - 1)
        pairs = torch.stack([left, between], -1).flatten(-2)  # (B, W, 2 T - 2)
        return torch.cat([pairs, x[..., -1:]], -1)  # (B, W, 2 T - 1)


def _centre(x, like):
    """The middle of `x`, as long as `like`."""
    start = (x.shape[-1] - like.shape[-1]) // 2
    return x[..., start : start + like.shape[-1]]


def _initialise(module):
    """As the authors' library does: Glorot's uniform weights, no bias."""
    if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
