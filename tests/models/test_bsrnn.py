"""The band-split RNN against a version written band by band, published sizes, and the properties
others lack.
"""

import json
import math
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch

from sepkit import audio, separation
from sepkit.errors import SepkitError
from sepkit.models import build, load, save
from sepkit.models.bands import SPLITS, band_edges
from sepkit.models.bsrnn import SIZES
from sepkit.models.bsrnn_layers import BandSplit
from sepkit.models.bsrnn_readable import readable_bsrnn

SMALL = dict(
    features=8, layers=2, n_fft=512, hop=128, sample_rate=8000, split=[[1000, 100], [3000, 250]]
)


def made(**settings):
    """A small network, with nothing left at zero or one."""
    torch.manual_seed(0)
    return shake(build("bsrnn", **{**SMALL, **settings})).eval()


@torch.no_grad()
def shake(module, by=0.1):
    for value in module.parameters():
        value.add_(by * torch.randn_like(value))
    return module


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- equal to the plain version


@pytest.mark.parametrize(
    "settings",
    [{}, {"channels": 1}, {"split": "V5", "sample_rate": 44100, "n_fft": 2048, "hop": 512}],
)
@torch.no_grad()
def test_masks_equal_those_computed_band_by_band(settings):
    model = made(**settings)
    spectrum = model.stft(noise(2, model.channels, 9000))
    expected = readable_bsrnn(model)(spectrum)
    assert (model.mask(spectrum) - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())


@pytest.mark.slow
@torch.no_grad()
def test_six_seconds_at_the_papers_size_equal_the_plain_version():
    model = build("bsrnn").eval()
    spectrum = model.stft(noise(1, 2, 6 * 44100))
    assert (model.mask(spectrum) - readable_bsrnn(model)(spectrum)).abs().max() <= 1e-5


def test_gradients_equal_those_of_the_plain_version():
    model = made().train()
    reference = readable_bsrnn(model)
    spectrum = model.stft(noise(2, 2, 4000))
    for network in (model.mask, reference):
        network(spectrum).abs().square().mean().backward()
    theirs = dict(reference.bandsequence.bsrnn.named_parameters())
    for key, ours in model.layers.named_parameters():
        torch.testing.assert_close(
            ours.grad, theirs[key.replace("norm", "groupnorm")].grad, atol=1e-6, rtol=1e-3
        )
    for group, (_, bands) in enumerate(model.encoder.groups):
        expected = torch.stack([reference.bandsplit.fcs[band].bias.grad for band in bands])
        torch.testing.assert_close(
            model.encoder.maps[group].bias.grad[:, 0], expected, atol=1e-6, rtol=1e-3
        )
        expected = torch.stack([reference.maskest.mlp[band].mlp[0].weight.grad.T for band in bands])
        torch.testing.assert_close(
            model.decoder.hidden[group].weight.grad, expected, atol=1e-6, rtol=1e-3
        )


@torch.no_grad()
def test_independent_stereo_is_mono_twice():
    model, mono = made(stereo="independent"), made(channels=1)
    mono.load_state_dict(model.state_dict())
    mixture = noise(2, 2, 5000)
    expected = torch.cat([mono(mixture[:, c : c + 1]) for c in range(2)], 1)
    assert (model(mixture) - expected).abs().max() <= 1e-5 * expected.abs().max()


# ---- sizes


def paper_count(split, features, layers, channels=1, deeper=False):
    """Parameters by the paper's description.

    `deeper`: with a second hidden layer in the mask estimators.
    """
    bands, values, hidden, mlp = (
        len(band_edges(split)) - 1,
        2 * channels * 1025,
        2 * features,
        4 * features,
    )
    encoder = 2 * values + values * features + bands * features
    lstm = 2 * (4 * hidden * (features + hidden) + 2 * 4 * hidden)
    recurrent = 2 * features + lstm + 2 * hidden * features + features
    decoder = bands * (
        2 * features + features * mlp + mlp + deeper * (mlp * mlp + mlp)
    ) + 2 * values * (mlp + 1)
    return encoder + 2 * layers * recurrent + decoder


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("split", SPLITS)
def test_parameters_are_those_of_the_papers_sizes(split):
    for channels in (1, 2):
        settings = {**SIZES["small"], "split": split, "channels": channels}
        assert count(build("bsrnn", **settings)) == paper_count(split, 64, 8, channels)


def test_the_count_agrees_with_a_published_replication():
    # arXiv 2603.09187 reports 36.42 M (large vocals), 32.80 M, 41.02 M and 8.02 M (small), with
    # one hidden layer more.
    large = [("V7", 128, 12, 36.42), ("bass", 128, 12, 32.80), ("drums", 128, 12, 41.02)]
    for split, features, layers, millions in (*large, ("V7", 64, 8, 8.02)):
        assert round(paper_count(split, features, layers, deeper=True) / 1e6, 2) == millions
    assert count(build("bsrnn", stereo="independent")) == paper_count("V7", 128, 12)


@pytest.mark.parametrize(
    "target, parameters", [("vocals", 32_414_628), ("bass", 33_371_812), ("drums", 35_954_340)]
)
def test_the_public_layout_has_the_published_number_of_parameters(target, parameters):
    assert count(build("bsrnn", target=target, norm_frames=263)) == parameters


def test_sizes_grow():
    counts = [
        count(build("bsrnn", **SIZES[size])) for size in ("student", "small", "medium", "large")
    ]
    assert counts == sorted(counts) and counts[0] < 1e6


# ---- any length, scale, silence


@pytest.mark.parametrize("samples", [1, 127, 511, 512, 5003])
@torch.no_grad()
def test_any_length_goes_in_and_comes_out(samples):
    out = made()(noise(1, 2, samples))
    assert out.shape == (1, 2, samples) and torch.isfinite(out).all()


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("g++") or not Path(sysconfig.get_paths()["include"], "Python.h").is_file(),
    reason="torch.compile needs a C++ compiler and Python's headers, which are not here",
)
def test_the_band_split_compiles_for_spectra_as_the_stft_lays_them_out(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    split = BandSplit([0, 2, 4, 9], 2, 4)
    compiled = torch.compile(split, dynamic=True)
    for frames in (5, 8):
        spectrum = torch.randn(1, 2, frames, 9, dtype=torch.complex64).transpose(2, 3)
        x = torch.view_as_real(spectrum).permute(0, 3, 1, 2, 4)  # (B, L, C, F, 2)
        assert (compiled(x) - split(x)).abs().max() < 1e-5


@torch.no_grad()
def test_louder_in_is_louder_out_and_silence_stays_silence():
    model, mixture = made(), noise(1, 2, 4000)
    before = mixture.clone()
    torch.testing.assert_close(model(10 * mixture), 10 * model(mixture), rtol=1e-3, atol=1e-3)
    assert torch.equal(mixture, before)
    assert model(torch.zeros(1, 2, 4000)).abs().max() == 0


@torch.no_grad()
def test_a_mask_of_one_returns_the_mixture():
    model = made()
    for output in model.decoder.output:
        output.weight.zero_()
        values, gates = output.bias.chunk(2, -1)
        values.copy_(
            (torch.arange(values.shape[-1]) % 2 == 0).float().expand_as(values)
        )  # real part 1, imaginary part 0
        gates.fill_(40.0)  # sigmoid 1
    mixture = noise(2, 2, 3001)
    assert (model(mixture) - mixture).abs().max() < 1e-5


@torch.no_grad()
def test_items_of_a_batch_do_not_touch():
    model, mixture = made(), noise(3, 2, 4000)
    torch.testing.assert_close(model(mixture)[1:2], model(mixture[1:2]), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_windows_are_averaged_where_they_overlap():
    model, whole = made(window=0.25, window_hop=0.1), made()
    mixture = noise(1, 2, 4100)
    starts, size = (0, 800, 1600, 2400), 2000
    total, heard = torch.zeros(1, 2, 4400), torch.zeros(4400)
    for start in starts:
        piece = torch.nn.functional.pad(mixture, (0, 300))[..., start : start + size]
        total[..., start : start + size] += whole(piece)
        heard[start : start + size] += 1
    torch.testing.assert_close(model(mixture), (total / heard)[..., :4100], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        model.train()(mixture), whole(mixture), rtol=1e-4, atol=1e-4
    )  # training sees the chunk as it is


# ---- loss


def test_loss_is_the_formula():
    model, mixture, target = made(), noise(2, 2, 4000), noise(2, 2, 4000, seed=2)
    window = torch.hann_window(512)

    def spectrum(x):
        return torch.stft(x.flatten(0, 1), 512, 128, window=window, return_complex=True).unflatten(
            0, (2, 2)
        )

    with torch.no_grad():
        estimate, wanted = (
            readable_bsrnn(model)(spectrum(mixture)) * spectrum(mixture),
            spectrum(target),
        )
        waveform = torch.istft(
            estimate.flatten(0, 1), 512, 128, window=window, length=4000
        ).unflatten(0, (2, 2))
        expected = (estimate.real - wanted.real).abs().mean() + (
            estimate.imag - wanted.imag
        ).abs().mean()
        torch.testing.assert_close(
            model.loss(mixture, target),
            expected + (waveform - target).abs().mean(),
            rtol=1e-4,
            atol=0,
        )


def test_an_overfitted_network_separates():
    torch.manual_seed(5)
    model = build("bsrnn", **{**SMALL, "channels": 1, "layers": 1})
    time = torch.arange(4000) / 8000
    tone = (torch.sin(2 * torch.pi * 440 * time) * (torch.sin(2 * torch.pi * 3 * time) > 0)).expand(
        1, 1, -1
    )
    mixture = tone + 0.5 * noise(1, 1, 4000)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        model.loss(mixture, tone).backward()
        optimiser.step()
    with torch.no_grad():
        error = (model.eval()(mixture) - tone).square().sum()
    assert 10 * torch.log10(tone.square().sum() / error) > 10


# ---- the public implementation's layout


def public(**settings):
    usual = dict(norm_frames=20, as_published=True, window_hop=0.05)
    return made(**{**usual, **settings})


@pytest.mark.parametrize("channels", [1, 2])
@torch.no_grad()
def test_weights_of_the_public_layout_load_and_compute_the_same(channels):
    model = public(channels=channels)
    reference = shake(readable_bsrnn(model), 0.05)
    assert count(model) == count(reference)
    model.load_published(reference.state_dict())
    spectrum = model.stft(noise(2, channels, 19 * 128))
    mean, deviation = (f(spectrum, (1, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
    expected = reference((spectrum - mean) / (deviation + 1e-5))
    assert (model.mask(spectrum) - expected).abs().max() <= 1e-5 * expected.abs().max()


def decibels_apart(x, expected):
    return float(10 * torch.log10(expected.square().sum() / (x - expected).square().sum()))


def by_the_formula(mask, mixture, size, hop, n_fft=512, step=128):
    """How the public implementation separates, window by window: (C, T) to (C, T)."""
    samples, ends = mixture.shape[-1], size - hop
    windows = 1 + math.ceil((samples + 2 * ends - size) / hop)
    padded = torch.zeros(len(mixture), (windows - 1) * hop + size, dtype=mixture.dtype)
    padded[:, ends : ends + samples] = mixture
    total, hann = torch.zeros_like(padded), torch.hann_window(n_fft, dtype=mixture.dtype)
    for start in range(0, windows * hop, hop):
        window = padded[:, start : start + size]
        x = torch.stft(window, n_fft, step, window=hann, center=True, return_complex=True)
        mean = x.sum() / x.numel()
        deviation = ((x - mean).abs().square().sum() / (x.numel() - 1)).sqrt()
        z = (x - mean) / (deviation + 1e-5)
        y = mask(z[None])[0] * z * deviation + mean
        total[:, start : start + size] += torch.istft(y, n_fft, step, window=hann, length=size)
    return total[:, ends : ends + samples] * hop / size


@pytest.mark.parametrize("level", [0, -20, -40, -60, -80])
@torch.no_grad()
def test_the_public_layout_separates_by_the_formula_at_every_level(level):
    model = public()
    reference = shake(readable_bsrnn(model), 0.05)
    model.load_published(reference.state_dict())
    mixture = 10 ** (level / 20) * noise(2, 5001)
    expected = by_the_formula(reference.double(), mixture.double(), model.window, model.window_hop)
    assert decibels_apart(model(mixture[None])[0], expected) > 110


@torch.no_grad()
def test_a_network_of_ones_own_with_fixed_frames_keeps_its_windows():
    """Checkpoints with norm_frames from before there was as_published: nothing standardised."""
    model, mixture = public(as_published=False, window_hop=None), noise(1, 2, 2 * 2432)
    spectra = [model.stft(mixture[..., :2432]), model.stft(mixture[..., 2432:])]
    model.window_hop = 2432
    expected = [model.stft.inverse(model.mask(x) * x, 2432) for x in spectra]
    assert torch.equal(model(mixture), torch.cat(expected, -1))


@torch.no_grad()
def test_the_ends_are_heard_in_as_many_windows_as_the_middle():
    """With a mask of one, only the number of windows over their mean number is left."""
    model, mixture = public(), 1 + noise(1, 2, 9001).abs()
    model._mask = torch.ones_like
    windows = model(mixture) / mixture * model.window / model.window_hop
    torch.testing.assert_close(windows, windows.round(), atol=1e-3, rtol=0)
    assert set(windows.round().flatten().tolist()) == {6.0, 7.0}  # 2432 / 400 = 6.08
    assert (windows.mean() - 2432 / 400).abs() < 0.05


@torch.no_grad()
def test_silence_stays_silence_in_the_public_layout():
    assert torch.equal(public()(torch.zeros(1, 2, 3000)), torch.zeros(1, 2, 3000))


def test_windows_of_the_public_layout_are_those_of_its_authors():
    model = build("bsrnn", features=8, layers=1, norm_frames=263, as_published=True)
    assert (model.window, model.window_hop) == (134_144, 23_894)
    assert round(model.window / model.window_hop, 3) == 5.614


@torch.no_grad()
def test_the_public_layout_trains_on_standardised_spectrograms():
    model, mixture, target = public(), noise(2, 2, 2432), noise(2, 2, 2432, seed=2)
    spectrum, wanted = model.stft(mixture), model.stft(target)
    spectra, waves = [], []
    for x in spectrum:
        mean, deviation = x.mean(), x.std()
        z = (x - mean) / (deviation + 1e-5)
        spectra.append(model._mask(z[None])[0] * z * deviation + mean)
        waves.append(model.stft.inverse(spectra[-1], 2432))
    error = torch.stack(spectra) - wanted
    expected = error.real.abs().mean() + error.imag.abs().mean()
    expected = expected + (torch.stack(waves) - target).abs().mean()
    torch.testing.assert_close(model.loss(mixture, target), expected)


@torch.no_grad()
def test_the_public_layout_takes_any_length_by_windows_of_its_own():
    model = public()
    assert model.window == 19 * 128
    for samples in (1, 1000, 2432, 7001):
        out = model(noise(1, 2, samples))
        assert out.shape == (1, 2, samples) and torch.isfinite(out).all()
    short = noise(1, 2, 1000)
    padded = torch.nn.functional.pad(short, (0, 2432 - 1000))
    torch.testing.assert_close(model(short), model(padded)[..., :1000])


def change(key, value=None):
    return lambda state: {
        **{k: v for k, v in state.items() if k != key},
        **({} if value is None else {key: value}),
    }


@pytest.mark.parametrize(
    "edit, message",
    [
        (change("maskest.mlp.3.mlp.2.weight"), r"lack maskest\.mlp\.3\.mlp\.2\.weight;"),
        (
            change("bandsplit.fcs.99.bias", torch.ones(2)),
            r"hold an unexpected bandsplit\.fcs\.99\.bias;",
        ),
        (
            change("bandsplit.fcs.4.weight", torch.ones(3, 3)),
            r"bandsplit\.fcs\.4\.weight is for \(3, 3\) values",
        ),
        (
            change("bandsplit.fcs.4.bias", torch.full((8,), float("nan"))),
            "encoder.maps.0.bias holds NaN",
        ),
        (
            lambda state: {f"model.{key}": value for key, value in state.items()},
            r"lack bandsequence.* \.\.\.;",
        ),
    ],
)
def test_published_weights_that_do_not_fit_are_named(edit, message):
    model = public()
    with pytest.raises(SepkitError, match=message) as error:
        model.load_published(edit(readable_bsrnn(model).state_dict()))
    assert "\n" not in str(error.value)


def test_published_weights_need_the_public_layout():
    with pytest.raises(SepkitError, match="norm_frames=263, as_published=True"):
        made().load_published({})


# ---- precision


@pytest.mark.parametrize("precision, decibels", [("bfloat16", 20), ("int8", 15)])
@torch.no_grad()
def test_lower_precision_stays_close(precision, decibels):
    model, mixture = made(features=16), noise(1, 2, 8000)
    exact = model(mixture)
    model.set_precision(precision)
    rough = model(mixture)
    error = (rough - exact).square().sum()
    assert rough.dtype == torch.float32 and error > 0
    assert 10 * torch.log10(exact.square().sum() / error) > decibels


def test_training_in_bfloat16_follows_the_same_gradient():
    def gradient(precision):
        model = made(precision=precision).train()
        model.loss(noise(1, 2, 4000), noise(1, 2, 4000, seed=2)).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    assert torch.cosine_similarity(gradient("float32"), gradient("bfloat16"), 0) > 0.98


# ---- checkpoints and separators


def test_a_checkpoint_separates_through_the_separator(tmp_path):
    model = made()
    path = save(tmp_path / "vocals.safetensors", model)
    again = load(path)
    assert (
        again.settings == model.settings
        and json.loads(json.dumps(model.settings)) == model.settings
    )
    separator = separation.get(path, device="cpu")
    mixture = noise(2, 9000)
    with torch.no_grad():
        expected = model(mixture[None])[0]
    torch.testing.assert_close(
        separator.separate(mixture)["vocals"], expected, rtol=1e-4, atol=1e-4
    )


def test_a_file_is_separated_in_chunks(tmp_path):
    audio.write(tmp_path / "song.wav", 0.1 * noise(2, 24000), 8000)
    save(tmp_path / "vocals.safetensors", made())
    separator = separation.get(tmp_path / "vocals.safetensors", device="cpu")
    separation.separate_file(
        tmp_path / "song.wav", separator, tmp_path / "out", chunk=1.0, overlap=0.5
    )
    estimate, rate = audio.read(tmp_path / "out" / "song" / "vocals.wav")
    assert rate == 8000 and estimate.shape == (2, 24000) and estimate.abs().max() > 0


def test_checkpoints_of_other_models_are_refused(tmp_path):
    path = save(tmp_path / "vocals.safetensors", made())
    with pytest.raises(
        SepkitError, match="a checkpoint of bsrnn, where one of open-unmix was expected"
    ):
        load(path, model="open-unmix")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: made()(torch.zeros(1, 1, 2000)), r"for 2 channel\(s\): got .* \(1, 1, 2000\)"),
        (lambda: made()(torch.zeros(1, 2, 0)), r"a mixture of shape \(1, 2, 0\)"),
        (lambda: made()(torch.zeros(2, 2000)), r"\(batch, 2, samples\)"),
        (
            lambda: made().loss(torch.zeros(1, 2, 2000), torch.zeros(1, 2, 1999)),
            r"a target of shape \(1, 2, 2000\) .* not \(1, 2, 1999\)",
        ),
        (
            lambda: public().loss(torch.zeros(1, 2, 5000), torch.zeros(1, 2, 5000)),
            "chunks of 2432 samples; these have 5000",
        ),
        (lambda: build("bsrnn", features=0), "features=0: a whole number"),
        (
            lambda: build("bsrnn", stereo="joint"),
            "unknown stereo 'joint': choose from features, independent",
        ),
        (lambda: made().set_loss("mse"), "unknown loss 'mse': choose from l1, nmse, sdr"),
        (lambda: build("bsrnn", precision="float16"), "unknown precision 'float16'"),
        (lambda: build("bsrnn", split="V9"), "unknown band split 'V9'"),
        (
            lambda: build("bsrnn", window=3, window_hop=4),
            "window_hop=4: more than 0 and at most the window of 3.00 s",
        ),
        (lambda: build("bsrnn", as_published=True), "as_published=True: needs norm_frames"),
        (lambda: build("bsrnn", norm_frames=263, window=3), "fixes the window; leave window=3 out"),
        (lambda: made(precision="int8").train()(torch.zeros(1, 2, 2000)), "separation on a CPU"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(SepkitError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
