"""Band-split RNN: a complex mask from recurrent layers over time and over frequency bands.

Luo and Yu, "Music Source Separation with Band-split RNN", arXiv 2209.15174,
2022. One network is trained for each target; chapter 06 takes it apart.
"""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional

from ..errors import SepkitError, unknown
from ..stft import STFT
from . import bsrnn_published
from .bands import band_edges, default_split
from .bsrnn_layers import BandSplit, MaskEstimation, RecurrentLayer
from .precision import quantised
from .waveform import waveform_loss

#: Sizes for `build("bsrnn", **SIZES[name])`. "large" is the paper's, "small" that of Magron et al.
#: (arXiv 2603.09187), "medium" lies between; "student" trains on a CPU in minutes.
SIZES = {
    "student": dict(features=32, hidden=32, layers=3, mlp=64, split="V4", hop=1024),
    "small": dict(features=64, layers=8),
    "medium": dict(features=96, layers=10),
    "large": dict(features=128, layers=12),
}
PRECISIONS = ("float32", "bfloat16", "int8")
LOSSES = ("l1", "nmse", "sdr")
STEREO = ("features", "independent")
AT_ONCE = 4  # windows that are computed together


class BSRNN(nn.Module):
    """Audio of a mixture in, audio of one target out, through a complex mask.

    Parameters
    ----------
    target : str
        The stem that the network estimates.
    features, hidden, layers, mlp : int
        Length N of the vector that stands for a band at a moment; units of each
        direction of the LSTMs (2 N by default); pairs of time and band RNN; units
        of the mask estimators (4 N by default). `SIZES` has sets of them.
    split : str or sequence of (upper limit, width), optional
        One of `sepkit.models.bands.SPLITS`; by default the paper's for the target.
    n_fft, hop, sample_rate, channels : int
        STFT window and hop, in samples, and the audio that the network is for.
    stereo : {"features", "independent"}
        ``"features"``: the vector of a band holds all channels, which are masked
        jointly. ``"independent"``: every channel is separated as if it were mono,
        at that many times the cost.
    window, window_hop : float
        In evaluation mode, separate windows of this many seconds, `window_hop`
        seconds apart (by default a sixth of the window), and average where they
        overlap; the paper has 3 and 0.5. Without it the whole input is one window.
    precision : {"float32", "bfloat16", "int8"}
        In which the network computes; STFT and mask always in float32. ``"int8"``
        is for separation on a CPU: recurrent layers with weights and inputs of 8
        bits, scaled at every call ("dynamic quantisation"). Where a CPU multiplies
        bfloat16 in hardware, that is 2.8 times as fast as float32 at the paper's
        size and no faster at the student's, 8 bits are a seventh slower
        (tests/bench/bench_bsrnn.py). The SDR of a student network after 184 steps
        of training, on four songs, changed by less than 0.001 dB.
    norm_frames : int, optional
        Build the layout of the best-known public implementation, whose norms are
        tied to this number of frames: 263 for its published weights
        (`load_published`). It differs from the paper in two more ways, see
        `RecurrentLayer` and `MaskEstimation`. Windows have just this length, and
        shorter input is padded to it.
    loss : {"l1", "nmse"}
        The paper's: mean absolute errors of real part, imaginary part and waveform,
        summed. Or, for small networks and few steps, the waveform's squared error over
        the energy of each example, and for learning by heart minus the SDR; see
        `sepkit.models.waveform.waveform_loss`.

    Raises
    ------
    SepkitError
        For sizes that make no network, and unknown choices.

    Notes
    -----
    B, C, T: batch, channels, samples; F, L: bins, frames; K: bands; N: features.
    Bands of equal width are computed by one batched matrix product, so their
    weights are stored together, as (bands, in, out): nothing is stacked in
    training, and the optimiser has few tensors. On a CPU this takes as long as
    band by band, since the products themselves fill the time. A file with one
    module a band still loads, see `sepkit.models.bsrnn_published`.
    """

    name = "bsrnn"

    def __init__(
        self,
        target="vocals",
        features=128,
        hidden=None,
        layers=12,
        mlp=None,
        split=None,
        n_fft=2048,
        hop=512,
        sample_rate=44100,
        channels=2,
        stereo="features",
        window=None,
        window_hop=None,
        precision="float32",
        norm_frames=None,
        loss="l1",
    ):
        super().__init__()
        hidden, mlp = (
            2 * features if hidden is None else hidden,
            4 * features if mlp is None else mlp,
        )
        split = default_split(target) if split is None else split
        split = split if isinstance(split, str) else [list(pair) for pair in split]
        for setting, value in dict(
            features=features, hidden=hidden, layers=layers, mlp=mlp, channels=channels
        ).items():
            if value != int(value) or value < 1:
                raise SepkitError(f"{setting}={value}: a whole number of 1 or more was expected")
        if stereo not in STEREO:
            raise unknown("stereo", stereo, STEREO)
        self.settings = dict(
            target=target,
            features=features,
            hidden=hidden,
            layers=layers,
            mlp=mlp,
            split=split,
            n_fft=n_fft,
            hop=hop,
            sample_rate=sample_rate,
            channels=channels,
            stereo=stereo,
            window=window,
            window_hop=window_hop,
            norm_frames=norm_frames,
        )
        self.set_precision(precision)
        self.set_loss(loss)
        self.sample_rate, self.channels, self.targets = sample_rate, channels, (target,)
        self.stft = STFT(n_fft, hop)
        self.window, self.window_hop = self._windows(window, window_hop, norm_frames)

        edges = band_edges(split, n_fft, sample_rate)
        heard = 1 if stereo == "independent" else channels
        self.encoder = BandSplit(edges, heard, features, norm_frames)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [RecurrentLayer(features, hidden, public=bool(norm_frames)) for _ in range(2)]
            )
            for _ in range(layers)
        )
        self.decoder = MaskEstimation(edges, heard, features, mlp, norm_frames)

    def _windows(self, window, hop, norm_frames):
        """Window and hop of `forward` in samples; None and 0 for the whole input."""
        if norm_frames:
            if window is not None:
                raise SepkitError(
                    f"norm_frames={norm_frames} fixes the window; leave window={window} out"
                )
            size = (norm_frames - 1) * self.stft.hop
            if size < self.stft.n_fft:
                raise SepkitError(
                    f"norm_frames={norm_frames}: frames that span at least one window of {self.stft.n_fft} were expected"
                )
        else:
            size = None if window is None else round(window * self.sample_rate)
        if size is None:
            return None, 0
        step = size // 6 if hop is None else round(hop * self.sample_rate)
        if not 1 <= step <= size:
            raise SepkitError(
                f"window_hop={hop}: more than 0 and at most the window of {size / self.sample_rate:.2f} s was expected"
            )
        return size, step

    def set_precision(self, precision):
        """Choose in which precision the network computes, one of `PRECISIONS`."""
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        self.settings["precision"] = precision

    def set_loss(self, kind):
        """Choose what training minimises, one of `LOSSES`."""
        if kind not in LOSSES:
            raise unknown("loss", kind, LOSSES)
        self.settings["loss"] = kind

    def mask(self, spectrum):
        """The complex mask, before it is applied.

        Parameters
        ----------
        spectrum : complex Tensor
            Of the mixture, (B, C, F, L).

        Returns
        -------
        complex Tensor
            (B, C, F, L)
        """
        batch, channels, bins, frames = spectrum.shape
        if self.settings["stereo"] == "independent":
            spectrum = spectrum.reshape(batch * channels, 1, bins, frames)
        x = torch.view_as_real(spectrum).permute(0, 3, 1, 2, 4)  # (B, L, C, F, 2)
        bf16 = self.settings["precision"] == "bfloat16"
        with (
            torch.autocast(x.device.type, torch.bfloat16) if bf16 else nullcontext()
        ):  # or as the training loop has it
            x = self.encoder(x)  # (K, B, L, N)
            for over_time, over_bands in self._recurrent_layers(x):
                x = over_time(x.transpose(0, 2)).transpose(0, 2)  # sequences of L frames
                x = over_bands(x)  # sequences of K bands
            mask = self.decoder(x)  # (B, C, L, F, 2)
        mask = torch.view_as_complex(mask.float()).transpose(2, 3)  # (B, C, F, L)
        return mask.reshape(batch, channels, bins, frames)

    def _recurrent_layers(self, x):
        if self.settings["precision"] != "int8":
            return self.layers
        if self.training or x.device.type != "cpu":
            raise SepkitError(
                "precision='int8' is for separation on a CPU; train in float32 or bfloat16"
            )
        return quantised(self.layers)

    def forward(self, mixture):
        """Separate.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T), any T of 1 or more.

        Returns
        -------
        Tensor
            The target, (B, C, T).

        Raises
        ------
        SepkitError
            If the mixture is empty or has another number of channels.
        """
        self._check(mixture)
        if self.window and (not self.training or self.settings["norm_frames"]):
            return _in_windows(self._separate, mixture, self.window, self.window_hop)
        return self._separate(mixture)

    def _separate(self, mixture):
        samples = mixture.shape[-1]
        mixture = functional.pad(
            mixture, (0, max(0, self.stft.n_fft - samples))
        )  # at least one window
        spectrum = self.stft(mixture)  # (B, C, F, L), complex
        estimate = self.mask(spectrum) * spectrum
        return self.stft.inverse(estimate, mixture.shape[-1])[..., :samples]

    def loss(self, mixture, target):
        """What training minimises, a scalar; see the class for the choices.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T)
        """
        self._check(mixture)
        if target.shape != mixture.shape:
            raise SepkitError(
                f"target of shape {tuple(target.shape)} for a mixture of shape {tuple(mixture.shape)}; expected the same"
            )
        wanted_frames = self.settings["norm_frames"]
        if wanted_frames and self.stft.frames(mixture.shape[-1]) != wanted_frames:
            raise SepkitError(
                f"norm_frames={wanted_frames} trains on chunks of {self.window} samples; these have {mixture.shape[-1]}"
            )
        spectrum, wanted = self.stft(torch.cat([mixture, target])).chunk(2)  # (B, C, F, L), complex
        estimate = self.mask(spectrum) * spectrum
        waveform = self.stft.inverse(estimate, mixture.shape[-1])  # (B, C, T)
        if self.settings["loss"] != "l1":
            return waveform_loss(self.settings["loss"], waveform[:, None], target[:, None], mixture)
        error = (
            torch.view_as_real(estimate - wanted).abs().mean((0, 1, 2, 3))
        )  # (2,): real, imaginary
        return error.sum() + (waveform - target).abs().mean()

    def _check(self, mixture):
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or mixture.shape[-1] == 0:
            raise SepkitError(
                f"this BSRNN is for {self.channels} channel(s): audio of shape (batch, {self.channels}, samples) was expected, "
                f"not {tuple(mixture.shape)}"
            )

    def load_published(self, state):
        """Take over a state dict of the public implementation, into a model of the same ``norm_frames``.

        Raises
        ------
        SepkitError
            Naming what is missing, left over or of another shape.
        """
        bsrnn_published.load(self, state)


def _in_windows(separate, mixture, size, hop):
    """Separate windows of `size` samples, `hop` apart, and average where they overlap; (B, C, T) to the same."""
    samples = mixture.shape[-1]
    count = 1 + max(0, -(-(samples - size) // hop))
    padded = functional.pad(mixture, (0, size + (count - 1) * hop - samples))
    windows = padded.unfold(-1, size, hop).permute(2, 0, 1, 3)  # (count, B, C, size)
    total, heard = torch.zeros_like(padded), padded.new_zeros(padded.shape[-1])
    for first in range(0, count, AT_ONCE):
        some = windows[first : first + AT_ONCE]
        estimates = separate(some.flatten(0, 1)).unflatten(0, some.shape[:2])
        for k, estimate in enumerate(estimates, first):
            total[..., k * hop : k * hop + size] += estimate
            heard[k * hop : k * hop + size] += 1
    return (total / heard)[..., :samples]
