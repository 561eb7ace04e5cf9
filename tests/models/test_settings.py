"""Settings of networks: anything makes a network that works, or one line says what is wrong."""

import inspect
import math

import pytest
import torch

from sepkit.audio.reading import LARGEST as LOUDEST
from sepkit.errors import SepkitError
from sepkit.models import MODELS, build
from sepkit.models.registry import LARGEST, model_class, outline
from sepkit.separation import ModelSeparator
from sepkit.training.presets import recipe_for, students

ODD = (
    0,
    -1,
    1,
    2,
    3,
    1.5,
    2.0,
    math.nan,
    math.inf,
    -math.inf,
    1e9,
    10**9,
    10**40,
    1e308,
    "x",
    "",
    "a" * 999,
    True,
    None,
    [],
    [0],
    [1.5],
    [[]],
    [[1, 2]],
    [None],
    ["vocals"],
    {},
    {"a": 1},
)
#: Small ones, so that what can be built is built and run in no time.
SMALL = {
    **{name: recipe_for(name)[1] for name in students()},
    "open-unmix": dict(hidden=8, layers=1, n_fft=256, hop=64, sample_rate=8000, bandwidth=4000),
    "open-unmix-transformer": dict(
        hidden=8, layers=1, heads=2, n_fft=256, hop=64, sample_rate=8000, bandwidth=4000
    ),
    "open-unmix-waveform": dict(hidden=8, layers=1, levels=3, filters=4, sample_rate=8000),
    "bsrnn": dict(
        features=8,
        hidden=8,
        layers=1,
        mlp=8,
        split=[[4000, 500]],
        n_fft=256,
        hop=128,
        sample_rate=8000,
    ),
    "tfc-tdf": dict(
        n_fft=256,
        hop=64,
        bins=128,
        growth=4,
        depth=2,
        convolutions=1,
        bottleneck=2,
        sample_rate=8000,
    ),
    "scnet": dict(
        widths=(8,), depths=(1, 1, 1), layers=2, n_fft=256, hop=64, sample_rate=8000, segment=1.0
    ),
    **{
        name: dict(widths=(4, 8), blocks=1, bottleneck=1, n_fft=128, hop=32, sample_rate=8000)
        for name in ("resunet-ismir2021", "resunet-subbandtime", "resunet-mobilenet")
    },
    "wave-u-net": dict(levels=3, filters=4, sample_rate=8000, context=False),
    "conv-tasnet": dict(
        filters=16, length=16, width=8, hidden=8, layers=2, stacks=1, sample_rate=8000
    ),
    "htdemucs": dict(
        width=8, n_fft=256, depth=2, bottleneck=8, layers=2, heads=2, sample_rate=8000, segment=1.0
    ),
    **{
        name: dict(
            bands=bands,
            width=8,
            depth=1,
            heads=2,
            head_width=4,
            n_fft=256,
            hop=64,
            sample_rate=8000,
            segment=1.0,
        )
        for name, bands in (("bs-roformer", (9, 40, 80)), ("mel-roformer", 6))
    },
    "moises-light": dict(
        width=8,
        depth=1,
        bands=2,
        bins=64,
        blocks=1,
        heads=2,
        head_width=4,
        n_fft=256,
        hop=64,
        sample_rate=8000,
        segment=1.0,
    ),
    "deep-conv-sep": dict(
        filters=4, kernel=3, frames=6, step_frames=2, hidden=4, n_fft=256, hop=64, sample_rate=8000
    ),
    "spleeter": dict(width=2, depth=2, bins=64, frames=16, n_fft=256, hop=64, sample_rate=8000),
}


def every_setting():
    """All (model, setting); the two Demucs, which take longest, are for the slow tests."""
    for name in MODELS:
        marks = pytest.mark.slow if "demucs" in name else ()
        yield from (
            pytest.param(name, setting, marks=marks)
            for setting in inspect.signature(model_class(name)).parameters
        )


@pytest.mark.parametrize("name, setting", list(every_setting()))
def test_any_value_makes_a_network_that_works_or_one_line(name, setting):
    for value in ODD:
        try:
            model = build(name, **{**SMALL[name], setting: value})
        except SepkitError as error:
            assert "\n" not in str(error) and len(str(error)) < 600
            continue
        samples = 2 * SMALL[name].get("n_fft", 256)
        mixture = 0.1 * torch.randn(
            2, model.channels, samples, generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            try:
                estimates = model.eval()(mixture)
            except SepkitError as error:  # such as too short a mixture for a setting: named as well
                assert "\n" not in str(error)
                continue
        for estimate in estimates.values() if isinstance(estimates, dict) else [estimates]:
            assert estimate.shape == mixture.shape and torch.isfinite(estimate).all(), (
                setting,
                value,
            )
        again = build(name, **model.settings)  # what a checkpoint holds rebuilds it
        assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_audio_of_any_length_and_level_gives_finite_estimates_of_that_length(name, channels):
    """As `sepkit separate` runs a network, up to the loudest that is read from a file."""
    torch.manual_seed(0)
    net = build(name, **SMALL[name], channels=channels)
    separator = ModelSeparator(net, device="cpu")
    hop, window = (getattr(net.stft, part, 64) for part in ("hop", "n_fft"))
    for samples in (1, hop - 1, hop, window // 2 + 1, 777):
        for level in (0.0, 1e-9, LOUDEST):
            mixture = level * torch.randn(channels, samples).clamp(-1, 1)
            estimates = separator.separate(mixture)
            assert set(estimates) == set(net.targets)
            for estimate in estimates.values():
                assert estimate.shape == mixture.shape and estimate.isfinite().all(), (
                    samples,
                    level,
                )


@pytest.mark.parametrize("name", MODELS)
def test_the_outline_has_the_shapes_of_the_network_without_its_memory(name):
    torch.manual_seed(0)
    state, shapes = (
        build(name, **SMALL[name]).state_dict(),
        outline(name, **SMALL[name]).state_dict(),
    )
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in shapes.items()
    }
    assert all(value.device.type == "meta" for value in outline(name, **SMALL[name]).parameters())


@pytest.mark.parametrize("name", MODELS)
def test_looking_at_the_size_first_changes_no_weight(name):
    torch.manual_seed(3)
    weights = build(name, **SMALL[name]).state_dict()
    torch.manual_seed(3)
    plain = model_class(name)(**SMALL[name]).state_dict()
    assert all(torch.equal(weights[key], value) for key, value in plain.items())


def test_a_network_beyond_the_limit_is_refused_before_memory_is_taken():
    with pytest.raises(
        SepkitError,
        match="open-unmix with hidden=65536, layers=64 would have .* billion weights; at most 1",
    ):
        build("open-unmix", hidden=65536, layers=64)
    assert (
        sum(
            value.numel()
            for value in outline("open-unmix", hidden=65536, layers=64).state_dict().values()
        )
        > LARGEST
    )


def test_the_message_says_what_was_expected():
    with pytest.raises(
        SepkitError, match="^hidden=1.5: a whole number from 1 to 65536 was expected$"
    ):
        build("open-unmix", hidden=1.5)
    with pytest.raises(
        SepkitError, match="^bandwidth=nan: a number from 1 to 1000000 was expected$"
    ):
        build("open-unmix", bandwidth=math.nan)
    with pytest.raises(SepkitError, match="^unidirectional='no': true or false was expected$"):
        build("open-unmix", unidirectional="no")
    assert build("open-unmix", **{**SMALL["open-unmix"], "hidden": 8.0}).settings["hidden"] == 8
