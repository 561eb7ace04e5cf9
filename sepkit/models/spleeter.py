"""Spleeter: one U-Net per stem, whose magnitudes share the mixture out.

Hennequin, Khlif, Voituret and Moussallam, "Spleeter: a fast and efficient music source
separation tool with pre-trained models", JOSS 5 (50), 2154, 2020; the U-Net is that of Jansson
et al., "Singing Voice Separation with Deep U-Net Convolutional Networks", ISMIR 2017. Chapter 02's
ratio mask, with magnitudes that networks have guessed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import SepkitError
from ..stft import STFT
from ..validation import Number
from .base import MAGNITUDE, ModelCard, one_of
from .losses import LOSSES
from .waveform import WaveformModel

#: The loss of the authors, besides those on waveforms.
MAGNITUDE_L1 = "magnitude-l1"
#: What the authors' three sets of weights are for, in the order of their networks.
TWO = ("vocals", "accompaniment")
FOUR = ("vocals", "drums", "bass", "other")
FIVE = ("vocals", "piano", "drums", "bass", "other")
#: Settings by size. The defaults are the authors' network for two stems; "student" is for
#: training on one CPU core.
SIZES: dict[str, dict[str, Any]] = {
    "4-stems": dict(targets=list(FOUR), activation="elu"),
    "5-stems": dict(targets=list(FIVE), activation="elu", output="softmax"),
    "student": dict(width=4, frames=128),
}
#: name -> what follows the encoder's convolutions, and the decoder's.
ACTIVATIONS = {"relu": (nn.LeakyReLU(0.2), nn.ReLU()), "elu": (nn.ELU(), nn.ELU())}
OUTPUTS = ("sigmoid", "softmax")
#: Added to the sum of the powers that make the masks.
LEAST_POWER = 1e-10
#: TensorFlow's defaults, in PyTorch's terms.
_NORM = dict(eps=1e-3, momentum=0.01)
_DROPOUT, _DROPPED_STAGES = 0.5, 3


class Spleeter(WaveformModel):
    """Mixture in, all targets out, through one U-Net each and a ratio mask.

    Parameters
    ----------
    target : str, optional
        A network for one stem only: its U-Net's magnitude gets the mixture's phase, for there is
        nothing to share with.
    targets : sequence of str, optional
        Vocals and accompaniment by default, the authors' order.
    width : int
        Feature maps of the first stage; each stage doubles them.
    depth : int
        Stages of each U-Net, each of which halves bins and frames.
    bins : int
        The lowest bins, which the networks see; the estimates have nothing above (11 kHz).
    frames : int
        How many frames are separated at once; a multiple of ``2 ** depth``, as `bins`.
    activation : {"relu", "elu"}
        The first for the authors' two stems (leaky in the encoder), the second for four and five.
    output : {"sigmoid", "softmax"}
        How the U-Nets' outputs become masks of their magnitudes: each by itself, or together, as
        the authors' five stems do.
    n_fft, hop : int
        Of the STFT, with a Hann window.
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, longer audio is separated in overlapping pieces of this many seconds. The
        authors do without: memory does not grow with the song's length, but for its spectrogram.
    loss : {"magnitude-l1", "l1", "mse", "nmse", "sdr", "si-sdr"}
        The authors' is the first, see `loss`; for the others see `sepkit.models.losses`.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    Frames are not centred: the first starts 4096 samples before the audio, the last one within
    it; every sample is seen by as many. B, J, C, T: batch, targets, channels, samples; F, N: bins
    seen and frames; K: blocks of frames; W, V: feature maps.
    """

    name = "spleeter"
    card = ModelCard(
        paper="Hennequin et al., JOSS 2020",
        domain=MAGNITUDE,
        parameters=19_645_450,
        sizes=SIZES,
        recipes={
            # Not tuned: tried for seconds only.
            "student": dict(batch=4, lr=1e-3),
            # The authors' configuration, excerpts of real songs; Deezer's songs aside.
            "paper": dict(
                lr=1e-4,
                batch=4,
                weight_decay=0.0,
                schedule="constant",
                chunk_seconds=11.96,
                mix_prob=0.0,
                gains=None,
                swap=0.0,
                max_steps=1_000_000,
            ),
        },
    )
    losses = (MAGNITUDE_L1, *LOSSES)
    kinds = {**WaveformModel.kinds, "bins": Number(1, 2**16), "frames": Number(1, 2**16)}
    stft: STFT

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        width: int = 16,
        depth: int = 6,
        bins: int = 1024,
        frames: int = 512,
        activation: str = "relu",
        output: str = "sigmoid",
        n_fft: int = 4096,
        hop: int = 1024,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = None,
        loss: str = MAGNITUDE_L1,
    ):
        targets = targets or (None if target else TWO)
        super().__init__(locals())
        one_of("activation", activation, ACTIVATIONS)
        one_of("output", output, OUTPUTS)
        _check_sizes(n_fft, bins, frames, depth)
        self.bins, self.frames, self.output = bins, frames, output
        self.stft = STFT(n_fft, hop, center=False)
        self.min_samples, self.step = n_fft, frames * hop
        self.u_nets = nn.ModuleList(UNet(channels, width, depth, activation) for _ in self.targets)

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        samples, window, hop = mixture.shape[-1], self.stft.n_fft, self.stft.hop
        frames = -(-(window + samples) // hop)
        padded = functional.pad(mixture, (window, (frames - 1) * hop - samples))  # (B, C, T')
        spectrum = self.stft(padded)  # (B, C, n_fft / 2 + 1, N), complex
        x = self.magnitudes(spectrum.abs())  # (B, J, C, F, N)
        low = spectrum[:, None, :, : self.bins]  # (B, 1, C, F, N), complex
        if len(self.targets) == 1:
            x = torch.polar(x, low.angle())  # (B, 1, C, F, N), complex
        else:
            power = x.square()  # (B, J, C, F, N)
            share = LEAST_POWER / len(self.targets)
            x = (power + share) / (power.sum(1, keepdim=True) + LEAST_POWER) * low
        x = functional.pad(x, (0, 0, 0, self.stft.bins - self.bins))  # (B, J, C, n_fft / 2 + 1, N)
        return self.stft.inverse(x, padded.shape[-1])[..., window : window + samples]

    def magnitudes(self, magnitude: Tensor) -> Tensor:
        """What the U-Nets make of the mixture's magnitude.

        (B, C, n_fft / 2 + 1, N) to (B, J, C, F, N): each block of `frames` by itself, the last
        one filled up with silence.
        """
        batch, frames = len(magnitude), magnitude.shape[-1]
        x = magnitude[:, :, : self.bins].transpose(-1, -2)  # (B, C, N, F)
        x = functional.pad(x, (0, 0, 0, -frames % self.frames))  # (B, C, K N', F)
        x = x.unflatten(2, (-1, self.frames)).transpose(1, 2).flatten(0, 1)  # (B K, C, N', F)
        # In training, normalisation takes its statistics from all blocks.
        blocks = [x] if self.training else x.split(1)
        y = torch.cat([self._masked(block) for block in blocks])  # (B K, J, C, N', F)
        y = y.unflatten(0, (batch, -1)).movedim(1, 3)  # (B, J, C, K, N', F)
        return y.flatten(3, 4)[..., :frames, :].transpose(-1, -2)  # (B, J, C, F, N)

    def _masked(self, x):
        """(K, C, N', F) to (K, J, C, N', F)."""
        logits = torch.stack([u_net(x) for u_net in self.u_nets], 1)  # (K, J, C, N', F)
        masks = logits.softmax(1) if self.output == "softmax" else logits.sigmoid()
        return masks.to(x.dtype) * x.unsqueeze(1)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss`.

        ``"magnitude-l1"``: the mean absolute error of the U-Nets' magnitudes in the bins that
        they see, summed over the targets; frames are those that lie within the chunk.
        """
        if self.loss_name != MAGNITUDE_L1:
            return super().loss(mixture, target)
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        estimates = self.magnitudes(self.stft(mixture).abs())  # (B, J, C, F, N)
        wanted = self.stft(targets).abs()[..., : self.bins, :]  # (B, J, C, F, N)
        return len(self.targets) * (estimates - wanted).abs().mean()

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """The variables of the authors' TensorFlow graph under the names of this class.

        TensorFlow counts layers through the whole graph, and stores a kernel as (rows, columns,
        inputs, outputs). The normalisation behind each encoder's last stage leads nowhere, and
        is left out, as is the count of the training steps.
        """
        state, renamed = dict(state), {}
        state.pop("global_step", None)
        for theirs, ours in self._published_layers():
            for suffix, name in _PUBLISHED.items():
                value = state.pop(f"{theirs}/{suffix}", None)
                if value is not None and ours is not None:
                    renamed[f"{ours}.{name}"] = (
                        value.permute(3, 2, 0, 1) if value.ndim == 4 else value
                    )
        for key, value in self.state_dict().items():
            if key.endswith("num_batches_tracked"):
                renamed[key] = value
        return {**renamed, **state}

    def _published_layers(self):
        """Pairs of the name of a layer in the authors' graph, and here."""
        depth = len(self.u_nets[0].down)
        for k in range(len(self.targets)):
            net = f"u_nets.{k}"
            for i in range(depth):
                yield _numbered("conv2d", (depth + 1) * k + i), f"{net}.down.{i}"
                yield _numbered("conv2d_transpose", depth * k + i), f"{net}.up.{i}"
                norm = f"{net}.down_norms.{i}" if i < depth - 1 else None
                yield _numbered("batch_normalization", 2 * depth * k + i), norm
                norm = f"{net}.up_norms.{i}"
                yield _numbered("batch_normalization", 2 * depth * k + depth + i), norm
            yield _numbered("conv2d", (depth + 1) * k + depth), f"{net}.head"


#: Names of variables in TensorFlow, and in PyTorch.
_PUBLISHED = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _numbered(name, index):
    return f"{name}_{index}" if index else name


class UNet(nn.Module):
    """Convolutions of stride 2 down, transposed ones up, and a dilated one for all channels."""

    def __init__(self, channels, width, depth, activation):
        super().__init__()
        widths = [channels, *(width * 2**stage for stage in range(depth))]
        outputs = [*widths[-2:0:-1], 1]
        inputs = [widths[-1], *(2 * w for w in outputs[:-1])]
        self.before, self.after = ACTIVATIONS[activation]
        self.down = nn.ModuleList(
            nn.Conv2d(low, high, 5, stride=2) for low, high in zip(widths, widths[1:])
        )
        self.down_norms = nn.ModuleList(nn.BatchNorm2d(w, **_NORM) for w in widths[1:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(high, low, 5, stride=2) for high, low in zip(inputs, outputs)
        )
        self.up_norms = nn.ModuleList(nn.BatchNorm2d(w, **_NORM) for w in outputs)
        self.head = nn.Conv2d(1, channels, 4, dilation=2)
        for layer in (*self.down, *self.up, self.head):
            nn.init.kaiming_uniform_(layer.weight)  # TensorFlow's he_uniform
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, N, F) to the same, without an activation."""
        skips = []
        for stage, down in enumerate(self.down):
            # TensorFlow's "same" for stride 2 and an even size: one before, two behind.
            x = down(functional.pad(x, (1, 2, 1, 2)))  # (B, W, N / 2, F / 2)
            skips.append(x)
            if stage < len(self.down_norms):
                x = self.before(self.down_norms[stage](x))  # (B, W, N / 2, F / 2)
        x = skips.pop()
        for stage, (up, norm) in enumerate(zip(self.up, self.up_norms)):
            x = up(x)[..., 1:-2, 1:-2]  # (B, V, 2 N, 2 F)
            x = norm(self.after(x))  # (B, V, 2 N, 2 F)
            if stage < _DROPPED_STAGES:
                x = functional.dropout(x, _DROPOUT, self.training)
            if skips:
                x = torch.cat([skips.pop(), x], 1)  # (B, 2 V, 2 N, 2 F)
        return self.head(functional.pad(x, (3, 3, 3, 3)))  # (B, C, N, F)


def _check_sizes(n_fft, bins, frames, depth):
    multiple, most = 2**depth, n_fft // 2 + 1
    for name, value in (("bins", bins), ("frames", frames)):
        if value % multiple:
            raise SepkitError(
                f"{name}={value}: with depth={depth}, a multiple of {multiple} was expected"
            )
    if bins > most:
        raise SepkitError(f"bins={bins}: with n_fft={n_fft} there are {most}; give at most that")
