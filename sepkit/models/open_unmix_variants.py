"""Two variants of Open-Unmix, as this kit reads a student report that named them.

George, Li, Min and Seong, "Singing Vocal Source Separation with Deep Neural Networks"
(Georgia Tech), put a transformer in the LSTM's place (its section 2.3), and joined
Open-Unmix with Wave-U-Net to separate in the time domain (2.2). The report gives no sizes,
and its figures and code are not public: all numbers here are the kit's choice.
Its scores are "N/A"; `sepkit experiment variants` measures them (chapter 12). Chapter 09 takes the
second apart.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..validation import optional
from .base import MAGNITUDE, WAVEFORM, ModelCard
from .open_unmix import Core, OpenUnmix
from .settings import WIDTH
from .wave_u_net import WaveUNet
from .waveform import STUDENT_RECIPE

NO_RECIPE = "one to follow: the report has none"
REPORT = "this kit's reading of a student report (S3.1 in sepkit/assets/reported)"


class OpenUnmixTransformer(OpenUnmix):
    """Open-Unmix with a transformer in the LSTM's place: every frame attends to every other.

    Parameters
    ----------
    target, hidden, n_fft, hop, sample_rate, channels, bandwidth, loss
        As in `OpenUnmix`.
    layers : int
        Transformer layers, for as many of the LSTM.
    heads : int
        Of the attention; they share the `hidden` features among them.
    feedforward : int, optional
        Width inside a layer's second half; ``4 * hidden`` by default, as in the paper.
    dropout : float
        Of what each half of a layer adds, in training.

    Raises
    ------
    SepkitError
        If the heads do not divide `hidden`.

    Notes
    -----
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, encoder, with the sines and
    cosines of its section 3.5 as positions. The norms stand before each half of a layer
    (Xiong et al., ICML 2020): such a network trains without a warm-up of the learning rate,
    which the recipe of Open-Unmix does not have.

    The multiplications grow with the square of the number of frames. The memory does not:
    `scaled_dot_product_attention` works through the frames in blocks, since there is no
    dropout of the attention's weights. See tests/bench/bench_realtime.py.
    """

    name = "open-unmix-transformer"
    card = ModelCard(
        paper=REPORT,
        domain=MAGNITUDE,
        parameters=13_620_644,
        # for one CPU core, at 44.1 kHz: 1.5 million parameters
        sizes={"student": dict(hidden=128, heads=4)},
        recipes={"student": {}},
        lacking=NO_RECIPE,
    )
    kinds = {"heads": WIDTH, "feedforward": optional(WIDTH)}

    def __init__(
        self,
        target: str = "vocals",
        hidden: int = 512,
        layers: int = 3,
        heads: int = 8,
        feedforward: int | None = None,
        n_fft: int = 4096,
        hop: int = 1024,
        sample_rate: int = 44100,
        channels: int = 2,
        bandwidth: float = 16000,
        dropout: float = 0.1,
        loss: str = "mse",
    ):
        if heads < 1 or hidden % heads:
            raise SepkitError(f"heads={heads}: a number that divides hidden={hidden} was expected")
        super().__init__(
            target=target,
            hidden=hidden,
            layers=1,
            n_fft=n_fft,
            hop=hop,
            sample_rate=sample_rate,
            channels=channels,
            bandwidth=bandwidth,
            dropout=dropout,
            loss=loss,
        )
        feedforward = 4 * hidden if feedforward is None else feedforward
        self.settings.update(layers=layers, heads=heads, feedforward=feedforward)
        # The LSTM was only made so that a seed gives the other layers the weights it always gave.
        del self.settings["unidirectional"], self.lstm
        self.transformer = nn.ModuleList(
            TransformerLayer(hidden, heads, feedforward, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)

    def along_time(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Every frame attends to all others: (N, B, H) to the same, and no state."""
        x = x.transpose(0, 1)  # (B, N, H)
        x = x + positions(x.shape[1], x.shape[2]).to(x)
        for layer in self.transformer:
            x = layer(x)  # (B, N, H)
        return self.norm(x).transpose(0, 1), ()  # (N, B, H); no state to go on with


class TransformerLayer(nn.Module):
    """Attention among frames, then two linear layers for each frame; both add to the input."""

    def __init__(self, hidden, heads, feedforward, dropout):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.linear1, self.linear2 = nn.Linear(hidden, feedforward), nn.Linear(feedforward, hidden)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, H) to the same."""
        x = x + self.dropout(self.attention(self.norm1(x)))  # (B, N, H)
        inner = self.dropout(torch.relu(self.linear1(self.norm2(x))))  # (B, N, feedforward)
        return x + self.dropout(self.linear2(inner))  # (B, N, H)

    def attention(self, x: Tensor) -> Tensor:
        """Each frame's mean of all frames, weighted by softmax(q k / sqrt(d)), d = H / heads."""
        x = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, N, 3, heads, d)
        q, k, v = x.permute(2, 0, 3, 1, 4)  # (B, heads, N, d) each
        mean = nn.functional.scaled_dot_product_attention(q, k, v)  # (B, heads, N, d)
        return self.out(mean.transpose(1, 2).flatten(2))  # (B, N, H)


def positions(frames: int, width: int) -> Tensor:
    """Sines and cosines of wavelengths from 2 pi to 10000 * 2 pi frames, (frames, width).

    Vaswani et al., section 3.5.
    """
    slower = 10000.0 ** (-torch.arange(0, width, 2) / width)  # (H / 2,)
    angle = torch.arange(frames)[:, None] * slower  # (N, H / 2)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)  # (N, H)


class OpenUnmixWaveform(WaveUNet):
    """Open-Unmix between the encoder and the decoder of a Wave-U-Net: waveform in, waveform out.

    The encoder takes the place of the STFT, the decoder that of its inverse. Where the
    Wave-U-Net turns round, Open-Unmix (from its first linear layer to its last, the LSTM
    between) sees the encoder's features as it else sees magnitudes, and scales them.

    Parameters
    ----------
    target, targets
        As in `WaveUNet`, but vocals by default.
    hidden, layers, unidirectional, dropout
        Of Open-Unmix, as there.
    levels, filters, kernel, merge_kernel, upsampling, context, output, activation, segment, loss
        Of `WaveUNet`, as there. By default 10 levels: the LSTM then takes a step every 1024
        samples, as in Open-Unmix.
    sample_rate, channels : int
        The audio that the network is for. The report trained at a lower rate.

    Notes
    -----
    Without the LSTM's part, it is a Wave-U-Net. The decoder also sees the encoder's features
    of all finer levels, which no mask scales: it is more than an analysis and its synthesis.
    """

    name = "open-unmix-waveform"
    card = ModelCard(
        paper=REPORT,
        domain=WAVEFORM,
        parameters=11_709_886,
        # for one CPU core, at 44.1 kHz: 1.0 million parameters
        sizes={"student": dict(hidden=128, filters=8, dropout=0.1)},
        recipes={"student": STUDENT_RECIPE},
        lacking=NO_RECIPE,
    )

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        hidden: int = 512,
        layers: int = 3,
        levels: int = 10,
        filters: int = 24,
        kernel: int = 15,
        merge_kernel: int = 5,
        upsampling: str = "linear",
        context: bool = False,
        output: str = "direct",
        activation: str = "linear",
        unidirectional: bool = False,
        dropout: float = 0.4,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = None,
        loss: str = "mse",
    ):
        target = "vocals" if target is None and targets is None else target
        super().__init__(
            target=target,
            targets=targets,
            levels=levels,
            filters=filters,
            kernel=kernel,
            merge_kernel=merge_kernel,
            upsampling=upsampling,
            context=context,
            output=output,
            activation=activation,
            sample_rate=sample_rate,
            channels=channels,
            segment=segment,
            loss=loss,
        )
        self.settings.update(
            hidden=hidden, layers=layers, unidirectional=unidirectional, dropout=dropout
        )
        self.middle = Scaled(self.middle, hidden, layers, unidirectional, dropout)


class Scaled(Core, nn.Module):
    """A convolution whose outputs Open-Unmix scales.

    Scales are never negative, so they commute with the leaky ReLU after it.
    """

    def __init__(self, convolution, hidden, layers, unidirectional, dropout):
        super().__init__()
        width = convolution.out_channels
        self.add_core(width, width, hidden, layers, unidirectional, dropout)
        self.convolution = convolution
        self.output_scale = nn.Parameter(torch.ones(width))
        self.output_mean = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, N) to (B, W, N)."""
        x = self.convolution(x)  # (B, W, N)
        scale, _ = self.core(x.permute(2, 0, 1))  # (N, B, W)
        scale = torch.relu(scale * self.output_scale + self.output_mean)  # (N, B, W)
        return x * scale.permute(1, 2, 0)  # (B, W, N)
