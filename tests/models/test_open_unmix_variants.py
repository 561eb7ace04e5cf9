"""The variants: against independent layers, closed forms, and what any network here must do."""

import math

import pytest
import torch
from torch import nn

from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.open_unmix_variants import TransformerLayer, positions
from sepkit.separation import ModelSeparator

TRANSFORMER, WAVEFORM = "open-unmix-transformer", "open-unmix-waveform"
SMALL = {
    TRANSFORMER: dict(
        hidden=16,
        layers=2,
        heads=2,
        n_fft=256,
        hop=64,
        sample_rate=8000,
        bandwidth=3000,
        dropout=0.0,
    ),
    WAVEFORM: dict(
        hidden=16,
        layers=1,
        levels=4,
        filters=4,
        kernel=5,
        merge_kernel=3,
        sample_rate=8000,
        dropout=0.0,
    ),
}
both = pytest.mark.parametrize("name", SMALL)


def small(name, **settings):
    torch.manual_seed(0)
    return build(name, **{**SMALL[name], **settings})


def count(model):
    return sum(p.numel() for p in model.parameters())


# --- both


@both
@pytest.mark.parametrize("samples", [1, 63, 255, 256, 1000, 4001])
def test_any_length_goes_in_and_comes_out(name, samples):
    model = small(name).eval()
    mixture = torch.randn(2, 2, samples)
    before = mixture.clone()
    out = model(mixture)
    assert out.shape == mixture.shape and torch.isfinite(out).all() and out.abs().max() > 0
    assert torch.equal(mixture, before)


@both
def test_a_checkpoint_rebuilds_it_bit_for_bit(name, tmp_path):
    model, mixture = small(name, target="bass").eval(), torch.randn(1, 2, 3000)
    loaded = load(save(tmp_path / "bass.safetensors", model), model=name)
    assert loaded.settings == model.settings and loaded.targets == ("bass",)
    assert torch.equal(loaded(mixture), model(mixture))


@both
@pytest.mark.parametrize("sample_rate, channels", [(22050, 2), (16000, 1)])
def test_other_rates_and_mono_are_a_setting(name, sample_rate, channels):
    model = small(name, sample_rate=sample_rate, channels=channels).eval()
    assert (model.sample_rate, model.channels) == (sample_rate, channels)
    audio = torch.randn(channels, 2000)
    estimate = ModelSeparator(model, device="cpu").separate(audio)["vocals"]
    assert torch.allclose(estimate, model(audio[None])[0], atol=1e-6)


@both
def test_gradients_reach_every_weight(name):
    model = small(name)
    model.loss(*0.1 * torch.randn(2, 2, 2, 2048)).backward()
    without = [
        key
        for key, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.abs().max() > 0
    ]
    assert not without


@both
@pytest.mark.parametrize("kind", ["mse", "l1"])
def test_training_lowers_the_loss_to_near_nothing(name, kind):
    """A tone in noise, always the same example."""
    model = small(name, loss=kind)
    tone = torch.sin(2 * math.pi * 440 * torch.arange(2048) / 8000).expand(1, 2, -1)
    noise = 0.3 * torch.randn(1, 2, 2048)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(80):
        optimiser.zero_grad()
        loss = model.loss(tone + noise, tone)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < {"mse": 0.15, "l1": 0.5}[kind] * losses[0]


@both
def test_the_examples_of_a_batch_do_not_meet(name):
    model = small(name).eval()
    mixture = torch.randn(3, 2, 2000)
    assert torch.allclose(model(mixture)[1:2], model(mixture[1:2]), atol=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: small(TRANSFORMER, heads=3), "heads=3: a number that divides hidden=16"),
        (lambda: small(TRANSFORMER, heads=0), "heads=0"),
        (lambda: small(TRANSFORMER, hidden=7, heads=7), "hidden=7: an even number"),
        (
            lambda: small(TRANSFORMER, loss="l2"),
            "unknown loss 'l2': choose from mse, l1, dual, nmse",
        ),
        (
            lambda: small(TRANSFORMER, unidirectional=True),
            "unknown setting of open-unmix-transformer 'unidirectional'",
        ),
        (lambda: small(TRANSFORMER).magnitude(torch.rand(1, 1, 129, 4)), "built for 2 channel"),
        (lambda: small(WAVEFORM, hidden=7), "hidden=7: an even number"),
        (lambda: small(WAVEFORM, levels=0), "levels=0"),
        (lambda: small(WAVEFORM)(torch.randn(1, 1, 100)), "built for 2 channel"),
        (lambda: small(WAVEFORM, output="difference"), "the last target from the others"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


# --- the transformer


def test_parameters_of_the_transformer_are_those_of_open_unmix_with_other_layers_between():
    model, open_unmix = build(TRANSFORMER), build("open-unmix")
    hidden, inner = 512, 2048
    layer = (
        4 * hidden * (hidden + 1) + hidden * inner + inner + inner * hidden + hidden + 4 * hidden
    )
    assert count(model.transformer) == 3 * layer
    assert (
        count(model)
        == count(open_unmix) - count(open_unmix.lstm) + 3 * layer + 2 * hidden
        == 13_620_644
    )
    shared = {
        key: value.shape
        for key, value in model.state_dict().items()
        if not key.startswith(("transformer.", "norm."))
    }
    assert shared == {
        key: value.shape
        for key, value in open_unmix.state_dict().items()
        if not key.startswith("lstm.")
    }


@pytest.mark.parametrize("frames", [1, 2, 57])
def test_a_layer_equals_pytorchs_own(frames):
    torch.manual_seed(1)
    ours = TransformerLayer(24, 3, 40, 0.0)
    theirs = nn.TransformerEncoderLayer(24, 3, 40, 0.0, batch_first=True, norm_first=True)
    names = {"self_attn.in_proj_": "qkv.", "self_attn.out_proj.": "out."}
    state = {}
    for key, value in theirs.state_dict().items():
        for old, new in names.items():
            key = key.replace(old, new)
        state[key] = torch.randn_like(value) * 0.3
    ours.load_state_dict(state)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))
    x = torch.randn(2, frames, 24)
    assert (
        ours(x) - theirs(x)
    ).abs().max() <= 1e-5  # in training mode, so that theirs takes its plain path


def test_positions_are_the_papers():
    table = positions(50, 8)
    for frame in (0, 1, 49):
        for pair in range(4):
            angle = frame / 10000 ** (2 * pair / 8)
            assert table[frame, 2 * pair] == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[frame, 2 * pair + 1] == pytest.approx(math.cos(angle), abs=1e-5)


def test_the_transformer_knows_the_order_only_from_the_positions(monkeypatch):
    model, x = small(TRANSFORMER).eval(), torch.randn(9, 1, 16)
    order = torch.randperm(9)
    assert not torch.allclose(
        model.along_time(x[order], None)[0], model.along_time(x, None)[0][order], atol=1e-3
    )
    monkeypatch.setattr(
        "sepkit.models.open_unmix_variants.positions",
        lambda frames, width: torch.zeros(frames, width),
    )
    assert torch.allclose(
        model.along_time(x[order], None)[0], model.along_time(x, None)[0][order], atol=1e-5
    )


def test_every_frame_hears_every_other_and_blocks_are_refused():
    model = small(TRANSFORMER).eval()
    mixture = torch.rand(1, 2, 129, 20)
    changed = mixture.clone()
    changed[..., 19] += 1
    assert (model.magnitude(changed) - model.magnitude(mixture))[..., 0].abs().max() > 1e-6
    _, state = model.stream(mixture)
    with pytest.raises(SepkitError, match="looks ahead"):
        model.stream(mixture, state)


def test_the_transformer_is_joined_by_the_wiener_filter_like_open_unmix():
    targets = ("vocals", "drums", "bass", "other")
    separator = ModelSeparator(
        {target: small(TRANSFORMER, target=target) for target in targets}, device="cpu"
    )
    assert separator.spectral and separator.niter == 1
    mixture = torch.randn(2, 3000)
    estimates = separator.separate(mixture)
    assert tuple(estimates) == targets and (sum(estimates.values()) - mixture).abs().max() < 0.1


# --- the time-domain variant


def test_parameters_of_the_waveform_variant_are_those_of_its_two_parents():
    model = build(WAVEFORM)
    parent = build(
        "wave-u-net", target="vocals", levels=10, filters=24, output="direct", sample_rate=44100
    )
    width, hidden, lstm = 264, 512, count(build("open-unmix").lstm)
    core = 2 * width * hidden + 2 * hidden * hidden + lstm + 2 * (2 * hidden + width) + 2 * width
    assert count(model) == count(parent) + core == 11_709_886


def test_scales_of_one_leave_the_wave_u_net():
    model, parent = (
        small(WAVEFORM).eval(),
        build(
            "wave-u-net",
            target="vocals",
            levels=4,
            filters=4,
            kernel=5,
            merge_kernel=3,
            context=False,
            output="direct",
            activation="linear",
            sample_rate=8000,
        ),
    )
    nn.init.zeros_(model.middle.bn3.weight)
    state = {
        key.replace("middle.convolution.", "middle."): value
        for key, value in model.state_dict().items()
    }
    parent.load_state_dict(
        {key: value for key, value in state.items() if key in parent.state_dict()}
    )
    mixture = torch.randn(1, 2, 1500)
    assert torch.equal(model(mixture), parent.eval()(mixture))


def test_the_core_scales_what_the_convolution_gives_and_never_below_zero():
    model = small(WAVEFORM).eval()
    nn.init.constant_(model.middle.bn3.weight, 20.0)  # so that many scales would be negative
    x = torch.randn(2, 16, 30)
    scale = model.middle(x) / model.middle.convolution(x)
    assert (scale >= 0).all() and 0.05 < (scale == 0).float().mean() < 0.95 and scale.std() > 0.1


@pytest.mark.parametrize("unidirectional", [False, True])
def test_the_lstm_looks_where_it_may(unidirectional):
    model = small(WAVEFORM, unidirectional=unidirectional).eval()
    x = torch.randn(1, 16, 40)
    changed = x.clone()
    changed[..., 35:] += 1
    difference = (model.middle(changed) - model.middle(x)).abs().amax((0, 1))
    assert (difference[:30].max() == 0) == unidirectional and difference[36:].max() > 0


def test_several_targets_and_context_are_settings_too(tmp_path):
    model = small(WAVEFORM, targets=["vocals", "rest"], output="difference", context=True).eval()
    mixture = torch.randn(1, 2, 900)
    estimates = model(mixture)
    assert list(estimates) == ["vocals", "rest"] and torch.allclose(
        sum(estimates.values()), mixture, atol=1e-5
    )
    loaded = load(save(tmp_path / "a.safetensors", model))
    assert torch.equal(loaded(mixture)["vocals"], estimates["vocals"])


def test_at_44100_hz_the_lstm_takes_the_steps_of_open_unmix():
    model = build(WAVEFORM, hidden=8, layers=1, filters=2).eval()
    seen = []
    model.middle.lstm.register_forward_hook(
        lambda module, inputs, outputs: seen.append(len(inputs[0]))
    )
    model(torch.randn(1, 2, 10 * 1024 + 1))
    assert seen == [11]
