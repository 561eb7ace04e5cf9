"""ResUNet.

Sizes, the decoupled estimate, and the published layout against a plain second implementation.
"""

import math

import pytest
import torch
from torch.nn import functional

from sepkit import separation
from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.published_files import read_weights
from sepkit.models.resunet import SIZES, decoupled

NAMES = ("resunet-ismir2021", "resunet-subbandtime", "resunet-mobilenet")
SMALL = dict(widths=(4, 6, 8), n_fft=64, hop=16, sample_rate=8000)
PUBLISHED = dict(
    widths=(3, 4, 5, 6, 7, 7), n_fft=256, hop=64, sample_rate=8000
)  # the authors' number of stages


def shake(model):
    """Random values everywhere, batch normalisation included, so that nothing is hidden by zeros
    and ones.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(
                torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) * 0.3
            )
    return model


def small(name, **settings):
    torch.manual_seed(0)
    return shake(build(name, **{**SMALL, **settings}))


# Sizes


def expected_parameters(widths, channels, bands, bins, blocks, bottleneck, separable):
    """Counted by hand from the paper's description.

    Convolutions without bias, two numbers a normalised map.
    """

    def block(i, o):
        shortcut = (i + 1) * o if i != o else 0
        if separable:
            return 2 * i + i * o + 2 * o + 9 * o + 2 * o + o * o + shortcut
        return 2 * i + 9 * i * o + 2 * o + 9 * o * o + shortcut

    def stage(i, o):
        return block(i, o) + (blocks - 1) * block(o, o)

    first, last = widths[0], widths[-1]
    total = (
        2 * bins
        + stage(channels * bands, first)
        + sum(stage(i, o) for i, o in zip(widths, widths[1:]))
    )
    total += bottleneck * stage(last, last)
    below = last
    for depth, o in enumerate(reversed(widths)):
        patch = 1 if separable else 2 if depth == 0 else 4
        total += 2 * below + below * o * patch + stage(2 * o, o)
        below = o
    return total + stage(first, first) + (first + 1) * channels * 4 * bands


@pytest.mark.parametrize(
    "name, published, description",
    [
        (
            NAMES[0],
            102_571_278,
            dict(
                widths=(32, 64, 128, 256, 384, 384),
                bands=1,
                bins=1025,
                blocks=4,
                bottleneck=4,
                separable=False,
            ),
        ),
        (
            NAMES[1],
            102_572_466,
            dict(
                widths=(32, 64, 128, 256, 384, 384),
                bands=4,
                bins=257,
                blocks=4,
                bottleneck=4,
                separable=False,
            ),
        ),
        (
            NAMES[2],
            306_418,
            dict(
                widths=(32, 64, 64, 64, 64, 64),
                bands=4,
                bins=257,
                blocks=2,
                bottleneck=1,
                separable=True,
            ),
        ),
    ],
)
def test_parameter_count_is_the_published_one(name, published, description):
    model = build(name)
    assert (
        sum(p.numel() for p in model.parameters())
        == published
        == expected_parameters(channels=2, **description)
    )
    if name == NAMES[0]:
        layers = [
            m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
        ]
        shortcuts = [m for m in layers if m.kernel_size == (1, 1) and m is not model.head]
        assert (len(layers), len(shortcuts)) == (
            154,
            11,
        )  # the paper's name, ResUNet143, leaves the shortcuts out


# The decoupled estimate


def spectrum(*shape):
    return torch.randn(*shape, dtype=torch.complex128)


def test_mask_one_shift_one_addition_zero_is_the_input():
    X = spectrum(2, 3, 4) * torch.logspace(-9, 2, 24).view(
        2, 3, 4
    )  # also below the least magnitude
    ones = torch.ones(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(
        decoupled(X, ones, ones.to(X.dtype), 0 * ones), X, rtol=1e-12, atol=0
    )


def test_the_estimate_has_the_equations_magnitude_and_phase():
    torch.manual_seed(1)
    X, mask, phase, Q = (
        spectrum(500),
        torch.rand(500).double(),
        (torch.rand(500).double() - 0.5) * 6,
        torch.randn(500).double(),
    )
    Y = decoupled(X, mask, torch.polar(torch.ones_like(phase), phase), Q)
    magnitude = (X.abs() * mask + Q).clamp_min(0)
    torch.testing.assert_close(Y.abs(), magnitude)
    torch.testing.assert_close(Y, torch.polar(magnitude, X.angle() + phase))
    assert (magnitude == 0).any() and (
        magnitude > X.abs()
    ).any()  # both ends of the equation were seen


def test_the_estimate_turns_and_grows_with_the_mixture():
    torch.manual_seed(2)
    X, mask, shift, Q = (
        spectrum(50),
        torch.rand(50).double(),
        torch.exp(1j * torch.rand(50).double()),
        torch.randn(50).double(),
    )
    turn = torch.exp(torch.tensor(0.7j, dtype=torch.complex128))
    torch.testing.assert_close(
        decoupled(X * turn, mask, shift, Q), turn * decoupled(X, mask, shift, Q)
    )
    torch.testing.assert_close(
        decoupled(3 * X, mask, shift, 3 * Q), 3 * decoupled(X, mask, shift, Q)
    )


def test_silence_stays_silence_whatever_the_maps():
    zeros = torch.zeros(5, dtype=torch.complex128)
    assert decoupled(zeros, torch.ones(5), torch.ones(5), torch.ones(5)).abs().max() == 0


# The networks


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length_goes_in_and_comes_out(name, channels):
    model = small(name, channels=channels).eval()
    for samples in (1, 2, 3, 15, 16, 63, 64, 65, 255, 1023, 4001):
        with torch.no_grad():
            out = model(torch.randn(1, channels, samples))
        assert out.shape == (1, channels, samples) and torch.isfinite(out).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_examples_and_evaluation_repeats(name):
    model = small(name).double().eval()
    mixture = torch.randn(2, 2, 3000, dtype=torch.float64)
    before = mixture.clone()
    with torch.no_grad():
        together, apart = model(mixture), torch.cat([model(mixture[:1]), model(mixture[1:])])
        assert torch.equal(model(mixture), together)
    assert torch.equal(mixture, before)
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-10)
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_turned_polarity_turns_the_estimate(name):
    # The maps depend on magnitudes alone. A gain has no such rule: normalisation and addition
    # have units.
    model, mixture = small(name).double().eval(), torch.randn(1, 2, 2000, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(-mixture), -model(mixture), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_open_masks_return_the_mixture(name):
    """Head without weights, biases for mask 1, phase 0 and addition 0.

    All but the top bin of each band comes back.
    """
    model = small(name).eval()
    torch.nn.init.zeros_(model.head.weight)
    biases = model.head.bias.data.view(2, 4, -1)  # (channels, maps, bands)
    biases[:, 0], biases[:, 1], biases[:, 2:] = 50, 3, 0
    time = torch.arange(4000, dtype=torch.float64) / 8000
    mixture = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (200, 440)])[None].float()
    for gain in (1, 0.1):
        with torch.no_grad():
            assert (model(gain * mixture) - gain * mixture)[..., 200:-200].abs().max() < 1e-3 * gain


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight(name):
    model = small(name).train()
    model.loss(torch.randn(2, 2, 2000), torch.randn(2, 2, 2000)).backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_silent_training_examples_give_no_nan(name):
    model = small(name).train()
    loss = model.loss(torch.zeros(2, 2, 1000), torch.zeros(2, 2, 1000))
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_loss_is_the_mean_absolute_error():
    model = small(NAMES[0]).eval()
    mixture, target = torch.randn(2, 2, 2, 1500).unbind(0)
    torch.testing.assert_close(
        model.loss(mixture, target), functional.l1_loss(model(mixture), target)
    )


@pytest.mark.parametrize("name, bands", [(NAMES[0], 1), (NAMES[1], 4)])
def test_maps_make_the_estimate(name, bands):
    model = small(name).eval()
    mixture = torch.randn(1, 2, 3000)
    maps = model.maps(mixture)
    assert all(values.shape[:4] == (1, 2, bands, 32) for values in maps.values())
    assert (
        0 <= maps["mask"].min() and maps["mask"].max() <= 1 and maps["phase"].abs().max() <= math.pi
    )
    shift = torch.polar(torch.ones_like(maps["phase"]), maps["phase"])
    torch.testing.assert_close(
        decoupled(maps["mixture"], maps["mask"], shift, maps["addition"]),
        maps["estimate"],
        rtol=1e-4,
        atol=1e-4,
    )
    if bands == 1:  # the estimate's inverse STFT is what forward returns
        whole = functional.pad(maps["estimate"], (0, 0, 0, 1))
        with torch.no_grad():
            torch.testing.assert_close(model.stft.inverse(whole, 3000).squeeze(2), model(mixture))


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_the_estimate_can_be_left_out(name):
    mixture = torch.randn(1, 2, 3000)
    full = small(name).eval().maps(mixture)
    for part, neutral in (("phase", 0), ("addition", 0)):
        model = small(name, **{part: False}).eval()
        maps = model.maps(mixture)
        assert full[part].abs().max() > 0.1 and (maps[part] == neutral).all()
        assert all(
            torch.equal(maps[other], full[other])
            for other in {"mask", "phase", "addition"} - {part}
        )
        assert (maps["estimate"] - full["estimate"]).abs().max() > 1e-3
    model = small(
        name, phase=False, addition=False
    ).eval()  # a mask of the magnitude, at most 1, and nothing else
    maps = model.maps(mixture)
    torch.testing.assert_close(
        maps["estimate"], maps["mask"] * maps["mixture"], rtol=1e-4, atol=1e-5
    )
    model.loss(mixture, mixture).backward()


def test_an_overfitted_network_separates():
    """Noise and a tone in different bands: after a few steps the maps must tell them apart."""
    model = build(
        NAMES[0],
        **{**SMALL, "n_fft": 256, "hop": 64, "blocks": 1, "bottleneck": 1, "momentum": 0.1},
    )
    time = torch.arange(8000) / 8000
    tone = 0.3 * (
        torch.sin(2 * torch.pi * 440 * time) * (torch.sin(2 * torch.pi * 3 * time) > 0)
    ).expand(1, 2, -1)
    noise = torch.randn(1, 2, 8000, generator=torch.Generator().manual_seed(0)) * 0.1
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        model.loss(tone + noise, tone).backward()
        optimiser.step()
    with torch.no_grad():
        estimate = model.eval()(tone + noise)

    def sdr(x):
        return 10 * torch.log10(tone.square().sum() / (tone - x).square().sum())

    assert sdr(estimate) > sdr(tone + noise) + 6


def test_the_student_size_is_small_and_builds():
    model = build(NAMES[1], **SIZES["student"])
    assert sum(p.numel() for p in model.parameters()) < 1_500_000 and model.sample_rate == 44100


# Checkpoints and separation


def test_checkpoints_and_streaming(tmp_path):
    model = small(NAMES[1]).eval()
    path = save(tmp_path / "vocals.safetensors", model)
    again = load(path)
    mixture = torch.randn(2, 5000)
    with torch.no_grad():
        expected = model(mixture[None])[0]
        assert torch.equal(again(mixture[None])[0], expected)
    separator = separation.get(tmp_path, device="cpu")
    assert torch.equal(separator.separate(mixture)["vocals"], expected)
    assert separator.separate(mixture[:, :7])["vocals"].shape == (2, 7)
    with pytest.raises(
        SepkitError,
        match="vocals.safetensors: a checkpoint of resunet-subbandtime, where one of open-unmix",
    ):
        load(path, model="open-unmix")


def test_nan_weights_are_not_saved(tmp_path):
    model = small(NAMES[0])
    model.head.bias.data[0] = float("nan")
    with pytest.raises(SepkitError, match="head.bias holds NaN"):
        save(tmp_path / "vocals.safetensors", model)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: build(NAMES[0], width=3),
            "unknown setting of resunet-ismir2021 'width': choose from target, widths",
        ),
        (lambda: build(NAMES[0], widths=()), r"widths=\(\): a list, each a whole number"),
        (
            lambda: build(NAMES[0], n_fft=1000),
            "n_fft=1000: 6 stages halve the bins, so a multiple of 128",
        ),
        (
            lambda: small(NAMES[0])(torch.zeros(1, 1, 3000)),
            r"built for 2 channel\(s\): got a mixture of shape \(1, 1, 3000\)",
        ),
        (lambda: small(NAMES[1])(torch.zeros(1, 2, 0)), r"got a mixture of shape \(1, 2, 0\)"),
        (lambda: small(NAMES[1])(torch.zeros(2, 3000)), r"expected \(batch, 2, samples\)"),
        (
            lambda: small(NAMES[1]).loss(torch.zeros(1, 2, 255), torch.zeros(1, 2, 255)),
            "255 samples are shorter than one window of 256",
        ),
        (lambda: small(NAMES[0]).set_loss("mse"), "unknown loss 'mse': choose from l1"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


# The published layout: weights under the authors' names, run by functions that know nothing of
# our modules


def published_layout(name, widths=(32, 64, 128, 256, 384, 384), n_fft=512, channels=2):
    """Random weights by the authors' names."""
    separable, in_place, bands = name == NAMES[2], name == NAMES[0], 1 if name == NAMES[0] else 4
    state = {}

    def norm(place, width, counted=True):
        state[f"{place}.weight"], state[f"{place}.bias"] = (
            torch.rand(width) + 0.5,
            torch.randn(width) * 0.3,
        )
        state[f"{place}.running_mean"], state[f"{place}.running_var"] = (
            torch.randn(width) * 0.3,
            torch.rand(width) + 0.5,
        )
        if counted:
            state[f"{place}.num_batches_tracked"] = torch.tensor(7)

    def conv(place, *shape):
        state[f"{place}.weight"] = torch.randn(*shape) / math.prod(shape[1:]) ** 0.5

    def block(place, i, o):
        if separable:
            for number, inputs in (("1", i), ("2", o)):
                for letter, n, shape in (
                    ("a", inputs, (o, inputs, 1, 1)),
                    ("b", o, (o, 1, 3, 3)),
                    ("c", o, (o, o, 1, 1)),
                ):
                    norm(f"{place}.bn{number}{letter}", n)
                    conv(f"{place}.conv{number}{letter}", *shape)
        else:
            norm(f"{place}.bn1", i)
            norm(f"{place}.abn2" if in_place else f"{place}.bn2", o, counted=not in_place)
            conv(f"{place}.conv1", o, i, 3, 3)
            conv(f"{place}.conv2", o, o, 3, 3)
        if i != o:
            conv(f"{place}.shortcut", o, i, 1, 1)
            state[f"{place}.shortcut.bias"] = torch.randn(o) * 0.1

    def blocks(place, i, o, numbers):
        for number in numbers:
            block(f"{place}.conv_block{number}", i, o)
            i = o

    bins = n_fft // 2 + 1
    if bands > 1:
        bank = build(name, **PUBLISHED).pqmf
        state["pqmf.ana_conv_filter.weight"] = bank.analysis_filters * 0.9
        state["pqmf.syn_conv_filter.weight"] = bank.synthesis_filters * 1.1
    kernel = torch.exp(
        -2j * math.pi * torch.outer(torch.arange(bins), torch.arange(n_fft)) / n_fft
    ) * torch.hann_window(n_fft)
    state["stft.conv_real.weight"], state["stft.conv_imag.weight"] = (
        kernel.real[:, None].clone(),
        kernel.imag[:, None].clone(),
    )
    state["istft.ola_window"] = torch.hann_window(n_fft) ** 2
    state["istft.conv_real.weight"] = state["istft.conv_imag.weight"] = torch.zeros(n_fft, n_fft, 1)
    norm("bn0", bins)
    i = channels * bands
    for number, o in enumerate(widths, 1):
        blocks(f"encoder_block{number}", i, o, ("",) if separable else "1234")
        i = o
    for letter in ("",) if separable else "abcd":
        block("conv_block7", i, i) if separable else blocks(f"conv_block7{letter}", i, i, "1234")
    for number, o in enumerate(reversed(widths), 1):
        place, patch = f"decoder_block{number}", (1, 2) if number == 1 else (2, 2)
        norm(f"{place}.bn1", i)
        conv(f"{place}.conv1", *((o, i, 1, 1) if separable else (i, o, *patch)))
        blocks(place, 2 * o, o, "2" if separable else "2345")
        i = o
    block("after_conv_block1", i, i) if separable else blocks("after_conv_block1", i, i, "1234")
    conv("after_conv2", channels * 4 * bands, i, 1, 1)
    state["after_conv2.bias"] = torch.randn(channels * 4 * bands)
    return state


def authors_network(state, magnitude, separable):
    """(B, C K, N, F) to the maps (B, 4 C K, N, F), step by step after the paper and the weights'
    names.
    """

    def norm(place, x, slope):
        w = [state[f"{place}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        scale = w[2].abs() + 1e-5 if "abn" in place else w[2]
        return functional.leaky_relu(functional.batch_norm(x, w[0], w[1], scale, w[3]), slope)

    def block(place, x):
        if separable:
            for number in "12":
                y = x
                for letter in "abc":
                    weight = state[f"{place}.conv{number}{letter}.weight"]
                    y = norm(f"{place}.bn{number}{letter}", y, 0.01)
                    y = functional.conv2d(
                        y,
                        weight,
                        padding=weight.shape[-1] // 2,
                        groups=len(weight) if letter == "b" else 1,
                    )
                shortcut = state.get(f"{place}.shortcut.weight") if number == "1" else None
                x = y + (
                    x
                    if shortcut is None
                    else functional.conv2d(x, shortcut, state[f"{place}.shortcut.bias"])
                )
            return x
        second = "abn2" if f"{place}.abn2.weight" in state else "bn2"
        y = functional.conv2d(
            norm(f"{place}.bn1", x, 0.01), state[f"{place}.conv1.weight"], padding=1
        )
        y = functional.conv2d(
            norm(f"{place}.{second}", y, 0.01), state[f"{place}.conv2.weight"], padding=1
        )
        shortcut = state.get(f"{place}.shortcut.weight")
        return y + (
            x
            if shortcut is None
            else functional.conv2d(x, shortcut, state[f"{place}.shortcut.bias"])
        )

    def blocks(place, x, numbers):
        for number in numbers:
            x = block(f"{place}.conv_block{number}", x)
        return x

    frames = magnitude.shape[2]
    w = [state[f"bn0.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    x = (magnitude - w[0]) / (w[1] + 1e-5).sqrt() * w[2] + w[3]
    x = functional.pad(x, (0, -1, 0, -frames % 32))
    skips = []
    for number in range(1, 7):
        x = blocks(f"encoder_block{number}", x, ("",) if separable else "1234")
        skips.append(x)
        x = functional.avg_pool2d(x, (2, 2) if number < 6 else (1, 2))
    x = block("conv_block7", x) if separable else x
    for letter in "" if separable else "abcd":
        x = blocks(f"conv_block7{letter}", x, "1234")
    for number in range(1, 7):
        place, patch = f"decoder_block{number}", (1, 2) if number == 1 else (2, 2)
        weight = state[f"{place}.conv1.weight"]
        if separable:
            x = functional.interpolate(x, scale_factor=patch)
            x = functional.conv2d(norm(f"{place}.bn1", x, 0.01), weight)
        else:
            x = functional.conv_transpose2d(norm(f"{place}.bn1", x, 0.0), weight, stride=patch)
        x = blocks(place, torch.cat([x, skips.pop()], 1), "2" if separable else "2345")
    x = block("after_conv_block1", x) if separable else blocks("after_conv_block1", x, "1234")
    x = functional.conv2d(x, state["after_conv2.weight"], state["after_conv2.bias"])
    return functional.pad(x, (0, 1))[:, :, :frames]


def authors_separation(state, mixture, n_fft, hop, name):
    """(1, 2, T) to (1, 2, T), by torch.stft and one band after another."""
    bands, window = 1 if name == NAMES[0] else 4, torch.hann_window(n_fft, dtype=mixture.dtype)
    parts = mixture[0]  # (C K, about T / K)
    if bands > 1:
        x = functional.pad(mixture[0][:, None], (60, 64))
        parts = functional.conv1d(x, state["pqmf.ana_conv_filter.weight"], stride=4).flatten(0, 1)
    X = torch.stft(parts, n_fft, hop, window=window, return_complex=True).transpose(
        1, 2
    )  # (C K, N, F)
    magnitude = X.abs().clamp_min(1e-5)
    maps = authors_network(state, magnitude[None], name == NAMES[2])[0]  # (4 C K, N, F)
    separated = []
    for channel in range(2):
        for band in range(bands):
            x0, x1, x2, x3 = (maps[(channel * 4 + k) * bands + band] for k in range(4))
            one = channel * bands + band
            real, imaginary = torch.tanh(x1), torch.tanh(x2)
            length = (real**2 + imaginary**2).sqrt().clamp_min(1e-10)
            cos_m, sin_m, cos_x, sin_x = (
                real / length,
                imaginary / length,
                X[one].real / magnitude[one],
                X[one].imag / magnitude[one],
            )
            Y = torch.relu(
                magnitude[one] * torch.sigmoid(x0) + (x3 if bands == 1 else torch.tanh(x3))
            )
            Y = torch.complex(
                Y * (cos_x * cos_m - sin_x * sin_m), Y * (sin_x * cos_m + cos_x * sin_m)
            )
            separated.append(torch.istft(Y.T, n_fft, hop, window=window, length=parts.shape[-1]))
    y = torch.stack(separated)  # (C K, about T / K)
    if bands == 1:
        return y[None]
    y = functional.conv1d(
        functional.pad(y.view(2, 4, -1), (0, 15)), state["pqmf.syn_conv_filter.weight"]
    )
    return y.transpose(1, 2).reshape(1, 2, -1)[..., :-64]


@pytest.mark.parametrize("name", NAMES)
def test_published_files_give_what_the_authors_functions_give(name, tmp_path):
    torch.manual_seed(3)
    state = published_layout(name, PUBLISHED["widths"], PUBLISHED["n_fft"])
    if name == NAMES[0]:
        state[
            "encoder_block2.conv_block1.abn2.weight"
        ].neg_()  # in-place normalisation takes its magnitude
    state = {
        key: value.double() if value.is_floating_point() else value for key, value in state.items()
    }
    torch.save({"model": state}, tmp_path / "theirs.pth")
    model = shake(build(name, **PUBLISHED)).double().eval()
    model.load_published(read_weights(tmp_path / "theirs.pth"))
    mixture = torch.randn(1, 2, 8000, dtype=torch.float64)
    with torch.no_grad():
        ours = model(mixture)
        theirs = authors_separation(state, mixture, PUBLISHED["n_fft"], PUBLISHED["hop"], name)
    assert theirs.std() > 1e-2
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8 * float(theirs.abs().max()))


def test_the_published_subband_file_has_888_weights():
    state = published_layout(
        NAMES[1], PUBLISHED["widths"], PUBLISHED["n_fft"]
    )  # the count does not depend on the widths
    assert len(state) == 888  # counted in the authors' file
    build(NAMES[1], **PUBLISHED).load_published(state)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda s: s.pop("encoder_block3.conv_block.conv2b.weight"),
            r"lacks encoder\.2\.stage\.1\.layers\.1\.conv\.weight",
        ),
        (
            lambda s: s.update({"encoder_block9.bn1.weight": torch.ones(2)}),
            r"has unexpected encoder_block9\.bn1\.weight",
        ),
        (lambda s: s.update({"stft.extra": torch.ones(2)}), "has unexpected stft.extra"),
        (lambda s: s["after_conv2.bias"].fill_(float("nan")), "head.bias holds NaN"),
        (lambda s: s.update({"after_conv2.bias": torch.zeros(3)}), r"head.bias has shape \(3,\)"),
        (
            lambda s: s.update({"stft.conv_real.weight": torch.zeros(65, 1, 128)}),
            "for another STFT than .* Hann window of 256 samples",
        ),
        (lambda s: s["stft.conv_real.weight"].fill_(1.0), "for another STFT"),
    ],
)
def test_published_files_that_do_not_fit_are_refused(change, message):
    state = published_layout(NAMES[2], PUBLISHED["widths"], PUBLISHED["n_fft"])
    change(state)
    model = build(NAMES[2], **PUBLISHED)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(SepkitError, match=message) as error:
        model.load_published(state)
    assert "\n" not in str(error.value)
    assert all(
        torch.equal(before[key], value) for key, value in model.state_dict().items()
    )  # nothing half-loaded


def test_published_files_of_another_network_are_refused():
    state = published_layout(NAMES[2], PUBLISHED["widths"], PUBLISHED["n_fft"])
    with pytest.raises(
        SepkitError, match="does not fit resunet-subbandtime: lacks .* more, has unexpected"
    ):
        build(NAMES[1], **PUBLISHED).load_published(state)
