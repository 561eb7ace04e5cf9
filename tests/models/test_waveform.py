"""What Wave-U-Net, Conv-TasNet and both Demucs have in common.

Losses, segments, targets, long audio, bad input.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch

from sepkit import separation
from sepkit.errors import SepkitError
from sepkit.metrics.sdr import si_sdr
from sepkit.models import build, load, save
from sepkit.models.losses import LOSSES
from sepkit.models.waveform import in_segments

SMALL = {
    "wave-u-net": dict(levels=3, filters=3, kernel=5, merge_kernel=3),
    "conv-tasnet": dict(filters=8, length=8, width=6, hidden=10, layers=3, stacks=2, segment=None),
    "hybrid-demucs": dict(width=4, n_fft=64, depth=2, segment=None),
    "htdemucs": dict(width=8, n_fft=256, depth=2, bottleneck=16, layers=3, heads=2, segment=None),
}


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(name, **settings):
    torch.manual_seed(0)
    return build(name, **{**SMALL[name], "sample_rate": 1000, **settings}).eval()


each = pytest.mark.parametrize("name", SMALL)
#: For what takes HTDemucs many seconds.
each_quickly = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "htdemucs" else ()) for name in SMALL],
)


# Losses


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_their_definitions(kind):
    targets, mixture = noise(3, 2, 2, 500), noise(3, 2, 500, seed=2)
    estimates = 0.7 * targets + noise(3, 2, 2, 500, seed=1)
    y, s, x = (a.double().numpy() for a in (estimates, targets, mixture))
    expected = {
        "l1": np.mean(np.abs(y - s)),
        "mse": np.mean((y - s) ** 2),
        "nmse": np.mean(
            [
                np.sum((y[b, j] - s[b, j]) ** 2) / (np.sum(s[b, j] ** 2) + 0.1 * np.sum(x[b] ** 2))
                for b in range(3)
                for j in range(2)
            ]
        ),
        "sdr": -float(
            (
                10
                * torch.log10(
                    targets.square().sum((2, 3)) / (estimates - targets).square().sum((2, 3))
                )
            ).mean()
        ),
        "si-sdr": -float(si_sdr(targets, estimates).mean()),
    }[kind]
    assert float(LOSSES[kind](estimates, targets, mixture)) == pytest.approx(expected, rel=1e-4)


def test_scale_invariance_is_that_of_si_sdr_alone():
    targets, mixture = noise(2, 1, 2, 500), noise(2, 2, 500, seed=2)
    estimates = targets + noise(2, 1, 2, 500, seed=1)

    def change(kind):
        return float(
            LOSSES[kind](3 * estimates, targets, mixture)
            - LOSSES[kind](estimates, targets, mixture)
        )

    assert change("si-sdr") == pytest.approx(0, abs=1e-4)
    assert all(change(kind) > 0.01 for kind in ("l1", "mse", "nmse"))


@pytest.mark.parametrize("kind", LOSSES)
def test_silence_has_a_finite_loss_and_gradient(kind):
    estimates = torch.zeros(1, 2, 2, 50, requires_grad=True)
    loss = LOSSES[kind](estimates, torch.zeros(1, 2, 2, 50), torch.zeros(1, 2, 50))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(estimates.grad).all()


# Segments


def test_segments_of_what_returns_its_input_are_the_input():
    mixture, seen = noise(2, 2, 1003), []

    def separate(x):
        seen.append(x.shape[-1])
        return torch.stack([x, 2 * x], 1)

    out = in_segments(separate, mixture, 100)
    torch.testing.assert_close(out, torch.stack([mixture, 2 * mixture], 1), atol=1e-6, rtol=1e-6)
    assert (
        set(seen) == {100} and len(seen) == 14
    )  # one each 75 samples; the last ends with the audio


def test_segments_fade_in_triangles():
    """Pieces of 4 samples that say which they are: weights 1 2 2 1, neighbours share one sample."""
    count = iter(range(10))
    out = in_segments(
        lambda x: torch.full((1, 1, 1, x.shape[-1]), float(next(count))), torch.zeros(1, 1, 7), 4
    )
    torch.testing.assert_close(out.flatten(), torch.tensor([0, 0, 0, 0.5, 1, 1, 1]))


def test_short_audio_is_one_segment():
    mixture = noise(1, 1, 50)
    assert in_segments(lambda x: x.unsqueeze(1), mixture, 50).data_ptr() == mixture.data_ptr()


@pytest.mark.parametrize("name", ["wave-u-net", "conv-tasnet"])  # Demucs has a way of its own
def test_long_audio_is_separated_in_segments_in_evaluation_only(name):
    """In training no segments: all layers then see the whole chunk."""
    pieces, whole = small(name, segment=0.6), small(name)
    mixture = noise(1, 2, 2000)
    expected = in_segments(whole.estimate, mixture, 600)
    with torch.no_grad():
        torch.testing.assert_close(torch.stack(list(pieces(mixture).values()), 1), expected)
        assert not torch.equal(pieces(mixture)["drums"], whole(mixture)["drums"])
        torch.testing.assert_close(pieces.train()(mixture), whole(mixture))


# What holds for every network


@each
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 2, 63, 64, 1001])
def test_any_length_goes_in_and_comes_out(name, channels, samples):
    with torch.no_grad():
        estimates = small(name, channels=channels)(noise(2, channels, samples))
    assert list(estimates) == ["drums", "bass", "other", "vocals"]
    assert all(
        y.shape == (2, channels, samples) and torch.isfinite(y).all() for y in estimates.values()
    )


@each
def test_examples_of_a_batch_do_not_touch_each_other(name):
    net, both = small(name), torch.cat([noise(1, 2, 1000), 30 * noise(1, 2, 1000, seed=1)])
    with torch.no_grad():
        for target, estimate in net(both).items():
            torch.testing.assert_close(estimate[:1], net(both[:1])[target], atol=1e-6, rtol=1e-4)


@each
def test_every_weight_learns(name):
    net = small(name).train()
    net.loss(noise(2, 2, 2000), noise(2, 4, 2, 2000, seed=1)).backward()
    assert [
        n for n, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()
    ] == []
    assert [n for n, p in net.named_parameters() if p.ndim > 1 and p.grad.abs().sum() == 0] == []


@each_quickly
def test_training_lowers_every_loss(name):
    """A few steps on one chunk: the sum of two tones, to be told apart."""
    time = torch.arange(1500) / 1000
    stems = torch.stack(
        [torch.sin(2 * torch.pi * f * time).expand(1, 2, -1) * 0.3 for f in (40, 210)], 1
    )
    for kind in LOSSES:
        net = small(name, targets=["bass", "other"], loss=kind).train()
        optimiser = torch.optim.Adam(net.parameters(), 1e-2)
        losses = []
        for _ in range(12):
            losses.append(net.loss(stems.sum(1), stems))
            optimiser.zero_grad()
            losses[-1].backward()
            optimiser.step()
        assert losses[-1] < losses[0]


@each
def test_one_target_has_the_plain_shape(name):
    options = {"output": "direct"} if name == "wave-u-net" else {}
    net = small(name, target="vocals", **options)
    assert net.targets == ("vocals",) and net(noise(1, 2, 500)).shape == (1, 2, 500)
    mixture, target = noise(1, 2, 2000), noise(1, 2, 2000, seed=1)
    net.set_loss("mse")
    if name != "wave-u-net":  # whose loss leaves the edges out
        assert net.loss(mixture, target).item() == pytest.approx(
            (net(mixture) - target).square().mean().item(), rel=1e-5
        )
    assert net.loss(mixture, target).ndim == 0


@each
def test_a_checkpoint_brings_back_the_same_network(name, tmp_path):
    net = small(name, targets=["vocals", "other"], loss="si-sdr")
    again = load(save(tmp_path / "net.safetensors", net))
    assert again.settings == net.settings and again.targets == ("vocals", "other")
    with torch.no_grad():
        torch.testing.assert_close(again(noise(1, 2, 900)), net(noise(1, 2, 900)), atol=0, rtol=0)


class TenMinutes:
    """Ten minutes of noise at 1 kHz, made where it is read."""

    name, sample_rate, samples, stems = "long", 1000, 600_000, ()

    def mixture(self, start, frames):
        return noise(2, frames, seed=start)


@each_quickly
def test_ten_minutes_are_separated_in_pieces_of_bounded_length(name):
    net, seen = small(name), []
    net.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    separator = separation.ModelSeparator(net, device="cpu")
    lengths = [
        stretch["vocals"].shape[-1] for stretch in separation.stream(separator, TenMinutes())
    ]
    assert sum(lengths) == 600_000 and max(seen) <= 31_000 and len(seen) >= 20


@each
def test_chunks_start_where_the_network_repeats_itself(name):
    """With `steps` from the network, a chunk is framed as the whole is."""
    net = small(name)
    assert net.step in separation.ModelSeparator(net, device="cpu").steps


@each
@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda net, _: net(noise(1, 1, 900)),
            r"built for 2 channel\(s\): got a mixture of shape \(1, 1, 900\)",
        ),
        (lambda net, _: net(noise(1, 2, 0)), r"\(1, 2, 0\), expected \(batch, 2, samples\)"),
        (lambda net, _: net(noise(2, 900)), r"expected \(batch, 2, samples\)"),
        (
            lambda net, _: net.loss(noise(1, 2, 900), noise(1, 2, 900)),
            r"for drums, bass, other, vocals: .* \(1, 4, 2, 900\)",
        ),
        (
            lambda net, _: net.set_loss("l2"),
            "unknown loss 'l2': choose from l1, mse, nmse, sdr, si-sdr",
        ),
        (lambda _, name: build(name, target="bass", targets=["bass"]), "give one of them"),
        (lambda _, name: build(name, targets=["bass", "bass"]), "each of them once"),
        (lambda _, name: build(name, targets=[]), r"targets=\[\]: .* or a list of"),
        (lambda _, name: build(name, segment=0), "segment=0: a number from 0.01"),
        (lambda _, name: build(name, channels=0), "channels=0: a whole number from 1 to"),
    ],
)
def test_mistakes_are_named(name, call, message):
    with pytest.raises(SepkitError, match=message):
        call(small(name), name)


def test_torchaudio_is_imported_by_those_who_build_with_it():
    modules = ", ".join(
        f"sepkit.models.{file}" for file in ("wave_u_net", "conv_tasnet", "hybrid_demucs")
    )
    said = subprocess.run(
        [sys.executable, "-c", f"import {modules}, sys; print('torchaudio' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == "False"
