"""ResUNet: a deep residual U-Net that estimates magnitude and phase apart.

Kong, Cao, Liu, Choi and Wang, "Decoupling Magnitude and Phase Estimation with
Deep ResUNet for Music Source Separation", ISMIR 2021 (arXiv 2109.05418). Three
networks share the code: the paper's, one that first splits the audio into four
bands (Liu, Xie, Wu and Yang, "Channel-wise Subband Input for Better Voice and
Accompaniment Separation on High Resolution Music", Interspeech 2020), and one a
three-hundredth of the size. Chapter 05 takes them apart.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..stft import STFT
from ..validation import Switch
from .base import SPECTROGRAM, Model, ModelCard
from .pqmf import PQMF
from .resunet_published import renamed

PAPER = "Kong et al., ISMIR 2021, arXiv 2109.05418"
#: Maps that the network gives for each bin: mask, the two components of the phase shift, addition.
MAPS = 4
#: Least magnitude, whose square is the authors' 1e-10: where the mixture is fainter, its phase
#: means nothing.
MAGNITUDE_FLOOR = 1e-5
#: Settings of resunet-subbandtime by size. "student" is for training on one CPU core in 20 minutes:
#: 0.7 million parameters; a step of two chunks of 3 s takes 0.4 s there
#: (tests/bench/bench_resunet.py), nearly half of what the authors' hop would take.
SIZES: dict[str, dict[str, Any]] = {
    "student": dict(widths=(16, 24, 32, 48, 64, 64), blocks=1, bottleneck=1, hop=220, momentum=0.1)
}
#: Changes of `sepkit.training.STUDENT`. In trials of 200 steps, Adam at 3e-3 silenced the network
#: for good (relu(|M| |X| + Q) has no slope below 0), at 5e-4 not.
STUDENT_RECIPE = dict(batch=4, lr=1e-3, clip=5.0, max_steps=1200)
#: Kong et al. 2021, 10,000 steps per epoch of MUSDB18's 86 songs. Target and accompaniment come
#: from songs of their own; "mix-audio" adds up two segments of each.
PAPER_RECIPE = dict(
    batch=16,
    chunk_seconds=3.0,
    samples_per_track=1860,
    mix_of="accompaniment",
    mix_audio=2,
    gains=None,
    swap=0.0,
    lr=1e-3,
    weight_decay=0.0,
    amsgrad=True,
    schedule="steps",
    decay=0.9,
    decay_every=15_000,
    warm_up=1000,
    patience=1000,
    max_steps=500_000,
)


def decoupled(mixture: Tensor, mask: Tensor, shift: Tensor, addition: Tensor) -> Tensor:
    """An estimate from its magnitude and phase, each made from the mixture's.

        |Y| = relu(|M| |X| + Q),    angle Y = angle X + angle M

    (the paper's section 3). A mask alone can neither leave the mixture's phase nor,
    bounded by 1, exceed its magnitude: the phase shift and the addition do that.

    Parameters
    ----------
    mixture : complex Tensor
        X, any shape.
    mask : Tensor
        |M|, 0 to 1, of the same shape.
    shift : complex Tensor
        exp(i angle M): numbers of magnitude 1, of the same shape.
    addition : Tensor
        Q, of the same shape, in the units of |X|.

    Returns
    -------
    complex Tensor
        Y. With mask 1, shift 1 and addition 0 it is X. Silent where X is 0, which has no phase.
    """
    magnitude = _magnitude(mixture)
    return torch.relu(magnitude * mask + addition) * (mixture / magnitude) * shift


class PreActivated(nn.Module):
    """Normalisation and leaky ReLU before a convolution without bias that keeps the size."""

    def __init__(self, inputs, outputs, kernel, momentum, groups=1):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs, momentum=momentum)
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, N, F) to (B, W, N, F)."""
        return self.conv(nn.functional.leaky_relu(self.norm(x), 0.01, inplace=True))


class Residual(nn.Module):
    """Layers that add to their input, which a 1x1 convolution adapts where the widths differ."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        inputs, outputs = layers[0].conv.in_channels, layers[-1].conv.out_channels
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, N, F) to (B, W, N, F)."""
        return self.shortcut(x) + self.layers(x)


class Encoder(nn.Module):
    """A stage, and its output averaged over `pool` (frames, bins)."""

    def __init__(self, stage, pool):
        super().__init__()
        self.stage, self.pool = stage, pool

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, V, N, F) to (B, W, N / 2, F / 2), and (B, W, N, F) for the decoder."""
        x = self.stage(x)
        return nn.functional.avg_pool2d(x, self.pool), x


class Decoder(nn.Module):
    """Enlarge, put the encoder's output beside it, and a stage."""

    def __init__(self, norm, slope, up, stage):
        super().__init__()
        self.norm, self.slope, self.up, self.stage = norm, slope, up, stage

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, V, N / 2, F / 2) and (B, W, N, F) to (B, W, N, F)."""
        x = self.up(nn.functional.leaky_relu(self.norm(x), self.slope, inplace=True))
        return self.stage(torch.cat([x, skip], 1))


def residual(inputs: int, outputs: int, momentum: float) -> Residual:
    """Two 3x3 convolutions."""
    return Residual(
        PreActivated(inputs, outputs, 3, momentum), PreActivated(outputs, outputs, 3, momentum)
    )


def separable(inputs: int, outputs: int, momentum: float) -> Residual:
    """A 3x3 convolution of each map alone, between two that mix the maps."""
    return Residual(
        PreActivated(inputs, outputs, 1, momentum),
        PreActivated(outputs, outputs, 3, momentum, groups=outputs),
        PreActivated(outputs, outputs, 1, momentum),
    )


def transposed(inputs: int, outputs: int, factors: tuple[int, int]) -> nn.Module:
    """Enlarge by learned patches that do not overlap."""
    return nn.ConvTranspose2d(inputs, outputs, factors, stride=factors, bias=False)


def nearest(inputs: int, outputs: int, factors: tuple[int, int]) -> nn.Module:
    """Mix the maps, then repeat each value; the authors do it the other way round, which equals."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.Upsample(scale_factor=factors)
    )


def initialise(module: nn.Module) -> None:
    """As the authors: Xavier's uniform weights, no bias; normalisations start as PyTorch's do."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ResUNet(Model):
    """What the three networks have in common; build one of those.

    Parameters
    ----------
    target : str
        The stem that the network estimates.
    widths : sequence of int
        Feature maps of the encoder's stages. The decoder mirrors them. Each stage but
        the last halves frames and bins, the last only the bins.
    blocks : int
        Residual blocks of a stage.
    bottleneck : int
        Stages between encoder and decoder, as wide as the last.
    n_fft, hop : int
        STFT window and hop, in samples (of a band, where there are bands).
    sample_rate, channels : int
        The audio that the network is for.
    momentum : float
        Of the normalisation's running statistics.
    phase, addition : bool
        False leaves the mixture's phase, or adds nothing to the magnitude: the paper's
        steps on the way to all three, for comparison. The head's maps stay, unused.
    loss : {"l1", "nmse"}
        What training minimises: the paper's, or one for small networks and short trainings;
        see `sepkit.models.losses`.
    bands : int
        Bands that a `PQMF` makes of the audio; 1: none.
    block : callable
        ``block(inputs, outputs, momentum)`` makes a residual block.
    up : callable
        ``up(inputs, outputs, factors)`` makes the layer that enlarges.
    decoder_slope : float
        For negative values before that layer.

    Notes
    -----
    B, C, T: batch, channels, samples; K: bands; F, N: bins, frames; W: feature maps.
    The network has BatchNorm: in training, examples of a batch influence each other,
    in evaluation they do not.
    """

    losses = ("l1", "nmse")
    kinds = {"phase": Switch(), "addition": Switch()}
    stft: STFT

    def __init__(
        self,
        arguments: Mapping[str, Any],
        bands: int,
        block: Callable[[int, int, float], nn.Module],
        up: Callable[[int, int, tuple[int, int]], nn.Module],
        decoder_slope: float,
    ):
        super().__init__(arguments)
        settings = self.settings
        widths, blocks, momentum = settings["widths"], settings["blocks"], settings["momentum"]
        n_fft, hop, bottleneck = settings["n_fft"], settings["hop"], settings["bottleneck"]
        self.phase, self.addition = settings["phase"], settings["addition"]
        if not widths or min(widths) < 1 or blocks < 1:
            raise SepkitError(
                f"widths={widths}, blocks={blocks}: expected at least one width and block, each "
                "of 1 or more"
            )
        multiple = 2 ** (len(widths) + 1)
        if n_fft % multiple:
            raise SepkitError(
                f"n_fft={n_fft}: {len(widths)} stages halve the bins, so a multiple of {multiple} "
                "was expected"
            )
        self.bands, self.min_samples, self.step = bands, n_fft * bands, hop
        self.stft = STFT(n_fft, hop)
        if bands > 1:
            self.pqmf = PQMF(bands)

        def stage(inputs, outputs):
            return nn.Sequential(
                *(block(i, outputs, momentum) for i in [inputs] + [outputs] * (blocks - 1))
            )

        pools = [(2, 2)] * (len(widths) - 1) + [(1, 2)]  # (frames, bins)
        self.frame_multiple = 2 ** (len(widths) - 1)
        self.input_norm = nn.BatchNorm2d(self.stft.bins, momentum=momentum)
        inputs = [self.channels * bands, *widths[:-1]]
        self.encoder = nn.ModuleList(
            Encoder(stage(i, o), pool) for i, o, pool in zip(inputs, widths, pools)
        )
        self.bottleneck = nn.Sequential(*(stage(widths[-1], widths[-1]) for _ in range(bottleneck)))
        self.decoder = nn.ModuleList(
            Decoder(
                nn.BatchNorm2d(i, momentum=momentum), decoder_slope, up(i, o, pool), stage(2 * o, o)
            )
            for i, o, pool in zip(
                [widths[-1], *reversed(widths[1:])], reversed(widths), reversed(pools)
            )
        )
        self.last = stage(widths[0], widths[0])
        self.head = nn.Conv2d(widths[0], self.channels * MAPS * bands, 1)
        self.apply(initialise)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate, see `Model.forward`."""
        spectrum, samples = self._spectrum(mixture)  # (B, C, K, N, F)
        estimate = self._estimate(spectrum, *self._maps(spectrum))  # (B, C, K, N, F)
        parts = self.stft.inverse(estimate.transpose(-1, -2), samples)  # (B, C, K, about T / K)
        return self.pqmf.synthesis(parts, mixture.shape[-1]) if self.bands > 1 else parts.squeeze(2)

    @torch.no_grad()
    def maps(self, mixture: Tensor) -> dict[str, Tensor]:
        """What the network decides for one mixture or several, for a look at it.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T)

        Returns
        -------
        dict of str to Tensor (B, C, K, F - 1, N)
            ``"mixture"``: X, complex. ``"mask"``: |M|. ``"phase"``: angle M, in radians,
            -pi to pi. ``"addition"``: Q. ``"estimate"``: Y, complex. Without the top bin, which
            is always silent in the estimate. With bands, the odd ones run from high to low
            frequencies (see `PQMF`).
        """
        spectrum, _ = self._spectrum(mixture)  # (B, C, K, N, F)
        mask, shift, addition = self._maps(spectrum)  # (B, C, K, N, F - 1) each
        estimate = self._estimate(spectrum, mask, shift, addition)  # (B, C, K, N, F)
        maps = {
            "mixture": spectrum,
            "mask": mask,
            "phase": shift.angle(),
            "addition": addition,
            "estimate": estimate,
        }
        return {
            name: values[..., : mask.shape[-1]].transpose(-1, -2) for name, values in maps.items()
        }

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of the authors under the names of this class."""
        return renamed(state, self)

    def _spectrum(self, mixture):
        """The STFT of each band, (B, C, K, N, F), and how many samples a band has."""
        self.check(mixture)
        if self.bands > 1:
            parts = self.pqmf.analysis(mixture)  # (B, C, K, about T / K)
        else:
            parts = mixture.unsqueeze(2)  # (B, C, 1, T)
        return self.stft(parts).transpose(-1, -2), parts.shape[-1]

    def _maps(self, spectrum):
        """Mask, phase shift and addition, each (B, C, K, N, F - 1)."""
        frames = spectrum.shape[-2]
        x = self._unet(_magnitude(spectrum).flatten(1, 2))[:, :, :frames]  # (B, 4 C K, N, F - 1)
        x = x.to(spectrum.real.dtype)  # the rest of mixed precision
        x = x.unflatten(1, (self.channels, MAPS, self.bands))  # (B, C, 4, K, N, F - 1)
        mask, cosine, sine, addition = x.unbind(2)  # (B, C, K, N, F - 1) each
        addition = torch.tanh(addition) if self.bands > 1 else addition
        addition = addition if self.addition else 0 * addition
        return torch.sigmoid(mask), self._shift(cosine, sine), addition

    def _shift(self, cosine, sine):
        """Numbers of magnitude 1 in the direction of tanh(cosine) + i tanh(sine)."""
        if not self.phase:
            return torch.ones_like(cosine) + 0j
        cosine, sine = torch.tanh(cosine), torch.tanh(sine)
        power = cosine * cosine + sine * sine
        length = power.clamp_min(1e-20).sqrt()  # clamped first: sqrt has no slope at 0
        return torch.complex(cosine / length, sine / length)

    def _estimate(self, spectrum, mask, shift, addition):
        """(B, C, K, N, F): the top bin, of which the network knows nothing, is silent."""
        return nn.functional.pad(decoupled(spectrum[..., :-1], mask, shift, addition), (0, 1))

    def _unet(self, magnitude):
        """(B, C K, N, F) to (B, 4 C K, N', F - 1), N' being N rounded up to what can be halved."""
        x = self.input_norm(magnitude.transpose(1, 3))  # each bin standardised, (B, F, N, C K)
        x = x.transpose(1, 3)[..., :-1]  # without the top bin, (B, C K, N, F - 1)
        more = -x.shape[2] % self.frame_multiple
        x = nn.functional.pad(x, (0, 0, 0, more))  # (B, C K, N', F - 1)
        skips = []
        for stage in self.encoder:
            x, skip = stage(x)  # (B, W, N' / 2, F / 2) and (B, W, N', F), and so on
            skips.append(skip)
        x = self.bottleneck(x)  # (B, W, N' / 32, F / 64)
        for stage in self.decoder:
            x = stage(x, skips.pop())  # (B, W, N' / 32, F / 32), and so on
        return self.head(self.last(x))  # (B, 4 C K, N', F - 1)


class ResUNetISMIR2021(ResUNet):
    """The paper's network: 143 layers, 102.6 million parameters, all frequencies at once.

    See `ResUNet` for the parameters; the defaults are the paper's.
    """

    name = "resunet-ismir2021"
    card = ModelCard(
        paper=PAPER, domain=SPECTROGRAM, parameters=102_571_278, recipes={"paper": PAPER_RECIPE}
    )

    def __init__(
        self,
        target: str = "vocals",
        widths: Sequence[int] = (32, 64, 128, 256, 384, 384),
        blocks: int = 4,
        bottleneck: int = 4,
        n_fft: int = 2048,
        hop: int = 441,
        sample_rate: int = 44100,
        channels: int = 2,
        momentum: float = 0.01,
        phase: bool = True,
        addition: bool = True,
        loss: str = "l1",
    ):
        super().__init__(locals(), 1, residual, transposed, decoder_slope=0.0)


class ResUNetSubbandtime(ResUNet):
    """As the paper's network, on four bands of a quarter of the sample rate: a fifth of the work.

    See `ResUNet` for the parameters; the defaults are the authors'. The addition
    is a tanh here.
    """

    name = "resunet-subbandtime"
    card = ModelCard(
        paper=PAPER,
        domain=SPECTROGRAM,
        parameters=102_572_466,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE, "paper": PAPER_RECIPE},
    )

    def __init__(
        self,
        target: str = "vocals",
        widths: Sequence[int] = (32, 64, 128, 256, 384, 384),
        blocks: int = 4,
        bottleneck: int = 4,
        n_fft: int = 512,
        hop: int = 110,
        sample_rate: int = 44100,
        channels: int = 2,
        momentum: float = 0.01,
        phase: bool = True,
        addition: bool = True,
        loss: str = "l1",
    ):
        super().__init__(locals(), 4, residual, transposed, decoder_slope=0.0)


class ResUNetMobileNet(ResUNet):
    """Subbandtime with separable convolutions and few feature maps: 0.3 million parameters.

    See `ResUNet` for the parameters; the defaults are the authors'. (Their code
    mixes momenta of 0.1, in the stages, and 0.01.)
    """

    name = "resunet-mobilenet"
    card = ModelCard(
        paper=PAPER, domain=SPECTROGRAM, parameters=306_418, recipes={"paper": PAPER_RECIPE}
    )

    def __init__(
        self,
        target: str = "vocals",
        widths: Sequence[int] = (32, 64, 64, 64, 64, 64),
        blocks: int = 2,
        bottleneck: int = 1,
        n_fft: int = 512,
        hop: int = 110,
        sample_rate: int = 44100,
        channels: int = 2,
        momentum: float = 0.1,
        phase: bool = True,
        addition: bool = True,
        loss: str = "l1",
    ):
        super().__init__(locals(), 4, separable, nearest, decoder_slope=0.01)


def _magnitude(spectrum):
    real, imaginary = spectrum.real, spectrum.imag
    return (real * real + imaginary * imaginary).clamp_min(MAGNITUDE_FLOOR**2).sqrt()
