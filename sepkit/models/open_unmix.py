"""Open-Unmix: a recurrent network that scales the mixture's magnitude.

Stöter, Uhlich, Liutkus and Mitsufuji, "Open-Unmix - A Reference
Implementation for Music Source Separation", JOSS 4 (41), 2019. One network
is trained for each target; chapter 04 takes it apart.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..stft import STFT
from .base import MAGNITUDE, Model, ModelCard
from .losses import LOSSES, mse

#: Settings for `build("open-unmix", **SIZES[name])`. "student", for training on one CPU core: 1.2
#: million parameters, 2.5 MB in half precision.
SIZES: dict[str, dict[str, Any]] = {"student": dict(hidden=128, layers=3, dropout=0.1)}
#: Blocks of at most this many frames go through the LSTM one by one: on a CPU, PyTorch's own copies
#: all weights at every call.
STEPWISE_MAX_FRAMES = 4


class Core:
    """What Open-Unmix has between two representations: squeeze, look along time, expand again.

    For a module to inherit beside `nn.Module`, so that the weights keep the published names:
    `OpenUnmix`, and in the variants a module with another front end around it, or another part
    in the LSTM's place.
    """

    training: bool

    def add_core(
        self,
        inputs: int,
        outputs: int,
        hidden: int,
        layers: int,
        unidirectional: bool,
        dropout: float,
    ) -> None:
        """Make the layers.

        Parameters
        ----------
        inputs, outputs : int
            Numbers that describe a frame, before and after.
        hidden, layers, unidirectional, dropout
            As in `OpenUnmix`.
        """
        if hidden < 2 or hidden % 2:
            raise SepkitError(
                f"hidden={hidden}: an even number of units was expected, half for each direction"
            )
        self.fc1 = nn.Linear(inputs, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(
            hidden,
            hidden if unidirectional else hidden // 2,
            layers,
            bidirectional=not unidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden, hidden, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, outputs, bias=False)
        self.bn3 = nn.BatchNorm1d(outputs)

    def core(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Frames (N, B, inputs) to (N, B, outputs), and the state after the last."""
        frames, batch = x.shape[:2]
        x, state = self.encode(x, state)  # (N, B, 2 H)
        x = torch.relu(self.bn2(self.fc2(x.view(frames * batch, -1))))  # (N B, H)
        return self.bn3(self.fc3(x)).view(frames, batch, -1), state  # (N, B, outputs)

    def encode(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Frames squeezed, and what the others tell: (N, B, inputs) to (N, B, 2 H), and the state.

        What is pre-trained in `sepkit.training.pretraining`.
        """
        frames, batch = x.shape[:2]
        x = self.fc1(x.reshape(frames * batch, -1))  # (N B, H)
        x = torch.tanh(self.bn1(x)).view(frames, batch, -1)  # (N, B, H)
        around, state = self.along_time(x, state)  # (N, B, H)
        return torch.cat([x, around], dim=-1), state  # skip connection, (N, B, 2 H)

    def along_time(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """What every frame learns from the others: (N, B, H) to (N, B, H), and the next state."""
        stepwise = state is not None and len(x) <= STEPWISE_MAX_FRAMES
        if stepwise and x.device.type == "cpu" and not self.training:
            return _frame_by_frame(self.lstm, x, state)
        return self.lstm(x, state)


class OpenUnmix(Core, Model):
    """Magnitude spectrogram of a mixture in, magnitude of one target out.

    Parameters
    ----------
    target : str
        The stem that the network estimates.
    hidden : int
        Width of the bottleneck; each direction of the LSTM has half of it.
    layers : int
        Number of LSTM layers.
    n_fft, hop : int
        STFT window and hop, in samples.
    sample_rate, channels : int
        The audio that the network is for.
    bandwidth : float
        The network sees the bins up to this frequency (Hz), but scales all.
    unidirectional : bool
        An LSTM that only looks back, for online use (see `stream`).
    dropout : float
        Between the LSTM layers, in training.
    loss : {"mse", "l1", "dual", "nmse"}
        What training minimises. ``"mse"`` and ``"l1"`` compare magnitudes.
        ``"dual"`` is 0.9 times the magnitude MSE plus 0.1 times the MSE of
        the waveforms, the estimate's with the mixture's phase. ``"nmse"``
        divides each example's squared error by the energy of its target
        (plus a tenth of the mixture's, so that silence weighs little): the
        loss of the student recipe.

    Notes
    -----
    Weights carry the names of the published files, which load unchanged
    (`load_published`). B, C, T: batch, channels, samples; F, N: bins,
    frames; K = bins seen by the network; H = hidden.
    """

    name = "open-unmix"
    card = ModelCard(
        paper="Stöter et al., JOSS 4 (41), 2019",
        domain=MAGNITUDE,
        parameters=8_893_348,
        sizes=SIZES,
        recipes={"student": {}, "paper": {}},
    )
    losses = ("mse", "l1", "dual", "nmse")
    estimates_magnitude = True
    stft: STFT

    def __init__(
        self,
        target: str = "vocals",
        hidden: int = 512,
        layers: int = 3,
        n_fft: int = 4096,
        hop: int = 1024,
        sample_rate: int = 44100,
        channels: int = 2,
        bandwidth: float = 16000,
        unidirectional: bool = False,
        dropout: float = 0.4,
        loss: str = "mse",
    ):
        super().__init__(locals())
        self.unidirectional, self.min_samples, self.step = unidirectional, n_fft, hop
        self.bins = n_fft // 2 + 1
        self.bins_seen = min(self.bins, int(bandwidth * n_fft / sample_rate) + 1)
        inputs, outputs = self.bins_seen * channels, self.bins * channels
        self.add_core(inputs, outputs, hidden, layers, unidirectional, dropout)
        self.stft = STFT(n_fft, hop, center=True)
        # The authors train without padding at the edges, so no frame holds made-up samples.
        self.training_stft = STFT(n_fft, hop, center=False)

        self.input_mean = nn.Parameter(torch.zeros(self.bins_seen))
        self.input_scale = nn.Parameter(torch.ones(self.bins_seen))
        self.output_mean = nn.Parameter(torch.ones(self.bins))
        self.output_scale = nn.Parameter(torch.ones(self.bins))

    def magnitude(self, mixture: Tensor) -> Tensor:
        """Estimate the target's magnitude.

        Parameters
        ----------
        mixture : Tensor
            Magnitude of the mixture, (B, C, F, N).

        Returns
        -------
        Tensor
            The target's magnitude, (B, C, F, N), never negative.
        """
        return self.stream(mixture)[0]

    def stream(self, mixture: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As `magnitude`, carrying the LSTM's state from block to block.

        With ``unidirectional=True``, blocks of frames in turn give what one
        pass over all frames gives.

        Parameters
        ----------
        mixture : Tensor
            (B, C, F, N) magnitude of this block.
        state : tuple of Tensor, optional
            What the block before returned.

        Returns
        -------
        estimate : Tensor
            (B, C, F, N)
        state : tuple of Tensor
        """
        if state is not None and not self.unidirectional:
            raise SepkitError(
                "only a model built with unidirectional=True can be streamed; this one looks ahead"
            )
        batch, channels, bins, frames = mixture.shape
        if (channels, bins) != (self.channels, self.bins):
            raise SepkitError(
                f"Open-Unmix was built for {self.channels} channel(s) and {self.bins} bins; "
                f"the spectrogram has {channels} and {bins}"
            )
        x = self.standardised(mixture)  # (N, B, C, K)
        x, state = self.core(x.flatten(2), state)  # (N, B, C F)
        x = x.unflatten(2, (channels, bins))  # (N, B, C, F)
        mask = torch.relu(x * self.output_scale + self.output_mean)  # (N, B, C, F)
        return mask.permute(1, 2, 3, 0) * mixture, state  # (B, C, F, N)

    def standardised(self, mixture: Tensor) -> Tensor:
        """What the network sees of a mixture's magnitude: (B, C, F, N) to (N, B, C, K)."""
        x = mixture.permute(3, 0, 1, 2)  # (N, B, C, F)
        x = x[..., : self.bins_seen]  # (N, B, C, K)
        return (x + self.input_mean) * self.input_scale  # (N, B, C, K)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate: the magnitude estimate with the mixture's phase, see `Model.forward`."""
        self.check(mixture)
        padded = self.pad(mixture)  # (B, C, T), at least one window
        spectrum = self.stft(padded)  # (B, C, F, N), complex
        estimate = self.magnitude(_magnitude(spectrum))  # (B, C, F, N)
        estimate = with_phase(estimate, spectrum)  # (B, C, F, N), complex
        return self.stft.inverse(estimate, padded.shape[-1])[..., : mixture.shape[-1]]

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, a scalar; see the class for the choices.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T), with T at least `n_fft`.
        """
        self.check_target(mixture, target)
        stft = self.stft if self.loss_name == "dual" else self.training_stft
        spectrum = stft(mixture)  # (B, C, F, N), complex
        magnitude, target_magnitude = _magnitude(spectrum), _magnitude(stft(target))  # (B, C, F, N)
        estimate = self.magnitude(magnitude)  # (B, C, F, N)
        if self.loss_name != "dual":
            return LOSSES[self.loss_name](estimate[:, None], target_magnitude[:, None], magnitude)
        waveform = stft.inverse(with_phase(estimate, spectrum), mixture.shape[-1])  # (B, C, T)
        spectral = mse(estimate, target_magnitude, magnitude)
        return 0.9 * spectral + 0.1 * mse(waveform, target, mixture)

    @torch.no_grad()
    def fit_input(self, mixtures: Iterable[Tensor]) -> None:
        """Set the input standardisation from training mixtures.

        Mean and deviation of each bin over all frames of the mixtures'
        magnitudes, averaged over the channels; deviations are floored at
        1e-4 of the largest.

        Parameters
        ----------
        mixtures : iterable of Tensor
            (C, T) each.
        """
        device = self.input_mean.device
        total = squares = torch.zeros(self.bins, dtype=torch.float64)
        frames = 0
        for mixture in mixtures:
            magnitude = self.stft(mixture.to(device)).abs().mean(-3).double().cpu()  # (F, N)
            total, squares = total + magnitude.sum(-1), squares + magnitude.square().sum(-1)
            frames += magnitude.shape[-1]
        if not frames:
            raise SepkitError("no training mixtures to take the input statistics from")
        mean = total / frames
        deviation = (squares / frames - mean.square()).clamp_min(0).sqrt()
        if deviation.max() == 0:
            raise SepkitError("the training mixtures are silent; check the data set")
        deviation = deviation.clamp_min(1e-4 * deviation.max())
        self.input_mean.copy_(-mean[: self.bins_seen])
        self.input_scale.copy_(1 / deviation[: self.bins_seen])

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """The weights of one target, from the authors' file for it or for a whole separator."""
        prefix = f"target_models.{self.targets[0]}."
        if any(key.startswith("target_models.") for key in state):
            state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
        # STFT windows and the rate travel with some published files; here they are settings.
        return {k: v for k, v in state.items() if k != "sample_rate" and not k.endswith("window")}


def _frame_by_frame(lstm, x, state):
    """What ``lstm(x, state)`` gives, for an LSTM that looks back."""
    out, (h, c) = [], (list(part) for part in state)  # a layer each, (B, H)
    for frame in x:  # (B, H)
        for layer, weights in enumerate(lstm.all_weights):
            h[layer], c[layer] = torch.lstm_cell(frame, (h[layer], c[layer]), *weights)
            frame = h[layer]
        out.append(frame)
    return torch.stack(out), (torch.stack(h), torch.stack(c))


def _magnitude(spectrum):
    """``spectrum.abs()``, bit for bit, in a third of the time on a CPU; not for gradients."""
    return torch.hypot(spectrum.real, spectrum.imag)


def with_phase(magnitude: Tensor, mixture: Tensor) -> Tensor:
    """`magnitude` with the phase of `mixture`; 0 where the mixture is silent and has no phase."""
    return mixture * (magnitude / mixture.abs().clamp_min(1e-12))
