"""Hybrid Demucs: one U-Net over the waveform and one over its spectrogram, joined in the middle.

Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX Workshop at ISMIR 2021
(arXiv 2111.03600). The network is torchaudio's; what torchaudio leaves to its caller is here:
normalisation, audio of any length, names for the outputs, settings that rebuild it. Chapter 09
compares it with networks of one domain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import SepkitError, unknown
from ..validation import Number
from .base import SPECTROGRAM, WAVEFORM, ModelCard, positive
from .waveform import STUDENT_RECIPE, WaveformModel, standardised

#: Settings by size. "student" is for training on one CPU core: 2.4 million parameters, 0.45 s of
#: processor time per step of one stereo chunk of 3 s.
SIZES: dict[str, dict[str, Any]] = {"student": dict(width=8)}
#: STFT windows whose hop the stages of the temporal branch can make, and after how many they do.
LEAST_DEPTH = {64: 2, 256: 3, 1024: 4, 2048: 5, 4096: 5}
#: Longest piece that the authors' code separates at once, in seconds.
SEGMENT = 40.0


class HybridDemucs(WaveformModel):
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
    loss : {"l1", "mse", "nmse", "sdr", "si-sdr"}
        The authors' is ``"l1"``.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    The mixture is brought to mean 0 and deviation 1 over time of its mono mix, and the
    estimates back, as the authors do for inference: a louder mixture gives the same estimates,
    louder. The measure is taken from the audio that is given, for `sepkit.separation.stream`
    each chunk. B, J, C, T: batch, targets, channels, samples.
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
    kinds = {**WaveformModel.kinds, "growth": Number(1, 16, whole=False)}

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
        loss: str = "l1",
    ):
        super().__init__(locals())
        _check_sizes(width, growth, depth, n_fft)
        self.min_samples, self.step = n_fft, n_fft // 4
        from torchaudio.models import HDemucs  # only needed by those who build it

        self.net = HDemucs(
            list(self.targets),
            audio_channels=channels,
            channels=width,
            growth=growth,
            nfft=n_fft,
            depth=depth,
        )
        # Where the branches join it is not applied.
        self.net.time_encoder[-1].norm1.requires_grad_(False)

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        x, mean, deviation = standardised(mixture)  # (B, C, T), (B, 1, 1), (B, 1, 1)
        x = self.pad(x)  # (B, C, T), at least one window
        x = self.net(x)[..., : mixture.shape[-1]]  # (B, J, C, T)
        return x * deviation.unsqueeze(1) + mean.unsqueeze(1)  # (B, J, C, T)

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of torchaudio's ``HDemucs`` under the names of this class."""
        return {f"net.{name}": value for name, value in state.items()}


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
