"""Conv-TasNet: masks, but on a representation that is learned instead of the STFT.

Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech
Separation", IEEE/ACM TASLP 27 (8), 2019, in the version for music of Défossez, Usunier, Bottou
and Bach, "Music Source Separation in the Waveform Domain", arXiv 1911.13254, 2019: stereo, wider,
deeper, without skip connections. Chapter 09 looks at what its filters learn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..validation import Number, Text
from .base import WAVEFORM, ModelCard, one_of, positive
from .settings import DEPTH, HALVINGS
from .waveform import STUDENT_RECIPE, WaveformModel

TCNS = ("music", "torchaudio")
#: Settings by size. "student" is for training on one CPU core: 0.35 million parameters, 0.55 s of
#: processor time per step of one stereo chunk of 3 s.
SIZES: dict[str, dict[str, Any]] = {
    "student": dict(filters=128, length=64, width=64, hidden=128, layers=8, stacks=2)
}
#: Of the norms, as in both papers' code.
EPSILON = 1e-8
#: What the authors of the version for music call the parameters of a norm.
NORM = {"weight": "gamma", "bias": "beta"}


class ConvTasNet(WaveformModel):
    """Mixture in, all targets out, through non-negative masks over learned filters.

    Parameters
    ----------
    target : str, optional
        A network for one stem only.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default, the order of the published weights.
    filters, length : int
        N and L: how many filters encoder and decoder have, and their samples (even);
        they are applied every half of that.
    width, hidden, kernel : int
        B, H and P: channels between the blocks and within them, and taps of a convolution.
    layers, stacks : int
        X and R: blocks with dilations 1, 2, 4, ..., and how often they are repeated.
    tcn : {"music", "torchaudio"}
        ``"music"``: blocks hand on their input plus their output. ``"torchaudio"``: masks from
        the network of `torchaudio.models.ConvTasNet`, which also sums what all blocks
        skip to the end, as in the paper about speech; and no ReLU after the encoder.
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, longer audio is separated in overlapping pieces of this many seconds.
        By default that of the authors' code; training had pieces of 80,000 samples.
    as_published : bool
        With the frames of the version for music: they begin with the first sample instead of half
        a frame before it, and what is left behind the last whole frame is silent. Also see
        `WaveformModel`. For its weights.
    loss : {"l1", "mse", "nmse", "sdr", "si-sdr"}
        ``"l1"`` for music, where level counts; the paper about speech has ``"si-sdr"``.

    Notes
    -----
    torchaudio's network is for one channel. Here each filter hears and writes all
    channels, as in the version for music: with the channels as examples of a batch instead,
    the place of a source in the stereo image, of which much can be learned, would be lost.

    The norms go over the whole piece, so estimates depend on what else is in it. A louder
    mixture gives the same estimates, louder, but for frames near digital silence. B, J, C, T:
    batch, targets, channels, samples; K: frames, every L / 2 samples.
    """

    name = "conv-tasnet"
    card = ModelCard(
        paper="Luo and Mesgarani, TASLP 2019; for music Défossez et al., arXiv 1911.13254",
        domain=WAVEFORM,
        parameters=10_977_872,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE},
        lacking="all four targets at once, remixing within a batch, songs brought to one level",
    )
    kinds = {
        **WaveformModel.kinds,
        "length": Number(2, 65536),
        "layers": HALVINGS,
        "stacks": DEPTH,
        "tcn": Text(),
    }

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        filters: int = 256,
        length: int = 20,
        width: int = 256,
        hidden: int = 512,
        kernel: int = 3,
        layers: int = 10,
        stacks: int = 4,
        tcn: str = "music",
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = 8.0,
        as_published: bool = False,
        loss: str = "l1",
    ):
        super().__init__(locals())
        for name in ("filters", "length", "width", "hidden", "kernel", "layers", "stacks"):
            positive(name, self.settings[name])
        if length % 2 or kernel % 2 == 0:
            raise SepkitError(
                f"length={length}, kernel={kernel}: an even length and an odd kernel were expected"
            )
        one_of("tcn", tcn, TCNS)
        self.music = tcn == "music"
        self.step = length // 2
        self.encoder = nn.Conv1d(channels, filters, length, self.step, bias=False)
        self.decoder = nn.ConvTranspose1d(filters, channels, length, self.step, bias=False)
        count = len(self.targets)
        if self.music:
            self.masks: nn.Module = MaskNetwork(
                count, filters, width, hidden, kernel, layers, stacks
            )
        else:
            from torchaudio.models import ConvTasNet as Reference  # only for those who build it

            self.masks = Reference(
                count, length, filters, kernel, width, hidden, layers, stacks, "relu"
            ).mask_generator

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        samples = mixture.shape[-1]
        ends = self._padding(samples)
        x = nn.functional.pad(mixture, ends)  # (B, C, T + padding)
        x = self.encoder(x)  # (B, N, K)
        if self.music:
            x = torch.relu(x)  # (B, N, K)
        x = self.masks(x) * x.unsqueeze(1)  # (B, J, N, K)
        x = self.decoder(x.flatten(0, 1))  # (B J, C, T + padding)
        x = x.unflatten(0, (-1, len(self.targets)))  # (B, J, C, T + padding)
        x = x[..., ends[0] : ends[0] + samples]  # (B, J, C, T), or as_published, less than a step
        return nn.functional.pad(x, (0, samples - x.shape[-1]))  # (B, J, C, T)

    def _padding(self, samples):
        """Silence before and behind the mixture."""
        if self.as_published:
            return 0, max(0, 2 * self.step - samples)  # to at least one frame
        return self.step, self.step + -samples % self.step  # each sample in two frames

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of the version for music, in its authors' layout."""
        if not self.music:
            raise SepkitError(
                f"tcn={self.settings['tcn']}: the published weights are for tcn='music'"
            )
        ours = {published_name(name, self.settings["layers"]): name for name in self.state_dict()}
        weights = {ours.get(name, name): value for name, value in state.items()}
        for name, wanted in self.state_dict().items():
            value = weights.get(name)
            if value is not None and value.numel() == wanted.numel():
                # Theirs are (1, N, 1), or (C L, N).
                value = value.T if name == "decoder.weight" else value
                weights[name] = value.reshape(wanted.shape)
        return weights


class MaskNetwork(nn.Module):
    """A temporal convolutional network: from all filters to a mask per target and filter."""

    def __init__(self, targets, filters, width, hidden, kernel, layers, stacks):
        super().__init__()
        self.targets = targets
        self.norm = nn.LayerNorm(filters, eps=EPSILON)
        self.bottleneck = nn.Conv1d(filters, width, 1, bias=False)
        self.blocks = nn.ModuleList(
            Block(width, hidden, kernel, 2**layer) for _ in range(stacks) for layer in range(layers)
        )
        self.output = nn.Conv1d(width, targets * filters, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, K) to (B, J, N, K)."""
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)  # each frame by itself, (B, N, K)
        x = self.bottleneck(x)  # (B, width, K)
        for block in self.blocks:
            x = x + block(x)  # (B, width, K)
        return torch.relu(self.output(x)).unflatten(1, (self.targets, -1))  # (B, J, N, K)


class Block(nn.Module):
    """To more channels, a convolution of each channel alone, and back.

    The norms go over channels and time.
    """

    def __init__(self, width, hidden, kernel, dilation):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(width, hidden, 1, bias=False),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=EPSILON),
            nn.Conv1d(
                hidden,
                hidden,
                kernel,
                padding=kernel // 2 * dilation,
                dilation=dilation,
                groups=hidden,
                bias=False,
            ),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=EPSILON),
            nn.Conv1d(hidden, width, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, K) to the same."""
        return self.layers(x)


def published_name(name: str, layers: int) -> str:
    """What the authors of the version for music call a weight; `layers` as in `ConvTasNet`."""
    part, *path, kind = name.split(".")
    if part == "encoder":
        return "encoder.conv1d_U.weight"
    if part == "decoder":
        return "decoder.basis_signals.weight"
    if path[0] != "blocks":
        number = {"norm": 0, "bottleneck": 1, "output": 3}[path[0]]
        return f"separator.network.{number}.{NORM[kind] if path[0] == 'norm' else kind}"
    block, layer = int(path[1]), int(path[3])
    inner = f"{layer}" if layer < 3 else f"3.net.{layer - 3}"
    place = f"separator.network.2.{block // layers}.{block % layers}.net.{inner}"
    return f"{place}.{NORM[kind] if layer in (2, 5) else kind}"
