"""Spleeter: sizes, TensorFlow's padding, masks, blocks, the authors' files."""

import pytest
import torch
from torch.nn import functional

from sepkit import separation
from sepkit.errors import SepkitError
from sepkit.files import sha256
from sepkit.models import build, downloads, load, save
from sepkit.models.spleeter import FIVE, SIZES, TWO, UNet
from tests.models import bundles
from tests.separation import real_multitrack as real

SMALL = dict(width=2, depth=3, bins=64, frames=16, n_fft=256, hop=64, sample_rate=8000)
#: Where the command line keeps what it has downloaded.
KEPT = downloads.data_root() / "weights"
SETS = {"two": {}, "four": SIZES["4-stems"], "five": SIZES["5-stems"]}


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**settings):
    """Every weight and statistic drawn, so that nothing is what it is at the start."""
    torch.manual_seed(0)
    net = build("spleeter", **{**SMALL, **settings}).eval()
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            positive = "var" in name or "norms" in name and "weight" in name
            value.uniform_(0.5, 1.5) if positive else value.normal_(std=0.2)
    return net


# Sizes


@pytest.mark.parametrize("kind, networks", [("two", 2), ("four", 4), ("five", 5)])
def test_parameters_are_those_of_the_authors(kind, networks):
    """9,823,749 a stem, less the 2 x 512 of a normalisation that leads nowhere."""
    net = build("spleeter", **SETS[kind])
    assert sum(p.numel() for p in net.parameters()) == networks * (9_823_749 - 2 * 512)
    assert len(net.targets) == networks


# TensorFlow's padding


def down(x, kernel):
    """What TensorFlow calls a convolution of stride 2, padding "same": written as a sum."""
    rows, columns = x.shape[-2] // 2, x.shape[-1] // 2
    y = torch.zeros(kernel.shape[0], rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            for u in range(5):
                for v in range(5):
                    at = 2 * i + u - 1, 2 * j + v - 1
                    if 0 <= at[0] < x.shape[-2] and 0 <= at[1] < x.shape[-1]:
                        y[:, i, j] += kernel[:, :, u, v] @ x[:, at[0], at[1]]
    return y


def test_convolutions_pad_as_tensorflow_and_transposed_ones_are_their_adjoints():
    """<down(x), y> = <x, up(y)> for the same kernel; that defines TensorFlow's transposed one."""
    net, x = UNet(2, 2, 1, "relu").double(), noise(2, 8, 12).double()
    seen = []
    net.down[0].register_forward_hook(lambda _, inputs, y: seen.append(y[0]))
    net(x[None])
    kernel, bias = net.down[0].weight, net.down[0].bias[:, None, None]
    torch.testing.assert_close(seen[0] - bias, down(x, kernel))

    y = noise(2, 4, 6, seed=1).double()
    up = functional.conv_transpose2d(y[None], net.up[0].weight, stride=2)[0, :, 1:-2, 1:-2]
    one = noise(1, 8, 12, seed=2).double()
    torch.testing.assert_close((one * up).sum(), (down(one, net.up[0].weight) * y).sum())


def plain_u_net(net, x):
    """The published network, step by step, for one example (C, N, F)."""
    act = functional.elu if isinstance(net.before, torch.nn.ELU) else None

    def norm(layer, y):
        scale = layer.weight / (layer.running_var + 1e-3).sqrt()
        return (y - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[
            :, None, None
        ]

    skips, x = [], x
    for stage, layer in enumerate(net.down):
        x = down(x, layer.weight) + layer.bias[:, None, None]
        skips.append(x)
        if stage < len(net.down) - 1:
            x = norm(net.down_norms[stage], x)
            x = act(x) if act else torch.where(x > 0, x, 0.2 * x)
    x = skips.pop()
    for layer, after in zip(net.up, net.up_norms):
        x = functional.conv_transpose2d(x[None], layer.weight, layer.bias, 2)[0, :, 1:-2, 1:-2]
        x = norm(after, act(x) if act else x.clamp(min=0))
        x = torch.cat([skips.pop(), x]) if skips else x
    padded = functional.pad(x, (3, 3, 3, 3))[0]
    head = torch.zeros(net.head.bias.numel(), *x.shape[1:], dtype=x.dtype)
    for u in range(4):
        for v in range(4):
            part = padded[2 * u :, 2 * v :][: x.shape[1], : x.shape[2]]
            head += net.head.weight[:, 0, u, v, None, None] * part
    return head + net.head.bias[:, None, None]


@pytest.mark.parametrize("activation", ["relu", "elu"])
def test_the_network_is_the_published_one_step_by_step(activation):
    net = small(activation=activation, depth=2).double().u_nets[0]
    x = noise(2, 16, 24).double().abs()
    with torch.no_grad():
        torch.testing.assert_close(net(x[None])[0], plain_u_net(net, x))


# Masks, frames and blocks


@pytest.mark.parametrize("kind", SETS)
def test_masks_are_the_authors_ratios_and_sum_to_one_below_the_last_bin(kind):
    """Against the formula, frame by frame; the audio before and behind it is silent."""
    net, mixture = small(**SETS[kind]).double(), noise(1, 2, 1500).double()
    count, window = len(net.targets), torch.hann_window(256, dtype=torch.float64)
    padded = functional.pad(mixture[0], (256, 512))
    frames = [padded[:, k * 64 : k * 64 + 256] for k in range(-(-(1500 + 256) // 64))]
    spectrum = torch.fft.rfft(torch.stack(frames, 1) * window)  # (C, N, F)
    x = spectrum.abs()[..., :64]
    x = functional.pad(x, (0, 0, 0, -len(frames) % 16))
    out = []
    with torch.no_grad():
        for block in x.split(16, 1):
            logits = torch.stack([u_net(block[None])[0] for u_net in net.u_nets])
            out.append((logits.softmax(0) if kind == "five" else logits.sigmoid()) * block)
    out = torch.cat(out, 2)[:, :, : len(frames)]  # (J, C, N, F)
    masks = (out**2 + 1e-10 / count) / ((out**2).sum(0) + 1e-10)
    torch.testing.assert_close(masks.sum(0), torch.ones_like(masks[0]))
    masked = functional.pad(masks, (0, 65)) * spectrum
    audio = torch.zeros(count, 2, len(frames) * 64 + 256, dtype=torch.float64)
    for k, piece in enumerate((torch.fft.irfft(masked) * window).unbind(2)):
        audio[..., k * 64 : k * 64 + 256] += piece * 2 / 3
    with torch.no_grad():
        estimates = net.estimate(mixture)[0]
    torch.testing.assert_close(estimates, audio[..., 256 : 256 + 1500])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 63, 64, 255, 257, 3001])
def test_any_length_goes_in_and_comes_out(channels, samples):
    with torch.no_grad():
        estimates = small(channels=channels)(noise(2, channels, samples))
    assert tuple(estimates) == TWO
    assert all(
        y.shape == (2, channels, samples) and torch.isfinite(y).all() for y in estimates.values()
    )


def test_silence_is_silent_and_examples_of_a_batch_do_not_touch_each_other():
    net = small()
    with torch.no_grad():
        assert net.estimate(torch.zeros(1, 2, 1000)).abs().max() == 0
        both = torch.cat([noise(1, 2, 1000), 30 * noise(1, 2, 1000, seed=1)])
        torch.testing.assert_close(
            net.estimate(both)[:1], net.estimate(both[:1]), atol=1e-6, rtol=1e-4
        )


def test_one_stem_alone_is_its_magnitude_with_the_mixtures_phase():
    net, mixture = small(target="vocals"), noise(1, 2, 2000)
    with torch.no_grad():
        estimate = net(mixture)
        spectrum = net.stft(functional.pad(mixture, (256, 256)))
        magnitude = net.magnitudes(spectrum.abs())[:, 0]
        phase = spectrum[:, :, :64] / spectrum[:, :, :64].abs()
        low = functional.pad(magnitude * phase, (0, 0, 0, 65))
        expected = net.stft.inverse(low, 2512)[..., 256:2256]
    assert estimate.shape == mixture.shape
    torch.testing.assert_close(estimate[..., :1500], expected[..., :1500], atol=1e-5, rtol=1e-3)


# Training


def test_the_loss_is_the_sum_over_stems_of_the_mean_error_of_magnitudes():
    net, mixture = small(), noise(2, 2, 2000)
    targets = noise(2, 2, 2, 2000, seed=1)
    with torch.no_grad():
        estimates = net.magnitudes(net.stft(mixture).abs())
        wanted = net.stft(targets).abs()[..., :64, :]
        parts = [(estimates[:, j] - wanted[:, j]).abs().mean() for j in range(2)]
        torch.testing.assert_close(net.loss(mixture, targets), parts[0] + parts[1])


@pytest.mark.parametrize("settings", [{}, SIZES["5-stems"]])
def test_every_weight_learns(settings):
    net = small(**settings).train()
    count = len(net.targets)
    net.loss(noise(2, 2, 2000), noise(2, count, 2, 2000, seed=1)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []


def test_training_tells_two_tones_apart():
    time = torch.arange(1500) / 8000
    stems = torch.stack(
        [torch.sin(2 * torch.pi * f * time).expand(1, 2, -1) * 0.3 for f in (200, 900)], 1
    )
    net = small().train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        losses.append(net.loss(stems.sum(1), stems))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]


# The authors' files


def published(net):
    """The variables of a network under TensorFlow's names, which count through the whole graph."""
    state, arrays, depth = net.state_dict(), {}, len(net.u_nets[0].down)
    counters = {"conv2d": 0, "conv2d_transpose": 0, "batch_normalization": 0}

    def add(kind, values):
        name = f"{kind}_{counters[kind]}" if counters[kind] else kind
        counters[kind] += 1
        for suffix, value in values.items():
            value = value.permute(2, 3, 1, 0) if value.ndim == 4 else value
            arrays[f"{name}/{suffix}"] = value.contiguous().numpy()

    def layer(kind, name):
        add(kind, {"kernel": state[f"{name}.weight"], "bias": state[f"{name}.bias"]})

    def norm(name):
        parts = dict(gamma="weight", beta="bias", moving_mean="running_mean")
        parts["moving_variance"] = "running_var"
        width = state[f"u_nets.0.down.{depth - 1}.bias"]
        add(
            "batch_normalization",
            {theirs: state.get(f"{name}.{ours}", width) for theirs, ours in parts.items()},
        )

    for k in range(len(net.targets)):
        for i in range(depth):
            layer("conv2d", f"u_nets.{k}.down.{i}")
            norm(f"u_nets.{k}.down_norms.{i}")
        for i in range(depth):
            layer("conv2d_transpose", f"u_nets.{k}.up.{i}")
            norm(f"u_nets.{k}.up_norms.{i}")
        layer("conv2d", f"u_nets.{k}.head")
    arrays["global_step"] = torch.tensor(1).numpy()
    return arrays


def listed(monkeypatch, tmp_path, net, path, **settings):
    """Make `path` the one published set, and the place it is fetched from."""
    file = {"url": f"http://127.0.0.1:9/{path.name}", "mirror": None, "targets": list(net.targets)}
    file.update(size=path.stat().st_size, sha256=sha256(path))
    entry = {"model": "spleeter", "settings": {**SMALL, **settings}, "default": True}
    entry.update(licence="told in one line", files={"all": file})
    monkeypatch.setattr(downloads, "manifest", lambda: {"toy-stems": entry})
    monkeypatch.setattr(downloads, "data_root", lambda: tmp_path / "data")
    monkeypatch.setenv("SEPKIT_WEIGHTS_MIRROR", str(path.parent))
    return file


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("make, suffix", [(bundles.wheel, ".whl"), (bundles.tar, ".tar.gz")])
def test_the_name_alone_fetches_the_authors_checkpoint(
    tmp_path, monkeypatch, capsys, kind, make, suffix
):
    """`sepkit separate --model spleeter`: from the archive, by TensorFlow's names, with a note."""
    settings = {k: v for k, v in SETS[kind].items() if k != "targets"}
    net, mixture = small(**SETS[kind]), noise(2, 3000)
    path = make(tmp_path / f"toy{suffix}", bundles.members(published(net)))
    listed(monkeypatch, tmp_path, net, path, **settings)
    estimates = separation.get("spleeter", device="cpu").separate(mixture)
    with torch.no_grad():
        for target, expected in net(mixture[None]).items():
            torch.testing.assert_close(estimates[target], expected[0], atol=0, rtol=0)
    assert capsys.readouterr().err.splitlines() == [
        "sepkit: note: toy-stems: the authors' weights; their licence: told in one line"
    ]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda files: dict(list(files.items())[1:]), r"toy.whl: has no \*.index"),
        (lambda files: bundles.members(published(small(width=4))), "has shape .*, but these"),
        (lambda files: bundles.members(published(small(**SETS["four"]))), "has unexpected"),
        (lambda files: bundles.members({}), "lacks u_nets.0.down.0.bias"),
    ],
)
def test_another_wheel_is_refused_in_a_line(tmp_path, monkeypatch, change, message):
    net = small()
    files = change(bundles.members(published(net)))
    path = bundles.wheel(tmp_path / "toy.whl", files)
    listed(monkeypatch, tmp_path, net, path)
    with pytest.raises(SepkitError, match=message) as error:
        load("spleeter")
    assert "\n" not in str(error.value)


def test_a_checkpoint_brings_back_the_same_network(tmp_path):
    net = small(**SETS["five"])
    again = load(save(tmp_path / "net.safetensors", net))
    assert again.settings == net.settings and again.targets == FIVE
    with torch.no_grad():
        torch.testing.assert_close(
            again.estimate(noise(1, 2, 900)), net.estimate(noise(1, 2, 900)), atol=0, rtol=0
        )


@pytest.mark.slow
@pytest.mark.skipif(not real.available(), reason="SEPKIT_SAMPLES has no recordings")
def test_deezers_weights_separate_a_real_song():
    """What Deezer's own code makes of the same song in TensorFlow scores the same to 0.001 dB."""
    if not list((KEPT / "spleeter-2stems").glob("*.whl")):
        pytest.skip("sepkit separate --model spleeter has not fetched the weights here")
    track = real.real_multitrack()
    mixture, vocals = track.mixture(), track.references()["vocals"]
    bundle = downloads.load_published("spleeter-2stems", cache=KEPT)
    estimates = separation.ModelSeparator(bundle, device="cpu").separate(mixture)
    for target, truth, expected in (
        ("vocals", vocals, 9.584),
        ("accompaniment", mixture - vocals, 10.667),
    ):
        error = truth - estimates[target]
        sdr = 10 * torch.log10(truth.square().sum() / error.square().sum())
        assert float(sdr) == pytest.approx(expected, abs=0.1)


# Mistakes


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(frames=20), "frames=20: with depth=3, a multiple of 8 was expected"),
        (dict(bins=60), "bins=60: with depth=3, a multiple of 8 was expected"),
        (dict(bins=256), "bins=256: with n_fft=256 there are 129; give at most that"),
        (dict(activation="gelu"), "unknown activation 'gelu': choose from relu, elu"),
        (dict(output="mask"), "unknown output 'mask': choose from sigmoid, softmax"),
        (dict(loss="l3"), "magnitude-l1"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(SepkitError, match=message):
        small(**settings)
