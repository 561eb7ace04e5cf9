"""HTDemucs: Hybrid Demucs, but its branches look at each other through a transformer.

Rouard, Massa and Défossez, "Hybrid Transformers for Music Source Separation", ICASSP 2023
(arXiv 2211.08553). The published networks (htdemucs, htdemucs_ft, htdemucs_6s) differ from the
paper's 41.4 million parameters in one thing: their decoders have residual branches too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import SepkitError
from ..stems import STEMS_OF_DEMUCS
from ..validation import Number
from .base import SPECTROGRAM, WAVEFORM, ModelCard
from .cross_transformer import CrossTransformer
from .demucs import Demucs, with_prefix
from .demucs_branches import KERNEL, STRIDE, Branches
from .waveform import STUDENT_RECIPE

#: Targets of the published networks, in the order of their outputs.
SIX = (*STEMS_OF_DEMUCS, "guitar", "piano")
SOURCES = {len(names): names for names in (STEMS_OF_DEMUCS, SIX)}
#: Settings by size. The defaults are htdemucs; "student" is for training on one CPU core.
SIZES: dict[str, dict[str, Any]] = {
    "6-stems": dict(targets=list(SIX), bottleneck=0),
    "sparse": dict(layers=7, segment=12.2, sparsity=0.9),
    "student": dict(width=8, bottleneck=64, layers=3, heads=4),
}
#: The last layers of both decoders, and how many feature maps each has per stem and channel.
_LAST = {"decoder.{}.conv_tr": 2, "tdecoder.{}.conv_tr": 1}


class HTDemucs(Demucs):
    """Mixture in, all targets out, through two branches that look at each other.

    Parameters
    ----------
    target : str, optional
        A network for one stem only.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default, the order of the published weights.
    width : int
        Feature maps of the first stage; a multiple of 8.
    growth : int
        By how much each stage has more of them.
    depth : int
        Stages of the encoders; more than 8 frequencies must be left before the last one.
    bottleneck : int
        Width of the transformer, between two layers that change it; 0 for that of the last stage.
    layers, heads : int
        Of the transformer.
    dropout : float
        In the transformer, in training.
    sparsity : float
        Share of the attention that is left out (section 3.3, where it is 0.9), 0 for none. As a
        mask: slower, not faster; see `sepkit.models.cross_transformer.LSHMask`. Random: the same
        audio gives slightly different estimates.
    n_fft : int
        STFT window; the hop is a quarter.
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, audio is separated in pieces of this many seconds, shorter audio filled up:
        the length it was trained with. None for whole songs, at their own length.
    overlap, shifts : float, int
        See `sepkit.models.demucs.Demucs`.
    loss : {"l1", "mse", "nmse", "sdr", "si-sdr"}
        The authors' is ``"l1"``.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    B, J, C, T: batch, targets, channels, samples.
    """

    name = "htdemucs"
    card = ModelCard(
        paper="Rouard et al., ICASSP 2023, arXiv 2211.08553",
        domain=f"{WAVEFORM} and {SPECTROGRAM}",
        parameters=41_984_456,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE},
        lacking="all four targets at once, remixing within a batch in groups of 4, changes of "
        "pitch and tempo, and 800 songs that nobody else has",
    )
    kinds = {
        **Demucs.kinds,
        "growth": Number(1, 16),
        "bottleneck": Number(0, 65536),
        "sparsity": Number(0, 0.99, whole=False),
        "heads": Number(1, 1024),
    }
    fills_pieces = True

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        width: int = 48,
        growth: int = 2,
        depth: int = 4,
        bottleneck: int = 512,
        layers: int = 5,
        heads: int = 8,
        dropout: float = 0.02,
        sparsity: float = 0.0,
        n_fft: int = 4096,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = 7.8,
        overlap: float = 0.25,
        shifts: int = 0,
        loss: str = "l1",
    ):
        super().__init__(locals())
        inner = width * growth ** (depth - 1)
        _check_sizes(width, depth, n_fft, bottleneck or inner, heads)
        self.min_samples, self.step = n_fft, n_fft // 4
        self.net = HybridTransformer(
            len(self.targets),
            channels,
            width,
            growth,
            depth,
            n_fft,
            inner,
            bottleneck,
            layers,
            heads,
            dropout,
            sparsity,
        )

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of the authors' ``HTDemucs`` under the names of this class.

        Of a network for more stems, only the outputs for `targets` are kept: each network of
        htdemucs_ft is made for one.
        """
        return with_prefix(self._selected(state))

    def _selected(self, state):
        """The state dict with the last layers' outputs for our targets alone, in our order."""
        state, depth = dict(state), len(self.net.freq_decoder)
        for name, parts in _LAST.items():
            key = name.format(depth - 1)
            bias = state.get(f"{key}.bias")
            each = parts * self.channels  # feature maps of a stem
            sources = None if bias is None else SOURCES.get(len(bias) // each)
            if sources is None or sources == self.targets:
                continue
            if missing := [target for target in self.targets if target not in sources]:
                raise SepkitError(
                    f"{self.name}: the published weights are for {', '.join(sources)}; there is "
                    f"no {missing[0]}"
                )
            rows = [sources.index(t) * each + k for t in self.targets for k in range(each)]
            state[f"{key}.bias"] = bias[rows]
            state[f"{key}.weight"] = state[f"{key}.weight"][:, rows]
        return state


class HybridTransformer(Branches):
    """Both branches, with a transformer where they are smallest."""

    def __init__(
        self, targets, channels, width, growth, depth, n_fft, inner, bottleneck, layers, heads,
        dropout, sparsity,
    ):  # fmt: skip
        super().__init__(
            targets, channels, width, growth, depth, n_fft, decoded=True, compress=8, scale=1e-3
        )
        if bottleneck:
            self.channel_upsampler = nn.Conv1d(inner, bottleneck, 1)
            self.channel_downsampler = nn.Conv1d(bottleneck, inner, 1)
            self.channel_upsampler_t = nn.Conv1d(inner, bottleneck, 1)
            self.channel_downsampler_t = nn.Conv1d(bottleneck, inner, 1)
        self.bottleneck = bottleneck
        self.crosstransformer = CrossTransformer(
            bottleneck or inner, layers, heads, dropout, sparsity
        )

    def middle(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, W, F, N) and (B, W, T) to the same."""
        bins = z.shape[2]
        if self.bottleneck:
            z = self.channel_upsampler(z.flatten(2)).unflatten(2, (bins, -1))  # (B, V, F, N)
            x = self.channel_upsampler_t(x)  # (B, V, T)
        z, x = self.crosstransformer(z, x)
        if self.bottleneck:
            z = self.channel_downsampler(z.flatten(2)).unflatten(2, (bins, -1))  # (B, W, F, N)
            x = self.channel_downsampler_t(x)  # (B, W, T)
        return z, x


def _check_sizes(width, depth, n_fft, transformer, heads):
    if width % 8:
        raise SepkitError(f"width={width}: a multiple of 8 was expected")
    if n_fft % (2 * STRIDE**depth) or n_fft // 2 // STRIDE ** (depth - 1) <= KERNEL:
        raise SepkitError(
            f"depth={depth}: with n_fft={n_fft}, too few frequencies are left after "
            f"{depth - 1} stages; more than {KERNEL} were expected, and all stages whole"
        )
    if transformer % heads or transformer % 4:
        raise SepkitError(
            f"heads={heads}: the transformer has a width of {transformer}; a multiple of heads and "
            "of 4 was expected"
        )
