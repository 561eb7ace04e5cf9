"""Band-split RNN: a complex mask from recurrent layers over time and over frequency bands.

Luo and Yu, "Music Source Separation with Band-split RNN", arXiv 2209.15174,
2022. One network is trained for each target; chapter 06 takes it apart.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import SepkitError
from ..overlap import overlap_add
from ..stft import STFT
from ..validation import Number, Several, Text, optional
from .bands import band_edges, default_split
from .base import SPECTROGRAM, Model, ModelCard, one_of, positive
from .bsrnn_layers import BandSplit, MaskEstimation, RecurrentLayer
from .losses import LOSSES
from .precision import PRECISIONS, quantised
from .settings import SECONDS, WIDTH

#: Sizes for `build("bsrnn", **SIZES[name])`. "large" is the paper's, "small" that of Magron et al.
#: (arXiv 2603.09187), "medium" lies between; "student" trains on a CPU in minutes.
SIZES: dict[str, dict[str, Any]] = {
    "student": dict(features=32, hidden=32, layers=3, mlp=64, split="V4", hop=1024),
    "small": dict(features=64, layers=8),
    "medium": dict(features=96, layers=10),
    "large": dict(features=128, layers=12),
}
#: Changes of `sepkit.training.STUDENT` for one CPU core.
STUDENT_RECIPE = dict(batch=4, lr=4e-3, clip=5.0)
#: Luo and Yu 2022: salient segments of 6 s, each stem's from a song of its own, of which 3 s are
#: taken at random; levels within 10 dB, a tenth of the stems dropped; 100 epochs of 10,000 steps,
#: which 1860 examples of each of MUSDB18's 86 songs are. Theirs are 8 GPUs with 2 examples each:
#: on one, batch=16.
PAPER_RECIPE = dict(
    batch=16,
    chunk_seconds=6.0,
    cut_seconds=3.0,
    samples_per_track=1860,
    activity=True,
    gains=None,
    gain_db=(-10, 10),
    swap=0.0,
    silence=0.1,
    normalise=True,
    lr=1e-3,
    weight_decay=0.0,
    schedule="epochs",
    decay=0.98,
    decay_every=2,
    clip=5.0,
    patience=10,
    epochs=100,
)
STEREO = ("features", "independent")
#: Windows that are computed together.
WINDOW_BATCH = 4
#: Of the public implementation: by how many seconds its windows overlap, and what is added to the
#: deviation that it divides a window's spectrogram by.
PUBLISHED_OVERLAP, LEAST_DEVIATION = 2.5, 1e-5


class BSRNN(Model):
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
    as_published : bool
        With `norm_frames`: standardise the spectrogram of each window (`masked`) and
        place the windows (`_in_windows`) as that implementation does, for its weights.
    loss : {"l1", "nmse", "sdr"}
        The paper's: mean absolute errors of real part, imaginary part and waveform,
        summed. Or, for small networks and few steps, the waveform's squared error over
        the energy of each example, and for learning by heart minus the SDR; see
        `sepkit.models.losses`.

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
    band by band, since the products themselves fill the time: to see how the paper
    has it, read `sepkit.models.bsrnn_readable`, which gives the same masks. A file
    with one module per band still loads, see `load_published`.
    """

    name = "bsrnn"
    card = ModelCard(
        paper="Luo and Yu, arXiv 2209.15174, 2022",
        domain=SPECTROGRAM,
        parameters=28_018_064,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE, "paper": PAPER_RECIPE},
    )
    losses = ("l1", "nmse", "sdr")
    precisions = PRECISIONS
    kinds = {
        "features": WIDTH,
        "hidden": optional(WIDTH),
        "mlp": optional(WIDTH),
        "split": optional(Text(), Several(Several(Number(1, 1_000_000, whole=False), 2))),
        "stereo": Text(),
        "window": SECONDS,
        "window_hop": SECONDS,
        "precision": Text(),
        "norm_frames": optional(Number(1, 100_000)),
    }
    run_settings = ("window",)
    stft: STFT

    def __init__(
        self,
        target: str = "vocals",
        features: int = 128,
        hidden: int | None = None,
        layers: int = 12,
        mlp: int | None = None,
        split: str | Sequence[Sequence[float]] | None = None,
        n_fft: int = 2048,
        hop: int = 512,
        sample_rate: int = 44100,
        channels: int = 2,
        stereo: str = "features",
        window: float | None = None,
        window_hop: float | None = None,
        precision: str = "float32",
        norm_frames: int | None = None,
        as_published: bool = False,
        loss: str = "l1",
    ):
        hidden = 2 * features if hidden is None else hidden
        mlp = 4 * features if mlp is None else mlp
        split = default_split(target) if split is None else split
        super().__init__(locals())
        for name in ("features", "hidden", "layers", "mlp", "channels"):
            positive(name, self.settings[name])
        one_of("stereo", stereo, STEREO)
        if as_published and not norm_frames:
            raise SepkitError("as_published=True: needs norm_frames, 263 for the published weights")
        self.independent, self.as_published = stereo == "independent", as_published
        self.set_precision(precision)
        self.stft = STFT(n_fft, hop)
        self.min_samples, self.step, self.norm_frames = n_fft, hop, norm_frames
        self.window, self.window_hop = self._windows(window, window_hop)

        edges = band_edges(split, n_fft, sample_rate)
        joint = 1 if self.independent else channels
        self.encoder = BandSplit(edges, joint, features, norm_frames)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [RecurrentLayer(features, hidden, public=bool(norm_frames)) for _ in range(2)]
            )
            for _ in range(layers)
        )
        self.decoder = MaskEstimation(edges, joint, features, mlp, norm_frames)

    def _windows(self, window, hop):
        """Window and hop of `forward` in samples; None and 0 for the whole input."""
        if self.norm_frames:
            if window is not None:
                raise SepkitError(
                    f"norm_frames={self.norm_frames} fixes the window; leave window={window} out"
                )
            size = (self.norm_frames - 1) * self.stft.hop
            if size < self.stft.n_fft:
                raise SepkitError(
                    f"norm_frames={self.norm_frames}: frames that span at least one window of "
                    f"{self.stft.n_fft} were expected"
                )
        else:
            size = None if window is None else round(window * self.sample_rate)
        if size is None:
            return None, 0
        if hop is not None:
            step = round(hop * self.sample_rate)
        elif self.as_published:
            step = size - round(PUBLISHED_OVERLAP * self.sample_rate)
        else:
            step = size // 6
        if not 1 <= step <= size:
            raise SepkitError(
                f"window_hop={hop}: more than 0 and at most the window of "
                f"{size / self.sample_rate:.2f} s was expected"
            )
        return size, step

    def mask(self, spectrum: Tensor) -> Tensor:
        """The complex mask, before it is applied: to the spectrum, or `as_published` see `masked`.

        Parameters
        ----------
        spectrum : complex Tensor
            Of the mixture, (B, C, F, L).

        Returns
        -------
        complex Tensor
            (B, C, F, L)
        """
        return self._mask(self._standardised(spectrum)[0] if self.as_published else spectrum)

    def _mask(self, spectrum):
        batch, channels, bins, frames = spectrum.shape
        if self.independent:
            spectrum = spectrum.reshape(batch * channels, 1, bins, frames)
        x = torch.view_as_real(spectrum).permute(0, 3, 1, 2, 4)  # (B, L, C, F, 2)
        bf16 = self.precision == "bfloat16"  # otherwise as the training loop has it
        with torch.autocast(x.device.type, torch.bfloat16) if bf16 else nullcontext():
            x = self.encoder(x)  # (K, B, L, N)
            for over_time, over_bands in self._recurrent_layers(x):
                x = over_time(x.transpose(0, 2)).transpose(0, 2)  # sequences of L frames
                x = over_bands(x)  # sequences of K bands
            mask = self.decoder(x)  # (B, C, L, F, 2)
        mask = torch.view_as_complex(mask.float()).transpose(2, 3)  # (B, C, F, L)
        return mask.reshape(batch, channels, bins, frames)

    def masked(self, spectrum: Tensor) -> Tensor:
        """The target's spectrogram, from the mixture's: complex, (B, C, F, L) both.

        With mask M, mixture X: Y = M(X) X. `as_published`: Y = M(Z) Z s + m, where
        Z = (X - m) / (s + 1e-5), with X's complex mean m and standard deviation s
        over channels, bins and frames.
        """
        if not self.as_published:
            return self.mask(spectrum) * spectrum
        x, mean, deviation = self._standardised(spectrum)
        return self._mask(x) * x * deviation + mean

    def _standardised(self, spectrum):
        mean = spectrum.mean((1, 2, 3), keepdim=True)  # (B, 1, 1, 1), complex
        deviation = spectrum.std((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
        return (spectrum - mean) / (deviation + LEAST_DEVIATION), mean, deviation

    def _recurrent_layers(self, x):
        if self.precision != "int8":
            return self.layers
        if self.training or x.device.type != "cpu":
            raise SepkitError(
                "precision='int8' is for separation on a CPU; train in float32 or bfloat16"
            )
        return quantised(self.layers)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate, see `Model.forward`."""
        self.check(mixture)
        if self.window and (not self.training or self.norm_frames):
            return self._in_windows(mixture)
        return self._separate(mixture)

    def _separate(self, mixture):
        padded = self.pad(mixture)  # (B, C, T), at least one window
        spectrum = self.stft(padded)  # (B, C, F, L), complex
        estimate = self.masked(spectrum)  # (B, C, F, L), complex
        return self.stft.inverse(estimate, padded.shape[-1])[..., : mixture.shape[-1]]

    def _in_windows(self, mixture):
        """The mean of overlapping windows; silence fills the last one up.

        `as_published`, silence stands at both ends, so that these too are heard in as many
        windows as the middle, and the sum is divided by the mean number of windows that
        hear a sample, window / hop = 5.614. Since in fact 5 or 6 do, the gain changes between
        -1.0 and 0.6 dB from place to place; the scores of the published weights have that in them.
        """
        size, hop, samples = self.window, self.window_hop, mixture.shape[-1]
        ends, divisor = (size - hop, size / hop) if self.as_published else (0, None)
        count = 1 + max(0, -(-(samples + 2 * ends - size) // hop))
        behind = size + (count - 1) * hop - ends - samples
        padded = functional.pad(mixture, (ends, behind))  # (B, C, T')
        starts, window = range(0, count * hop, hop), padded.new_ones(size)
        estimate = overlap_add(self._separate, padded, starts, window, WINDOW_BATCH, divisor)
        return estimate[..., ends : ends + samples]  # (B, C, T)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, a scalar; see the class for the choices.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T)
        """
        targets = self.check_target(mixture, target)  # (B, 1, C, T)
        if self.norm_frames and self.stft.frames(mixture.shape[-1]) != self.norm_frames:
            raise SepkitError(
                f"norm_frames={self.norm_frames} trains on chunks of {self.window} samples; these "
                f"have {mixture.shape[-1]}"
            )
        both = self.stft(torch.cat([mixture, target]))  # (2 B, C, F, L), complex
        spectrum, target_spectrum = both.chunk(2)  # (B, C, F, L), complex
        estimate = self.masked(spectrum)  # (B, C, F, L), complex
        waveform = self.stft.inverse(estimate, mixture.shape[-1])  # (B, C, T)
        if self.loss_name != "l1":
            return LOSSES[self.loss_name](waveform[:, None], targets, mixture)
        error = torch.view_as_real(estimate - target_spectrum).abs()  # (B, C, F, L, 2)
        real_and_imaginary = error.mean((0, 1, 2, 3))  # (2,)
        return real_and_imaginary.sum() + (waveform - target).abs().mean()

    def load_published(self, state: Mapping[str, Any]) -> None:
        """Take over weights of github.com/amanteur/BandSplitRNN-PyTorch, the best-known public one.

        Into a model of the same ``norm_frames``, and ``as_published``. Its file holds one module
        per band, where this class stores bands of equal width together. Its norms span features
        and a fixed number of frames, and every gate has a linear layer of its own: with these
        shapes the layout has exactly the parameters that are reported of it, 32,414,628 for
        vocals, 33,371,812 for bass and 35,954,340 for drums.

        Raises
        ------
        SepkitError
            If the model has not that layout; naming what is missing, left over, of another
            shape, NaN or infinite.
        """
        if not self.as_published:
            raise SepkitError(
                f"{SOURCE} of BSRNN belong to norms of a fixed length and standardised windows; "
                "build the model with norm_frames=263, as_published=True"
            )
        super().load_published(state)

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """One module per band, as in the file, to one per width of bands, as here."""
        names = self._published_names()
        known = {name for some in names.values() for name in some}
        for what, keys in (
            ("lack", known - state.keys()),
            ("hold an unexpected", state.keys() - known),
        ):
            if keys:
                shown = ", ".join(sorted(keys)[:3]) + " ..." * (len(keys) > 3)
                raise SepkitError(f"{SOURCE} {what} {shown}; {REMEDY}")
        expected, weights = self.state_dict(), {}
        for key, some in names.items():
            if key.startswith("layers."):
                weights[key] = state[some[0]]
                continue
            shape, group = expected[key].shape, int(key.split(".")[2])
            size = self.encoder.norms[group].weight.shape[-1]
            # Where the file has each of a band's features.
            order = torch.arange(size).view(-1, 2, self.encoder.groups[group][0])
            order = order.transpose(1, 2).flatten()  # (size,)
            bands = [_arrange(state[name], name, key, shape[-2:], order) for name in some]
            weights[key] = torch.stack(bands).view(shape)
        return weights

    def _published_names(self):
        """{key here: [keys of the file, one per band or one in all]}."""
        names = {}
        for key in self.state_dict():
            *path, kind = key.split(".")
            if path[0] == "layers":
                _, i, j, part = path
                names[key] = [f"{LAYER.format(i=i, j=j)}.{LAYER_PARTS[part]}.{kind}"]
            else:
                place, _ = ENDS[".".join(path[:2])]
                _, bands = self.encoder.groups[int(path[2])]
                names[key] = [f"{place.format(k=band)}.{kind}" for band in bands]
        return names


#: Part of ours -> name in the public file for band {k}, and which axes of ours (in, out) run over
#: the band's features. These the file has in the order (channel, real or imaginary part, bin),
#: ours (channel, bin, part).
ENDS = {
    "encoder.norms": ("bandsplit.layernorms.{k}", "out"),
    "encoder.maps": ("bandsplit.fcs.{k}", "in"),
    "decoder.norms": ("maskest.layernorms.{k}", ""),
    "decoder.hidden": ("maskest.mlp.{k}.mlp.0", ""),
    "decoder.output": ("maskest.mlp.{k}.mlp.2", "out"),
    "decoder.gate": ("maskest.mlp.{k}.mlp.3.linear", "in out"),
}
#: Layer {i}, with {j} = 0 over time and 1 over bands, and its parts.
LAYER, LAYER_PARTS = "bandsequence.bsrnn.{i}.{j}", {"norm": "groupnorm", "rnn": "rnn", "fc": "fc"}
SOURCE, REMEDY = "the published weights", "are they of another target or split?"


def _arrange(x, name, key, shape, order):
    """A tensor of the file as one band of ours, of `shape` (in, out).

    Matrices are turned, and a band's features put in order.
    """
    part = ".".join(key.split(".")[:2])
    axes = ENDS[part][1]
    as_ours = part == "decoder.norms" and x.shape == shape  # (frames, features)
    if x.ndim == 2 and not as_ours:
        x = x.T
    if x.shape[-2:] != shape and x.shape != shape[-1:]:
        raise SepkitError(
            f"{SOURCE}: {name} is for {tuple(x.shape)} values, {tuple(shape)} were expected; "
            f"{REMEDY}"
        )
    x = x.view(shape) if x.ndim == 1 else x
    if "in" in axes and shape[0] > 1:
        x = x[order]
    if "out" in axes:
        halves = range(shape[1] // len(order))  # a gate has two
        x = x[:, torch.cat([order + half * len(order) for half in halves])]
    return x
