"""Demucs's two U-Nets, one over the waveform and one over its spectrogram.

Défossez, arXiv 2111.03600, 2021, section 2 and figure 1. What happens where both are smallest is
`middle`: in Hybrid Demucs, whose branches have become one there, nothing; in HTDemucs a
transformer.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .demucs import audio_of, normalised, spectrum_of, undone
from .demucs_layers import Decoder, Encoder, FrequencyEmbedding, rescale

#: Kernel and stride of a stage; those of the stages behind the one where the branches meet.
KERNEL, STRIDE = 8, 4
MERGED_KERNEL, MERGED_STRIDE = 4, 2
#: Stages from this one on are normalised, in so many groups, and have LSTMs and attention.
DEEP, GROUPS = 4, 4


class Branches(nn.Module):
    """Encoders and decoders of both branches.

    Parameters
    ----------
    targets, channels : int
        How many of them.
    width, growth, depth : int, float, int
        Feature maps of the first stage, by how much each has more, and stages.
    n_fft : int
        STFT window; the hop is a quarter.
    decoded : bool
        Residual branches in the decoder too.
    branch : dict
        ``compress`` and ``scale`` of all residual branches.
    """

    def __init__(self, targets, channels, width, growth, depth, n_fft, decoded=False, **branch):
        super().__init__()
        self.n_fft, self.targets = n_fft, targets
        self.freq_encoder, self.freq_decoder = nn.ModuleList(), nn.ModuleList()
        self.time_encoder, self.time_decoder = nn.ModuleList(), nn.ModuleList()
        inputs, outputs, bins = channels, channels * targets, n_fft // 2
        for stage in range(depth):
            spectral, last = bins > 1, 1 < bins <= KERNEL
            deep = dict(recurrent=True) if stage >= DEEP else {}
            common = dict(groups=GROUPS if stage >= DEEP else 0)
            down, up = {**common, **branch, **deep}, {**common, **(branch if decoded else {})}
            kernel, stride = (KERNEL, STRIDE) if spectral else (MERGED_KERNEL, MERGED_STRIDE)
            kernel = bins if last else kernel
            # Two numbers a sample of a spectrogram: real and imaginary parts.
            shape = (kernel, stride, spectral, not last)
            first = 2 if stage == 0 else 1
            self.freq_encoder.append(Encoder(first * inputs, width, *shape, **down))
            self.freq_decoder.insert(
                0, Decoder(width, first * outputs, *shape, last=stage == 0, **up)
            )
            if spectral:
                # The hop of 512 samples is four strides of 4, and one of 2.
                halved = last and n_fft == 2048
                shape = (MERGED_KERNEL, MERGED_STRIDE) if halved else (KERNEL, STRIDE)
                shape = (*shape, False, True)
                self.time_encoder.append(Encoder(inputs, width, *shape, empty=last, **down))
                self.time_decoder.insert(
                    0, Decoder(width, outputs, *shape, empty=last, last=stage == 0, **up)
                )
            bins = 1 if bins <= KERNEL else bins // STRIDE
            if stage == 0:
                self.freq_emb = FrequencyEmbedding(bins, width)
            inputs = outputs = width
            width = int(growth * width)
        rescale(self)

    def forward(self, audio: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        z, *level = normalised(spectrum_of(audio, self.n_fft))  # (B, 2 C, F, N)
        x, *x_level = normalised(audio)  # (B, C, T)
        z, x, skips = self._encoded(z, x)
        z, x = self.middle(z, x)
        z, x = self._decoded(z, x, skips)  # (B, J 2 C, F, N), (B, J C, T)
        z = undone(z, self.targets, *level)  # (B, J, 2 C, F, N)
        x = undone(x, self.targets, *x_level)  # (B, J, C, T)
        return audio_of(z, self.n_fft, audio.shape[-1]) + x  # (B, J, C, T)

    def _encoded(self, z, x):
        """Both branches' smallest, and what each stage of the decoders is given besides."""
        skips: list[Any] = []
        for stage, encode in enumerate(self.freq_encoder):
            frames, samples, meeting, skip = z.shape[-1], x.shape[-1], None, None
            if stage < len(self.time_encoder):
                x = self.time_encoder[stage](x)  # (B, W, T / 4)
                if self.time_encoder[stage].empty:
                    meeting = x  # (B, W, N): as many frames as the spectral branch has
                else:
                    skip = x
            z = encode(z, meeting)  # (B, W, F / 4, N)
            if stage == 0:
                z = self.freq_emb(z)
            skips.append((frames, z, samples, skip))
        return z, x, skips

    def _decoded(self, z, x, skips):
        apart = len(self.freq_decoder) - len(self.time_decoder)
        for stage, decode in enumerate(self.freq_decoder):
            frames, skip, samples, x_skip = skips.pop()
            z, before = decode(z, skip, frames)  # (B, W, 4 F, N)
            if stage >= apart:
                time_decode = self.time_decoder[stage - apart]
                start = before[:, :, 0] if time_decode.empty else x  # where they part
                x, _ = time_decode(start, x_skip, samples)  # (B, W, 4 T)
        return z, x

    def middle(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoders begin with, besides the skip connections: silence."""
        return torch.zeros_like(z), x
