"""ResUNet: a deep residual U-Net that estimates magnitude and phase apart.

Kong, Cao, Liu, Choi and Wang, "Decoupling Magnitude and Phase Estimation with
Deep ResUNet for Music Source Separation", ISMIR 2021 (arXiv 2109.05418). Three
networks share the code: the paper's, one that first splits the audio into four
bands (Liu, Xie, Wu and Yang, "Channel-wise Subband Input for Better Voice and
Accompaniment Separation on High Resolution Music", Interspeech 2020), and one a
three-hundredth of the size. Chapter 05 takes them apart.
"""

import torch
from torch import nn

from ..errors import SepkitError, unknown
from ..stft import STFT
from .checkpoints import fill
from .pqmf import PQMF
from .resunet_layers import Decoder, Encoder, initialise, nearest, residual, separable, transposed
from .resunet_published import renamed
from .waveform import waveform_loss

LOSSES = ("l1", "nmse")
#: Maps that the network gives for each bin: mask, the two components of the phase shift, addition.
MAPS = 4
#: Least magnitude, whose square is the authors' 1e-10: where the mixture is fainter, its phase means nothing.
FAINT = 1e-5
#: Settings of resunet-subbandtime for training on one CPU core in 20 minutes: 0.7 million parameters; a step of two
#: chunks of 3 s takes 0.4 s there (tests/bench/bench_resunet.py), nearly half of what the authors' hop would take.
#: In trials of 200 steps, Adam at 3e-3 silenced it for good (relu(|M| |X| + Q) has no slope below 0), at 5e-4 not.
STUDENT_MODEL = dict(widths=(16, 24, 32, 48, 64, 64), blocks=1, bottleneck=1, hop=220, momentum=0.1)


def decoupled(mixture, mask, shift, addition):
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


class ResUNet(nn.Module):
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
        see `sepkit.models.waveform.waveform_loss`.
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

    def __init__(
        self,
        target,
        widths,
        blocks,
        bottleneck,
        n_fft,
        hop,
        sample_rate,
        channels,
        momentum,
        phase,
        addition,
        loss,
        *,
        bands,
        block,
        up,
        decoder_slope,
    ):
        super().__init__()
        widths = [int(width) for width in widths]
        if not widths or min(widths) < 1 or blocks < 1:
            raise SepkitError(
                f"widths={widths}, blocks={blocks}: expected at least one width and block, each of 1 or more"
            )
        if n_fft % 2 ** (len(widths) + 1):
            raise SepkitError(
                f"n_fft={n_fft}: {len(widths)} stages halve the bins, so a multiple of {2 ** (len(widths) + 1)} was expected"
            )
        self.settings = dict(
            target=target,
            widths=widths,
            blocks=blocks,
            bottleneck=bottleneck,
            n_fft=n_fft,
            hop=hop,
            sample_rate=sample_rate,
            channels=channels,
            momentum=momentum,
            phase=phase,
            addition=addition,
        )
        self.set_loss(loss)
        self.sample_rate, self.channels, self.targets = sample_rate, channels, (target,)
        self.bands, self.window = bands, n_fft * bands
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
        inputs = [channels * bands, *widths[:-1]]
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
        self.head = nn.Conv2d(widths[0], channels * MAPS * bands, 1)
        self.apply(initialise)

    def set_loss(self, kind):
        """Choose what training minimises: the paper's ``"l1"``, or ``"nmse"`` for short trainings."""
        if kind not in LOSSES:
            raise unknown("loss", kind, LOSSES)
        self.settings["loss"] = kind

    def forward(self, mixture):
        """Separate.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T), any T from 1 up.

        Returns
        -------
        Tensor
            The target, (B, C, T).

        Raises
        ------
        SepkitError
            If the mixture is empty, or has another number of channels.
        """
        spectrum, samples = self._spectrum(mixture)  # (B, C, K, N, F)
        estimate = self._estimate(spectrum, *self._maps(spectrum))  # (B, C, K, N, F)
        parts = self.stft.inverse(estimate.transpose(-1, -2), samples)  # (B, C, K, about T / K)
        return self.pqmf.synthesis(parts, mixture.shape[-1]) if self.bands > 1 else parts.squeeze(2)

    def loss(self, mixture, target):
        """Mean absolute error of the waveform, as in the paper; or another, see `sepkit.models.waveform.waveform_loss`.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T), with T at least one window.
        """
        if mixture.shape[-1] < self.window:
            raise SepkitError(
                f"chunks of {mixture.shape[-1]} samples are shorter than one window of {self.window}; use longer chunks"
            )
        return waveform_loss(
            self.settings["loss"], self(mixture)[:, None], target[:, None], mixture
        )

    @torch.no_grad()
    def maps(self, mixture):
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

    def load_published(self, state):
        """Take over weights of the authors: a state dict, or the ``{"model": state dict}`` of their files.

        Raises
        ------
        SepkitError
            Naming what is missing, left over or of another shape.
        """
        fill(self, renamed(state, self), "the published weights")

    def _spectrum(self, mixture):
        """The STFT of each band, (B, C, K, N, F), and how many samples a band has."""
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or mixture.numel() == 0:
            raise SepkitError(
                f"{self.name} was built for {self.channels} channel(s): got a mixture of shape {tuple(mixture.shape)}, "
                f"expected (batch, {self.channels}, samples)"
            )
        parts = (
            self.pqmf.analysis(mixture) if self.bands > 1 else mixture.unsqueeze(2)
        )  # (B, C, K, about T / K)
        return self.stft(parts).transpose(-1, -2), parts.shape[-1]

    def _maps(self, spectrum):
        """Mask, phase shift and addition, each (B, C, K, N, F - 1)."""
        frames = spectrum.shape[-2]
        x = self._unet(_magnitude(spectrum).flatten(1, 2))[:, :, :frames]  # (B, 4 C K, N, F - 1)
        x = x.to(spectrum.real.dtype)  # the rest of mixed precision
        x = x.unflatten(1, (self.channels, MAPS, self.bands))  # (B, C, 4, K, N, F - 1)
        mask, cosine, sine, addition = x.unbind(2)  # (B, C, K, N, F - 1) each
        addition = torch.tanh(addition) if self.bands > 1 else addition
        return (
            torch.sigmoid(mask),
            self._shift(cosine, sine),
            addition if self.settings["addition"] else 0 * addition,
        )

    def _shift(self, cosine, sine):
        """Numbers of magnitude 1 in the direction of tanh(cosine) + i tanh(sine)."""
        if not self.settings["phase"]:
            return torch.ones_like(cosine) + 0j
        cosine, sine = torch.tanh(cosine), torch.tanh(sine)
        length = (
            (cosine * cosine + sine * sine).clamp_min(1e-20).sqrt()
        )  # clamped first: sqrt has no slope at 0
        return torch.complex(cosine / length, sine / length)

    def _estimate(self, spectrum, mask, shift, addition):
        """(B, C, K, N, F): the top bin, of which the network knows nothing, is silent."""
        return nn.functional.pad(decoupled(spectrum[..., :-1], mask, shift, addition), (0, 1))

    def _unet(self, magnitude):
        """(B, C K, N, F) to (B, 4 C K, N', F - 1), N' being N rounded up to what can be halved."""
        x = self.input_norm(magnitude.transpose(1, 3))  # each bin standardised, (B, F, N, C K)
        x = x.transpose(1, 3)[..., :-1]  # without the top bin, (B, C K, N, F - 1)
        x = nn.functional.pad(
            x, (0, 0, 0, -x.shape[2] % self.frame_multiple)
        )  # (B, C K, N', F - 1)
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

    def __init__(
        self,
        target="vocals",
        widths=(32, 64, 128, 256, 384, 384),
        blocks=4,
        bottleneck=4,
        n_fft=2048,
        hop=441,
        sample_rate=44100,
        channels=2,
        momentum=0.01,
        phase=True,
        addition=True,
        loss="l1",
    ):
        super().__init__(
            target,
            widths,
            blocks,
            bottleneck,
            n_fft,
            hop,
            sample_rate,
            channels,
            momentum,
            phase,
            addition,
            loss,
            bands=1,
            block=residual,
            up=transposed,
            decoder_slope=0.0,
        )


class ResUNetSubbandtime(ResUNet):
    """As the paper's network, on four bands of a quarter of the sample rate: a fifth of the work.

    See `ResUNet` for the parameters; the defaults are the authors'. The addition
    is a tanh here.
    """

    name = "resunet-subbandtime"

    def __init__(
        self,
        target="vocals",
        widths=(32, 64, 128, 256, 384, 384),
        blocks=4,
        bottleneck=4,
        n_fft=512,
        hop=110,
        sample_rate=44100,
        channels=2,
        momentum=0.01,
        phase=True,
        addition=True,
        loss="l1",
    ):
        super().__init__(
            target,
            widths,
            blocks,
            bottleneck,
            n_fft,
            hop,
            sample_rate,
            channels,
            momentum,
            phase,
            addition,
            loss,
            bands=4,
            block=residual,
            up=transposed,
            decoder_slope=0.0,
        )


class ResUNetMobileNet(ResUNet):
    """Subbandtime with separable convolutions and few feature maps: 0.3 million parameters.

    See `ResUNet` for the parameters; the defaults are the authors'. (Their code
    mixes momenta of 0.1, in the stages, and 0.01.)
    """

    name = "resunet-mobilenet"

    def __init__(
        self,
        target="vocals",
        widths=(32, 64, 64, 64, 64, 64),
        blocks=2,
        bottleneck=1,
        n_fft=512,
        hop=110,
        sample_rate=44100,
        channels=2,
        momentum=0.1,
        phase=True,
        addition=True,
        loss="l1",
    ):
        super().__init__(
            target,
            widths,
            blocks,
            bottleneck,
            n_fft,
            hop,
            sample_rate,
            channels,
            momentum,
            phase,
            addition,
            loss,
            bands=4,
            block=separable,
            up=nearest,
            decoder_slope=0.01,
        )


def _magnitude(spectrum):
    real, imaginary = spectrum.real, spectrum.imag
    return (real * real + imaginary * imaginary).clamp_min(FAINT**2).sqrt()
