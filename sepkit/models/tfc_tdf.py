"""TFC-TDF-U-Net v2: a U-Net that writes the target's spectrogram itself.

Kim, Choi, Chung, Lee and Jung, "KUIELab-MDX-Net: A Two-Stream Neural Network for
Music Demixing", MDX Workshop at ISMIR 2021 (arXiv 2111.12203), its time-frequency
branch; the blocks come from Choi, Kim, Chung, Lee and Jung, "Investigating U-Nets
with various Intermediate Blocks for Spectrogram-based Singing Voice Separation",
ISMIR 2020. There is no mask: real and imaginary parts go in and come out as channels.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..stft import STFT
from ..validation import Number, optional
from .base import SPECTROGRAM, Model, ModelCard
from .normalised_conv import NormalisedConv
from .settings import DEPTH, WIDTH, WINDOW

#: What the authors call our parts; {i} counts from the lowest stage up, {j} from the highest down.
_PUBLISHED = {
    "first": "first_conv",
    "encoder": "encoding_blocks.{i}",
    "down": "ds.{i}",
    "middle": "bottleneck_block",
    "up": "us.{j}",
    "decoder": "decoding_blocks.{j}",
    "last": "final_conv.0",
}
#: What else lies in their files: the STFT's window, and zeros for the bins that are not seen.
_BUFFERS = ("window", "freq_pad")
#: Kim et al. 2021 and their code: chunks of 256 frames, every stem from a song of its own. Their
#: songs are there in five pitches (to +-2 semitones) and five tempos (to +-20 %), made beforehand:
#: ``sepkit data augment``. How long they train is not said: early stopping, as by default.
PAPER_RECIPE = dict(
    loss="mse",
    optimiser="rmsprop",
    lr=2e-4,
    weight_decay=0.0,
    schedule="constant",
    batch=8,
    chunk_seconds=5.9211,  # 261,120 samples
    gains=None,
    swap=0.0,
)
#: The paper's STFT window for each target; any other target gets that of `other`.
WINDOWS = {"vocals": 6144, "drums": 4096, "bass": 16384, "other": 8192}


class TFCTDF(Model):
    """Mixture in, one target out, through spectrograms as channels.

    Parameters
    ----------
    target : str
        The stem that the network estimates.
    n_fft : int, optional
        STFT window in samples; by default the paper's for this target.
    hop : int
    bins : int
        The lowest bins, which the network sees and writes; the others are silent.
    growth : int
        Feature maps of the first stage, and how many each stage adds.
    depth : int
        Stages of the encoder, each halving frames and bins.
    convolutions : int
        In each block.
    bottleneck : int
        How many times fewer units the block across frequencies has than bins.
    sample_rate, channels : int
        The audio that the network is for.
    loss : {"l1", "mse", "nmse", "sdr", "si-sdr"}
        The paper's is ``"mse"``, see `sepkit.models.losses`.

    Notes
    -----
    B, C, T: batch, channels, samples; N, F: frames, bins seen; W: feature maps.
    Frames are filled up with silence to a multiple of ``2 ** depth``.
    """

    name = "tfc-tdf"
    card = ModelCard(
        paper="Kim et al., MDX Workshop 2021, arXiv 2111.12203",
        domain=SPECTROGRAM,
        parameters=7_423_236,
        recipes={"paper": PAPER_RECIPE},
    )
    kinds = {
        "n_fft": optional(WINDOW),
        "bins": Number(1, 2**17),
        "bottleneck": WIDTH,
        "convolutions": DEPTH,
    }
    stft: STFT

    def __init__(
        self,
        target: str = "vocals",
        n_fft: int | None = None,
        hop: int = 1024,
        bins: int = 2048,
        growth: int = 32,
        depth: int = 5,
        convolutions: int = 3,
        bottleneck: int = 8,
        sample_rate: int = 44100,
        channels: int = 2,
        loss: str = "l1",
    ):
        n_fft = n_fft or WINDOWS.get(target, WINDOWS["other"])
        super().__init__(locals())
        multiple, most = 2**depth, n_fft // 2 + 1
        if not 0 < bins <= most or bins % multiple or bins // multiple < bottleneck:
            raise SepkitError(
                f"bins={bins} with n_fft={n_fft}: expected at most {most}, a multiple of "
                f"{multiple}, and at least {bottleneck * multiple} for a bottleneck of {bottleneck}"
            )
        self.bins, self.frame_multiple = bins, multiple
        self.min_samples, self.step = n_fft, hop
        self.stft = STFT(n_fft, hop)
        widths = [growth * (stage + 1) for stage in range(depth + 1)]
        sizes = [bins >> stage for stage in range(depth + 1)]

        def block(stage):
            return Block(widths[stage], sizes[stage], convolutions, bottleneck)

        self.first = NormalisedConv(nn.Conv2d(2 * channels, growth, 1))
        self.encoder = nn.ModuleList(block(stage) for stage in range(depth))
        self.down = nn.ModuleList(
            NormalisedConv(nn.Conv2d(low, high, 2, 2)) for low, high in zip(widths, widths[1:])
        )
        self.middle = block(depth)
        self.up = nn.ModuleList(
            NormalisedConv(nn.ConvTranspose2d(high, low, 2, 2))
            for low, high in zip(widths, widths[1:])
        )
        self.decoder = nn.ModuleList(block(stage) for stage in range(depth))
        self.last = nn.Conv2d(growth, 2 * channels, 1)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate, see `Model.forward`."""
        self.check(mixture)
        padded = self.pad(mixture)  # (B, C, T), at least one window
        spectrum = self.stft(padded).transpose(-1, -2)  # (B, C, N, n_fft / 2 + 1), complex
        frames, all_bins = spectrum.shape[-2:]
        x = spectrum[..., : self.bins]  # (B, C, N, F), complex
        x = torch.cat([x.real, x.imag], 1)  # (B, 2 C, N, F)
        x = nn.functional.pad(x, (0, 0, 0, -frames % self.frame_multiple))
        x = self._u_net(x)[..., :frames, :]  # (B, 2 C, N, F)
        x = x.to(spectrum.real.dtype)  # the rest of mixed precision
        x = torch.complex(*x.chunk(2, 1))  # (B, C, N, F), complex
        x = nn.functional.pad(x, (0, all_bins - self.bins))  # (B, C, N, n_fft / 2 + 1)
        return self.stft.inverse(x.transpose(-1, -2), padded.shape[-1])[..., : mixture.shape[-1]]

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict in the layout of the authors' code (kuielab/mdx-net, ConvTDFNet).

        Their channels are ordered (left, right) and within these (real, imaginary part), ours the
        other way round. They have lost the checkpoints of their paper (issue 41 there): this is for
        what others train with their code.
        """
        if "window" in state and state["window"].numel() != self.stft.n_fft:
            raise SepkitError(
                f"the published weights are for an STFT window of {state['window'].numel()} "
                f"samples; build the model with n_fft={state['window'].numel()}"
            )
        depth = len(self.down)
        ours = {published_name(name, depth): name for name in self.state_dict()}
        weights = {ours.get(key, key): x for key, x in state.items() if key not in _BUFFERS}
        order = torch.arange(2 * self.channels).view(-1, 2).T.flatten()  # 0, 2, 1, 3 in stereo
        for name, axis in (("first.0.weight", 1), ("last.weight", 0), ("last.bias", 0)):
            if name in weights and weights[name].shape[axis : axis + 1] == order.shape:
                weights[name] = weights[name].index_select(axis, order)
        return weights

    def _u_net(self, x):
        x = self.first(x)  # (B, W, N, F)
        skips = []
        for block, down in zip(self.encoder, self.down):
            skips.append(block(x))  # (B, W, N, F)
            x = down(skips[-1])  # (B, W + growth, N / 2, F / 2)
        x = self.middle(x)
        for block, up in zip(reversed(self.decoder), reversed(self.up)):
            x = block(up(x) * skips.pop())  # (B, W, N, F): skips multiply
        return self.last(x)  # (B, 2 C, N, F)


class Block(nn.Module):
    """Convolutions over time and frequency, plus a layer across all frequencies of each frame.

    x = TFC(x); x + TDF(x), where TDF squeezes the bins and spreads them again, alike for
    every frame and feature map (ISMIR 2020, section 3.3).
    """

    def __init__(self, width, bins, convolutions, bottleneck):
        super().__init__()
        self.tfc = nn.Sequential(
            *(NormalisedConv(nn.Conv2d(width, width, 3, padding=1)) for _ in range(convolutions))
        )
        self.tdf = nn.Sequential(
            nn.Linear(bins, bins // bottleneck, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Linear(bins // bottleneck, bins, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, N, F) to the same."""
        x = self.tfc(x)  # (B, W, N, F)
        return x + self.tdf(x)  # (B, W, N, F)


def published_name(name: str, depth: int) -> str:
    """What the authors call one of our weights; `depth` as in `TFCTDF`."""
    part, *path = name.split(".")
    theirs, stage = _PUBLISHED[part], 0
    if "{" in theirs:
        stage, path = int(path[0]), path[1:]
    if path[0] == "tfc":
        path.insert(1, "H")
    return ".".join([theirs.format(i=stage, j=depth - 1 - stage), *path])
