"""The right answers of chapter 05 are what signals and the package say."""

import math

import pytest
import torch

from sepkit.learn.ch05.exercises import KERNEL, PICTURE
from sepkit.models import build
from sepkit.models.pqmf import PQMF
from sepkit.stft import STFT

from .answers.ch05 import convolved, frequency, sdr, share


def reach_of(model, frames=2048):
    """Count the frames before the middle that can change the network's output in the middle."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(False).fill_(0.0 if name.endswith("bias") else 1.0)
    x = torch.ones(1, 1, frames, 65, dtype=torch.float64, requires_grad=True)
    y, skips = model.input_norm(x.transpose(1, 3)).transpose(1, 3)[..., :-1], []
    for stage in model.encoder:
        y, skip = stage(y)
        skips.append(skip)
    y = model.bottleneck(y)
    for stage in model.decoder:
        y = stage(y, skips.pop())
    model.head(model.last(y))[0, 0, frames // 2, 32].backward()
    return frames // 2 - int(torch.nonzero(x.grad[0, 0].abs().sum(1)).flatten()[0])


def test_the_right_answers_are_what_signals_and_the_package_say():
    torch.manual_seed(0)
    S, angle = (
        torch.randn(4000, dtype=torch.complex128),
        torch.tensor(math.radians(30.0), dtype=torch.float64),
    )
    off = S * torch.polar(torch.ones_like(angle), angle)
    assert 10 * math.log10(
        float(S.abs().square().sum() / (off - S).abs().square().sum())
    ) == pytest.approx(sdr(30))
    angles = torch.rand(200_000, dtype=torch.float64) * 2 * math.pi
    smaller = (1 + 0.5 * torch.exp(1j * angles)).abs() < 1
    assert float(smaller.double().mean()) == pytest.approx(share(0.5), abs=0.005)

    picture, kernel = (torch.tensor(rows).double()[None, None] for rows in (PICTURE, KERNEL))
    assert (
        torch.nn.functional.conv2d(picture, kernel, padding=1, stride=2)[0, 0].tolist() == convolved
    )

    # half the paper's depth, thin
    model = build(
        "resunet-ismir2021", widths=(1,) * 6, blocks=2, bottleneck=2, n_fft=128, hop=32, channels=1
    ).double()
    layers = [
        m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    shortcuts = [m for m in layers if m.kernel_size == (1, 1) and m is not model.head]
    assert len(layers) - len(shortcuts) == 67
    assert reach_of(model.eval()) == 764

    bank, stft = PQMF(4), STFT(512, 128)
    for band, number in ((0, 40), (1, 30), (2, 100), (3, 60)):
        tone = torch.sin(2 * math.pi * frequency(band, number) * torch.arange(44100) / 44100)
        power = stft(bank.analysis(tone)[:, None]).abs().square().sum((1, 3))  # (bands, bins)
        assert divmod(int(power.argmax()), stft.bins) == (band, number)
