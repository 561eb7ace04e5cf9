"""Open-Unmix against its authors' package, and the properties that package lacks."""

import warnings

import numpy as np
import pytest
import torch

from sepkit.datasets import MemoryTrack
from sepkit.errors import SepkitError
from sepkit.models import build

SMALL = dict(hidden=16, layers=2, n_fft=256, hop=64, sample_rate=8000, bandwidth=3000)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return shake(build("open-unmix", **SMALL))


def shake(model):
    """Random values everywhere, batch normalisation included, so that nothing is hidden by zeros
    and ones.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(
                torch.rand_like(value) + 0.5
                if "var" in name or "scale" in name
                else torch.randn_like(value) * 0.3
            )
    return model


def reference_model(**settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("openunmix.model").OpenUnmix(**settings)


@pytest.mark.parametrize(
    "settings, parameters",
    [
        ({}, 8_893_348),
        ({"hidden": 1024}, 28_257_188),
        (
            {"hidden": 256, "channels": 1, "n_fft": 1024, "hop": 512, "sample_rate": 16000},
            1_583_622,
        ),
    ],
    ids=["umxhq", "umxl", "umxse"],
)
def test_parameter_count_is_the_published_one(settings, parameters):
    assert sum(p.numel() for p in build("open-unmix", **settings).parameters()) == parameters


@pytest.mark.parametrize("ours_to_theirs", [True, False])
@pytest.mark.parametrize("unidirectional", [False, True])
def test_magnitudes_equal_those_of_the_authors_package(ours_to_theirs, unidirectional):
    torch.manual_seed(1)
    ours = shake(
        build("open-unmix", hidden=32, n_fft=1024, hop=256, unidirectional=unidirectional)
    ).eval()
    theirs = reference_model(
        nb_bins=513,
        nb_channels=2,
        hidden_size=32,
        max_bin=ours.bins_seen,
        unidirectional=unidirectional,
    ).eval()
    shake(theirs)
    source, sink = (ours, theirs) if ours_to_theirs else (theirs, ours)
    sink.load_state_dict(source.state_dict(), strict=True)
    mixture = torch.rand(2, 2, 513, 30) * 5
    with torch.no_grad():
        difference = (ours.magnitude(mixture) - theirs(mixture)).abs().max()
    assert difference <= 1e-5


def test_full_size_state_dict_equals_the_authors_in_names_and_shapes():
    ours, theirs = build("open-unmix"), reference_model(nb_bins=2049, max_bin=1487)
    shapes = [
        {key: tuple(value.shape) for key, value in model.state_dict().items()}
        for model in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]


def test_gradients_equal_those_of_the_authors_package(small):
    theirs = reference_model(nb_bins=129, hidden_size=16, nb_layers=2, max_bin=small.bins_seen)
    theirs.load_state_dict(small.state_dict())
    theirs.lstm.dropout = small.lstm.dropout = 0.0
    mixture, target = torch.rand(2, 2, 129, 20), torch.rand(2, 2, 129, 20)
    for estimate in (small.magnitude(mixture), theirs(mixture)):
        (estimate - target).square().mean().backward()
    reference = dict(theirs.named_parameters())
    for name, ours in small.named_parameters():
        torch.testing.assert_close(
            ours.grad,
            reference[name].grad,
            atol=1e-5,
            rtol=1e-4,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def test_a_mask_of_one_returns_the_mixture(small):
    # With zero weights after the bottleneck the mask is relu(output_mean) everywhere.
    torch.nn.init.zeros_(small.bn3.weight)
    torch.nn.init.zeros_(small.bn3.bias)
    torch.nn.init.ones_(small.output_mean)
    mixture = torch.randn(2, 2, 3001)
    assert (small.eval()(mixture) - mixture).abs().max() < 1e-5


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 4000])
def test_any_length_goes_in_and_comes_out(small, samples):
    out = small.eval()(torch.randn(1, 2, samples))
    assert out.shape == (1, 2, samples) and torch.isfinite(out).all()


def test_silence_stays_silence_and_the_input_is_not_modified(small):
    mixture = torch.zeros(1, 2, 2000)
    mixture[..., 1000:] = torch.randn(1000)
    before = mixture.clone()
    out = small.eval()(mixture)
    assert torch.equal(mixture, before)
    assert out[..., :700].abs().max() == 0


def test_bins_above_the_bandwidth_do_not_reach_the_network(small):
    small.eval()
    low = torch.rand(1, 2, 129, 10)
    high = low.clone()
    high[:, :, small.bins_seen :] *= 7
    a, b = small.magnitude(low), small.magnitude(high)
    assert torch.equal(a[:, :, : small.bins_seen], b[:, :, : small.bins_seen])
    torch.testing.assert_close(7 * a[:, :, small.bins_seen :], b[:, :, small.bins_seen :])


def test_streaming_in_blocks_equals_one_pass():
    torch.manual_seed(2)
    model = shake(build("open-unmix", **{**SMALL, "unidirectional": True})).eval()
    mixture = torch.rand(1, 2, 129, 50)
    state, blocks = None, []
    with torch.no_grad():
        for block in mixture.split([1, 7, 30, 12], dim=-1):
            estimate, state = model.stream(block, state)
            blocks.append(estimate)
        assert (torch.cat(blocks, -1) - model.magnitude(mixture)).abs().max() <= 1e-5


def test_a_bidirectional_model_refuses_to_stream(small):
    _, state = small.stream(torch.rand(1, 2, 129, 5))
    with pytest.raises(SepkitError, match="unidirectional=True"):
        small.stream(torch.rand(1, 2, 129, 5), state)


@pytest.mark.parametrize("kind", ["mse", "l1", "dual", "nmse"])
def test_loss_is_the_formula(kind):
    torch.manual_seed(3)
    model = shake(build("open-unmix", **SMALL, loss=kind)).eval()
    mixture, target = torch.randn(2, 2, 2, 4000).unbind(0)
    center = kind == "dual"
    window = torch.hann_window(256)

    def spectrum(x):
        return torch.stft(
            x.flatten(0, 1), 256, 64, window=window, center=center, return_complex=True
        ).unflatten(0, (2, 2))

    X, S = spectrum(mixture), spectrum(target).abs()
    Y = model.magnitude(X.abs())
    error = ((Y - S) ** 2).mean((1, 2, 3))
    expected = {
        "mse": error.mean(),
        "l1": (Y - S).abs().mean(),
        "nmse": (error / ((S**2).mean((1, 2, 3)) + 0.1 * (X.abs() ** 2).mean((1, 2, 3)))).mean(),
    }
    if kind == "dual":
        complex_estimate = torch.polar(Y, X.angle()).flatten(0, 1)
        waveform = torch.istft(complex_estimate, 256, 64, window=window, length=4000).unflatten(
            0, (2, 2)
        )
        expected["dual"] = 0.9 * error.mean() + 0.1 * ((waveform - target) ** 2).mean()
    torch.testing.assert_close(model.loss(mixture, target), expected[kind], rtol=1e-4, atol=1e-6)


def test_six_seconds_are_255_frames_in_training():
    model = build("open-unmix", hidden=8)
    assert model.training_stft(torch.zeros(1, 2, 6 * 44100)).shape == (1, 2, 2049, 255)


def test_input_statistics_are_those_of_all_frames(small):
    torch.manual_seed(4)
    mixtures = [torch.randn(2, 5000) * torch.linspace(0, 1, 5000), torch.randn(2, 3000)]
    small.fit_input(mixtures)
    frames = np.concatenate(
        [
            torch.stft(m, 256, 64, window=torch.hann_window(256), return_complex=True)
            .abs()
            .mean(0)
            .numpy()
            for m in mixtures
        ],
        axis=-1,
    )
    np.testing.assert_allclose(
        small.input_mean.detach(), -frames.mean(-1)[: small.bins_seen], rtol=1e-4
    )
    np.testing.assert_allclose(
        small.input_scale.detach(), 1 / frames.std(-1)[: small.bins_seen], rtol=1e-3
    )


def test_input_deviation_has_a_floor(small):
    tone = torch.sin(2 * torch.pi * 8 * torch.arange(8000) / 256).expand(2, -1) * torch.linspace(
        0, 1, 8000
    )
    small.fit_input([tone.clone()])
    deviations = 1 / small.input_scale.detach()
    assert deviations.min() >= 0.999e-4 * deviations.max()
    with pytest.raises(SepkitError, match="silent"):
        small.fit_input([torch.zeros(2, 4000)])


def test_published_whole_separator_state_dict_loads(small):
    theirs = {f"target_models.vocals.{key}": value for key, value in small.state_dict().items()}
    theirs.update(
        {
            "sample_rate": torch.tensor(8000.0),
            "stft.window": torch.ones(256),
            "istft.window": torch.ones(256),
        }
    )
    other = build("open-unmix", **SMALL)
    other.load_published(theirs)
    assert all(
        torch.equal(a, b)
        for a, b in zip(other.state_dict().values(), small.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: build("open-umix"), "unknown model 'open-umix': choose from open-unmix"),
        (
            lambda: build("open-unmix", width=3),
            "unknown setting of open-unmix 'width': choose from target, hidden",
        ),
        (
            lambda: build("open-unmix", loss="l2"),
            "unknown loss 'l2': choose from mse, l1, dual, nmse",
        ),
        (lambda: build("open-unmix", hidden=7), "hidden=7: an even number"),
        (
            lambda: build("open-unmix", **SMALL).magnitude(torch.rand(1, 1, 129, 4)),
            "built for 2 channel",
        ),
        (
            lambda: build("open-unmix", **SMALL).loss(torch.rand(1, 2, 100), torch.rand(1, 2, 100)),
            "shorter than one window",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message.replace("(", r"\(")) as error:
        call()
    assert "\n" not in str(error.value)


def test_an_overfitted_network_separates():
    """Noise and a tone in different bands: after a few steps the mask must tell them apart."""
    torch.manual_seed(5)
    model = build("open-unmix", **{**SMALL, "dropout": 0.0})
    time = torch.arange(8000) / 8000
    tone = (torch.sin(2 * torch.pi * 440 * time) * (torch.sin(2 * torch.pi * 3 * time) > 0)).expand(
        1, 2, -1
    )
    noise = torch.randn(1, 2, 8000) * 0.5
    track = MemoryTrack("t", {"vocals": tone[0], "other": noise[0]}, 8000)
    model.fit_input([track.mixture()])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        model.loss(tone + noise, tone).backward()
        optimiser.step()
    with torch.no_grad():
        estimate = model.eval()(tone + noise)

    def sdr(x):
        return 10 * torch.log10(tone.square().sum() / (tone - x).square().sum())

    assert sdr(estimate) > sdr(tone + noise) + 10
