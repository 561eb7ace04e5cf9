"""Hybrid Demucs: one U-Net over the waveform and one over its spectrogram, joined in the middle.

Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX Workshop at ISMIR 2021
(arXiv 2111.03600). Its names and its outputs are those of torchaudio's ``HDemucs``. Chapter 09
compares it with networks of one domain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import SepkitError, unknown
from .base import SPECTROGRAM, WAVEFORM, ModelCard, positive
from .demucs import Demucs, with_prefix
from .demucs_branches import Branches
from .waveform import STUDENT_RECIPE

#: Settings by size. "student" is for training on one CPU core: 2.4 million parameters, 0.45 s of
#: processor time per step of one stereo chunk of 3 s.
SIZES: dict[str, dict[str, Any]] = {"student": dict(width=8)}
#: STFT windows whose hop the stages of the temporal branch can make, and after how many they do.
LEAST_DEPTH = {64: 2, 256: 3, 1024: 4, 2048: 5, 4096: 5}
#: Longest piece that the authors' code separates at once, in seconds.
SEGMENT = 40.0


class HybridDemucs(Demucs):
    """Mixture in, all targets out, through a spectral and a temporal branch at once.

    Parameters
    ----------
    target : str, optional
        A network for one stem only.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default, the order of the published weights.
    width : int
        Feature maps of the first stage; a multiple of 4.
    growth : float
        By how much each stage has more of them.
    depth : int
        Stages of the encoder; the branches join where one frequency is left.
    n_fft : int
        STFT window; the hop is a quarter. 4096 is torchaudio's "high", for 44.1 and 48 kHz,
        2048 its "medium", and 1024 with a depth of 5 its "low".
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, longer audio is separated in overlapping pieces of this many seconds.
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

    name = "hybrid-demucs"
    card = ModelCard(
        paper="Défossez, MDX Workshop 2021, arXiv 2111.03600",
        domain=f"{WAVEFORM} and {SPECTROGRAM}",
        parameters=83_639_368,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE},
        lacking="all four targets at once, remixing within a batch in groups of 4, songs brought "
        "to one level, changes of pitch and tempo",
    )

    net: Branches

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        width: int = 48,
        growth: float = 2,
        depth: int = 6,
        n_fft: int = 4096,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = SEGMENT,
        overlap: float = 0.25,
        shifts: int = 0,
        loss: str = "l1",
    ):
        super().__init__(locals())
        _check_sizes(width, growth, depth, n_fft)
        self.min_samples, self.step = n_fft, n_fft // 4
        self.net = Branches(
            len(self.targets), channels, width, growth, depth, n_fft, compress=4, scale=1e-4
        )
        # Where the branches join it is not applied.
        self.net.time_encoder[-1].norm1.requires_grad_(False)

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of torchaudio's or of the authors' ``HDemucs`` under this class's names."""
        renamed = with_prefix(state)
        unused = f"net.time_encoder.{len(self.net.time_encoder) - 1}.norm1"
        if "encoder.0.conv.weight" in state:
            # The authors' network is without what is not applied.
            renamed.update({k: v for k, v in self.state_dict().items() if k.startswith(unused)})
        return renamed


def _check_sizes(width, growth, depth, n_fft):
    positive("width", width)
    positive("depth", depth)
    if n_fft not in LEAST_DEPTH:
        raise unknown("n_fft", n_fft, LEAST_DEPTH)
    if depth < LEAST_DEPTH[n_fft]:
        raise SepkitError(
            f"depth={depth}: with n_fft={n_fft}, one frequency is left after {LEAST_DEPTH[n_fft]} "
            "stages; as many were expected"
        )
    widths = [width]
    for _ in range(depth - 1):
        widths.append(int(growth * widths[-1]))
    # From the fifth stage on there are GroupNorm(4), and 4 heads of attention over a quarter of
    # the maps.
    if growth < 1 or any(w % 4 or (w // 4) % 4 for w in widths[4:]) or min(widths) < 4:
        raise SepkitError(
            f"width={width}, growth={growth}: the stages get {widths} feature maps; at least 4 "
            "were expected, and multiples of 16 from the fifth stage on"
        )
