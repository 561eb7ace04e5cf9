"""BS-RoFormer and Mel-Band RoFormer: attention along time and along bands, by turns.

Lu, Wang, Kong and Hung, "Music Source Separation with Band-Split RoPE Transformer", ICASSP 2024
(arXiv 2309.02612), and Wang, Lu and Won, "Mel-Band RoFormer for Music Source Separation",
ISMIR 2023 late breaking (arXiv 2310.01809). It is chapter 06's band split with attention in the
place of the LSTMs. The two networks differ in how they cut the spectrogram into bands, and in
where they normalise.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..overlap import overlap_add
from ..stft import STFT
from ..validation import Number, Several, Switch
from .base import SPECTROGRAM, ModelCard
from .losses import LOSSES, MULTI_RESOLUTION, multi_resolution
from .roformer_layers import BandSplit, Block, Masks, RMSNorm
from .roformer_published import renamed
from .settings import DEPTH, WIDTH
from .waveform import WaveformModel

#: Bins in each of the paper's 62 bands.
BANDS = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)
#: What is changed for training on one CPU core.
STUDENT: dict[str, Any] = dict(width=32, depth=2, heads=2, head_width=16, hop=1024, segment=3.0)
#: Why the authors' recipe is refused.
LACKING = (
    "excerpts chosen by their loudness, activations computed again for the gradient, and a number "
    "of steps, which is not published"
)


class RoFormer(WaveformModel):
    """What both networks are; `BSRoFormer` has the parameters.

    B, J, C, T: batch, targets, channels, samples; F, N: bins and frames; K: bands; W: width.
    """

    losses = (MULTI_RESOLUTION, *LOSSES)
    kinds = {
        **WaveformModel.kinds,
        "depth": DEPTH,
        "heads": Number(1, 1024),
        "head_width": Number(2, 1024),
        "mask_layers": Number(0, 8),
        "mask_growth": Number(1, 64),
        "gates": Switch(),
        "zero_dc": Switch(),
    }
    stft: STFT
    #: Normalise behind each transformer, rather than once before the masks.
    norm_each = False

    def __init__(self, arguments: Mapping[str, Any], ranges: Sequence[tuple[int, int]]):
        super().__init__(arguments)
        width, heads, head_width = (arguments[name] for name in ("width", "heads", "head_width"))
        if head_width % 2:
            raise SepkitError(f"head_width={head_width}: an even number was expected")
        self.stft = STFT(arguments["n_fft"], arguments["hop"])
        self.min_samples, self.step = self.stft.n_fft, self.stft.hop
        self.zero_dc = arguments["zero_dc"]
        self.split = BandSplit(ranges, 2 * self.channels, width)
        options = (width, heads, head_width, arguments["dropout"], arguments["gates"])
        self.blocks = nn.ModuleList(
            Block(*options, self.norm_each) for _ in range(arguments["depth"])
        )
        self.norm = nn.Identity() if self.norm_each else RMSNorm(width)
        hidden = [arguments["mask_growth"] * width] * arguments["mask_layers"]
        self.masks = nn.ModuleList(
            Masks(ranges, self.stft.bins, 2 * self.channels, width, hidden) for _ in self.targets
        )

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        padded = self.pad(mixture)  # (B, C, T), at least one window
        spectrum = self.stft(padded)  # (B, C, F, N), complex
        x = torch.view_as_real(spectrum).permute(0, 3, 2, 1, 4).flatten(3)  # (B, N, F, 2 C)
        x = self.split(x)  # (B, K, N, W)
        for block in self.blocks:
            x = block(x)  # (B, K, N, W)
        x = self.norm(x)  # (B, K, N, W)
        masks = torch.stack([mask(x) for mask in self.masks], 1).float()  # (B, J, N, F, 2 C)
        masks = torch.view_as_complex(masks.unflatten(-1, (-1, 2)).contiguous())  # (B, J, N, F, C)
        estimates = masks.permute(0, 1, 4, 3, 2) * spectrum.unsqueeze(1)  # (B, J, C, F, N)
        if self.zero_dc:
            estimates[..., 0, :] = 0
        return self.stft.inverse(estimates, padded.shape[-1])[..., : mixture.shape[-1]]

    def in_evaluation(self, mixture: Tensor) -> Tensor:
        """The same from a mixture of any length: the mean of segments that overlap by half.

        The paper's "OA", section 4.3; the last segment ends with the audio.
        """
        samples = mixture.shape[-1]
        size = round((self.segment or 0) * self.sample_rate)
        if not 0 < size < samples:
            return self.estimate(mixture)
        starts = [*range(0, samples - size, max(1, size // 2)), samples - size]
        return overlap_add(self.estimate, mixture, starts, mixture.new_ones(size))

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss`.

        ``"multi-resolution"`` is `sepkit.models.losses.multi_resolution`.
        """
        if self.loss_name != MULTI_RESOLUTION:
            return super().loss(mixture, target)
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        return multi_resolution(self.estimate(mixture) - targets, self.stft.n_fft)

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of the public implementation under the names of this class."""
        return renamed(state, self.settings["head_width"])


class BSRoFormer(RoFormer):
    """Mixture in, all targets out, through attention along time and along bands side by side.

    Parameters
    ----------
    target : str, optional
        A network for one stem only, as the paper has them.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default.
    bands : sequence of int
        Bins of each band, from the lowest up.
    width, depth : int
        Of a token, and how many pairs of transformers there are.
    heads, head_width : int
    gates : bool
        Multiply each head by a number between 0 and 1 that each token chooses, as the public
        implementation does.
    mask_layers, mask_growth : int
        Hidden layers before the masks, and how many times wider than a token they are.
    dropout : float
        In training.
    zero_dc : bool
        Leave out the lowest bin of the estimates, as the public training code does.
    n_fft, hop : int
        Of the STFT.
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, longer audio is separated in pieces of this many seconds, see
        `in_evaluation`.
    loss : {"multi-resolution", "l1", "mse", "nmse", "sdr", "si-sdr"}
        The authors' is the first, see `loss`; for the others see `sepkit.models.losses`.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    The defaults are the paper's network of 12 blocks, for four stems at once; "6-blocks" is the
    one of table 2. The public networks (`sepkit.models.roformer_published`) have gates and heads
    of 64. Attention is over all frames of a piece: time and memory grow with its square.
    """

    name = "bs-roformer"
    card = ModelCard(
        paper="Lu et al., ICASSP 2024, arXiv 2309.02612",
        domain=SPECTROGRAM,
        parameters=241_205_412,
        sizes={"6-blocks": dict(depth=6), "student": STUDENT},
        recipes={"student": dict(batch=2, lr=5e-4, clip=5.0)},
        lacking=LACKING,
    )
    kinds = {**RoFormer.kinds, "bands": Several(WIDTH, 1024)}

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        bands: Sequence[int] = BANDS,
        width: int = 384,
        depth: int = 12,
        heads: int = 8,
        head_width: int = 48,
        gates: bool = False,
        mask_layers: int = 1,
        mask_growth: int = 4,
        dropout: float = 0.1,
        zero_dc: bool = False,
        n_fft: int = 2048,
        hop: int = 441,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = 8.0,
        loss: str = MULTI_RESOLUTION,
    ):
        super().__init__(locals(), side_by_side(bands, n_fft))


class MelRoFormer(RoFormer):
    """Mixture in, all targets out, through attention along time and along mel bands, which overlap.

    Parameters
    ----------
    bands : int
        How many. Each bin is in two of them, but for a few at the ends; its mask is the mean of
        theirs.

    The others are those of `BSRoFormer`. Each transformer has a norm behind it.
    """

    name = "mel-roformer"
    card = ModelCard(
        paper="Wang et al., ISMIR 2023 late breaking, arXiv 2310.01809",
        domain=SPECTROGRAM,
        parameters=284_873_292,
        sizes={"6-blocks": dict(depth=6), "student": STUDENT},
        recipes={"student": dict(batch=2, lr=5e-4, clip=5.0)},
        lacking=LACKING,
    )
    kinds = {**RoFormer.kinds, "bands": Number(1, 1024)}
    norm_each = True

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        bands: int = 60,
        width: int = 384,
        depth: int = 12,
        heads: int = 8,
        head_width: int = 48,
        gates: bool = False,
        mask_layers: int = 1,
        mask_growth: int = 4,
        dropout: float = 0.1,
        zero_dc: bool = False,
        n_fft: int = 2048,
        hop: int = 441,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = 8.0,
        loss: str = MULTI_RESOLUTION,
    ):
        super().__init__(locals(), mel_ranges(bands, n_fft, sample_rate))


def side_by_side(bands: Sequence[int], n_fft: int) -> list[tuple[int, int]]:
    """The bins [low, high) of bands that are so many bins wide, from the lowest up.

    Raises
    ------
    SepkitError
        If they do not have all bins.
    """
    edges = [sum(bands[:band]) for band in range(len(bands) + 1)]
    if edges[-1] != n_fft // 2 + 1:
        raise SepkitError(
            f"bands={list(bands)[:3]}...: they have {edges[-1]} bins together; with "
            f"n_fft={n_fft}, {n_fft // 2 + 1} were expected"
        )
    return list(zip(edges, edges[1:]))


def mel_ranges(bands: int, n_fft: int, sample_rate: int) -> list[tuple[int, int]]:
    """The bins [low, high) of bands that are equally wide on Slaney's mel scale.

    Band k reaches from edge k to edge k + 2, without both, as the triangles of
    ``librosa.filters.mel`` do; the lowest bin is in the first band, and the highest in the last.
    The scale is linear up to 1000 Hz, of 15 mel, and then grows by a factor of 6.4 in 27 mel.

    Raises
    ------
    SepkitError
        If a band has no bin, or a bin no band.
    """
    per_mel, knee, octave = 200 / 3, 15.0, 27 / math.log(6.4)
    top = sample_rate / 2 / per_mel  # in mel
    if top > knee:
        top = knee + octave * math.log(sample_rate / 2000)
    mels = [top * edge / (bands + 1) for edge in range(bands + 2)]
    hertz = [m * per_mel if m < knee else 1000 * math.exp((m - knee) / octave) for m in mels]
    edges = [frequency * n_fft / sample_rate for frequency in hertz]  # in bins
    ranges = [(math.floor(low) + 1, math.ceil(high)) for low, high in zip(edges, edges[2:])]
    ranges[0] = (0, ranges[0][1])
    ranges[-1] = (ranges[-1][0], n_fft // 2 + 1)
    if any(low >= high for low, high in ranges) or any(
        after[0] > before[1] for before, after in zip(ranges, ranges[1:])
    ):
        raise SepkitError(
            f"bands={bands}: with n_fft={n_fft}, some have no bin of their own; give fewer, or a "
            "larger n_fft"
        )
    return ranges
