"""Hybrid Demucs: torchaudio's network, with what torchaudio leaves to its caller."""

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.models import build
from sepkit.models.hybrid_demucs import LEAST_DEPTH, SIZES

SMALL = dict(width=4, n_fft=64, depth=2, sample_rate=8000)
DEEP = dict(
    width=4, n_fft=1024, depth=5, sample_rate=8000
)  # with LSTM and attention in the fifth stage


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    torch.manual_seed(0)
    net = build("hybrid-demucs", **{**SMALL, **settings}).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net


def test_the_default_is_torchaudios_hdemucs_high():
    from torchaudio.models import hdemucs_high

    net, theirs = build("hybrid-demucs"), hdemucs_high(["drums", "bass", "other", "vocals"])
    assert sum(p.numel() for p in net.parameters()) == 83_639_368 and len(net.state_dict()) == 397
    assert {f"net.{k}": v.shape for k, v in theirs.state_dict().items()} == {
        k: v.shape for k, v in net.state_dict().items()
    }
    assert (
        sum(p.numel() for p in build("hybrid-demucs", **SIZES["student"]).parameters()) == 2_351_808
    )


@pytest.mark.parametrize("settings", [SMALL, DEEP, {**SMALL, "channels": 1}])
def test_outputs_are_torchaudios_after_the_authors_normalisation(settings):
    """Weights copied over; mean and deviation of the mono mix taken out and put back by hand."""
    from torchaudio.models import HDemucs

    net = small(**settings, targets=["drums", "vocals"])
    channels = net.channels
    theirs = HDemucs(
        ["drums", "vocals"],
        channels,
        settings["width"],
        nfft=settings["n_fft"],
        depth=settings["depth"],
    ).eval()
    theirs.load_state_dict(
        {key.removeprefix("net."): value for key, value in net.state_dict().items()}
    )
    mixture = noise(3, channels, 5000) * torch.tensor([0.1, 1, 5])[:, None, None] + 0.05
    with torch.no_grad():
        named = net(mixture)
        for k, song in enumerate(mixture):
            mean, deviation = song.mean(0).mean(), song.mean(0).std()
            expected = theirs(((song - mean) / deviation)[None])[0] * deviation + mean
            scale = float(expected.abs().max())
            torch.testing.assert_close(
                torch.stack([y[k] for y in named.values()]) / scale,
                expected / scale,
                atol=1e-6,
                rtol=1e-4,
            )


@pytest.mark.parametrize("settings", [SMALL, DEEP])
@pytest.mark.parametrize("gain", [1e-3, 100.0])
def test_a_louder_mixture_gives_the_same_estimates_louder(settings, gain):
    net, mixture = small(**settings), noise(1, 2, 4000)
    with torch.no_grad():
        wanted = net.estimate(mixture)
        scale = float(wanted.abs().max())
        torch.testing.assert_close(
            net.estimate(gain * mixture) / (gain * scale), wanted / scale, atol=1e-4, rtol=1e-3
        )


def test_silence_stays_silent():
    with torch.no_grad():
        assert small().estimate(torch.zeros(1, 2, 1000)).abs().max() < 1e-5


@pytest.mark.parametrize(
    "settings", [dict(n_fft=n_fft, depth=depth, width=4) for n_fft, depth in LEAST_DEPTH.items()]
)
@pytest.mark.parametrize("samples", [1, 4095, 4500])
def test_every_window_and_length(settings, samples):
    with torch.no_grad():
        assert small(**settings).estimate(noise(1, 2, samples)).shape == (1, 4, 2, samples)


def test_published_weights_are_torchaudios():
    from torchaudio.models import HDemucs

    torch.manual_seed(3)
    theirs, net = (
        HDemucs(["drums", "bass", "other", "vocals"], channels=4, nfft=64, depth=2),
        small(),
    )
    net.load_published(theirs.state_dict())
    assert all(
        torch.equal(net.net.state_dict()[key], value) for key, value in theirs.state_dict().items()
    )
    bias = "freq_decoder.0.conv_tr.bias"
    with pytest.raises(
        SepkitError,
        match=f"the published weights: does not fit hybrid-demucs: lacks net.{bias}, "
        "has unexpected net.x",
    ):
        net.load_published(
            {**{k: v for k, v in theirs.state_dict().items() if k != bias}, "x": torch.ones(1)}
        )
    with pytest.raises(
        SepkitError,
        match=r"has shape \(4, 4, 8, 1\), but these settings of hybrid-demucs need \(8, 4, 8, 1\)",
    ):
        small(width=8).load_published(theirs.state_dict())


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(n_fft=128), "unknown n_fft 128: choose from 64, 256, 1024, 2048, 4096"),
        (
            dict(n_fft=4096, depth=4),
            "depth=4: with n_fft=4096, one frequency is left after 5 stages",
        ),
        (dict(width=2), r"width=2, growth=2: the stages get \[2, 4\] feature maps"),
        (dict(n_fft=1024, depth=5, width=6, growth=1.5), "multiples of 16 from the fifth stage on"),
        (dict(width=0), "width=0: a whole number from 1 to"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(SepkitError, match=message):
        small(**settings)
