"""Lower precision stays near float32 and says what it is; what cannot run so is refused."""

import shutil
import sysconfig
from pathlib import Path

import pytest
import torch

from sepkit.errors import SepkitError
from sepkit.metrics.sdr import sdr
from sepkit.models import MODELS, build
from sepkit.models.precision import convolves_in_bfloat16, runner
from sepkit.separation import ModelSeparator, get
from sepkit.training.distributed import fabric

KINDS = (torch.float32, torch.bfloat16)
SMALL = dict(hidden=64, layers=2, n_fft=512, hop=128, sample_rate=8000, bandwidth=3000)


@pytest.fixture
def nets():
    torch.manual_seed(0)
    nets = {
        target: build("open-unmix", target=target, **SMALL)
        for target in ("vocals", "drums", "bass", "other")
    }
    for net in nets.values():
        torch.nn.init.normal_(net.bn3.weight)
    return nets


@pytest.mark.parametrize(
    "precision, least, most", [("float32", 200, None), ("bfloat16", 25, 80), ("int8", 25, 80)]
)
def test_estimates_stay_near_those_of_float32(nets, precision, least, most):
    audio = torch.randn(2, 8000)
    plain = ModelSeparator(nets, device="cpu")
    exact, before = (
        plain.separate(audio),
        {k: v.clone() for k, v in nets["vocals"].state_dict().items()},
    )
    separator = ModelSeparator(nets, device="cpu", precision=precision)
    estimates = separator.separate(audio)
    for target, estimate in estimates.items():
        assert estimate.dtype == torch.float32
        assert sdr(exact[target], estimate) > least and (
            most is None or sdr(exact[target], estimate) < most
        )
    assert all(torch.equal(before[k], v) for k, v in nets["vocals"].state_dict().items())
    assert separator.weights == plain.weights
    assert (
        separator.describe() == {**plain.describe(), "precision": precision}
        and "precision" not in plain.describe()
    )


def test_a_network_with_a_way_of_its_own_follows_that():
    net = build("bsrnn", features=8, layers=1, split="V1", sample_rate=44100)
    ModelSeparator(net, device="cpu", precision="bfloat16")
    assert net.settings["precision"] == "bfloat16"
    ModelSeparator(net, device="cpu")
    assert net.settings["precision"] == "bfloat16"  # as built


def test_options_reach_the_networks_and_hinder_nobody_else():
    assert get("mixture", precision="bfloat16", compile=True).separate(torch.randn(2, 100))
    with pytest.raises(
        SepkitError, match="unknown precision 'fp8': choose from float32, bfloat16, int8"
    ):
        get("open-unmix", "cpu", precision="fp8")


def test_what_cannot_run_so_is_refused(nets, monkeypatch):
    wave = build("wave-u-net", target="vocals", levels=2, filters=2, output="direct")
    with pytest.raises(SepkitError, match="precision=int8: wave-u-net computes in float32 only"):
        ModelSeparator(wave, device="cpu", precision="int8")
    with pytest.raises(SepkitError, match="precision=int8 is for a CPU, not for meta"):
        runner(nets["vocals"].to("meta"), "magnitude", "int8")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SepkitError, match="no no-such-compiler; install one"):
        ModelSeparator(nets["drums"], device="cpu", compile=True)


@pytest.mark.parametrize("precision", [None, "bfloat16"])
def test_compiling_wraps_what_is_run(nets, precision, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda run, dynamic: compiled.append(run) or run)
    audio = torch.randn(2, 3000)
    separator = ModelSeparator(nets, device="cpu", precision=precision, compile=True)
    assert compiled == [net.magnitude for net in separator.nets]
    plain = ModelSeparator(nets, device="cpu", precision=precision)
    assert torch.equal(separator.separate(audio)["bass"], plain.separate(audio)["bass"])


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("g++") or not Path(sysconfig.get_paths()["include"], "Python.h").is_file(),
    reason="torch.compile needs a C++ compiler and Python's headers, which are not here",
)
def test_compiled_equals_plain_for_every_length(nets, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "TORCHINDUCTOR_CACHE_DIR", str(tmp_path)
    )  # an interrupted run leaves half a library in the common one
    separators = [
        ModelSeparator(nets["vocals"], device="cpu", compile=compile) for compile in (False, True)
    ]
    for samples in (3000, 8000, 100):
        audio = torch.randn(2, samples)
        plain, compiled = (separator.separate(audio)["vocals"] for separator in separators)
        assert (plain - compiled).abs().max() < 1e-5


def test_the_command_line_passes_them_on(nets, tmp_path):
    from typer.testing import CliRunner

    from sepkit import audio, cli, models

    audio.write(tmp_path / "song.wav", 0.1 * torch.randn(2, 4000), 8000)
    models.save(tmp_path / "bass.safetensors", nets["bass"])
    written = []
    for precision in ("float32", "bfloat16"):
        options = [
            "--model",
            tmp_path / "bass.safetensors",
            "--out",
            tmp_path / precision,
            "--precision",
            precision,
            "--device",
            "cpu",
        ]
        assert (
            CliRunner()
            .invoke(cli.app, ["separate", str(tmp_path / "song.wav"), *map(str, options)])
            .exit_code
            == 0
        )
        written.append(audio.read(tmp_path / precision / "song" / "bass.wav")[0])
    assert 25 < sdr(*written) < 80


#: Each network of the registry, in a size that takes a moment.
TINY = {
    "open-unmix": dict(hidden=64, n_fft=512, hop=128, bandwidth=3000),
    "open-unmix-transformer": dict(hidden=64, n_fft=512, hop=128, bandwidth=3000),
    "open-unmix-waveform": dict(hidden=16, layers=1, levels=4, filters=4),
    "bsrnn": dict(features=16, layers=1, split="V1"),
    "scnet": dict(widths=(8, 8), layers=2, depths=(1, 1, 1)),
    "tfc-tdf": dict(n_fft=512, hop=128, bins=256, growth=4, depth=2),
    "resunet-ismir2021": dict(widths=(4,) * 6, blocks=1, bottleneck=1),
    "resunet-subbandtime": dict(widths=(4,) * 6, blocks=1, bottleneck=1),
    "resunet-mobilenet": dict(widths=(8,) * 6, blocks=1),
    "wave-u-net": dict(levels=3, filters=4, output="direct"),
    "conv-tasnet": dict(filters=16, width=16, hidden=16, layers=2, stacks=1),
    "hybrid-demucs": dict(width=8),
    "htdemucs": dict(width=8, bottleneck=32, layers=3, heads=2, segment=None),
    "bs-roformer": dict(width=16, depth=1, heads=2, head_width=8, dropout=0.0),
    "mel-roformer": dict(width=16, depth=1, heads=2, head_width=8, dropout=0.0),
    "moises-light": dict(
        width=8,
        depth=1,
        bands=2,
        bins=256,
        convolutions=1,
        blocks=1,
        heads=2,
        head_width=8,
        n_fft=1024,
        hop=256,
    ),
    "spleeter": dict(width=4, frames=64),
    "deep-conv-sep": dict(filters=8, hidden=16),
}


def tiny(name):
    torch.manual_seed(0)
    net = build(name, **TINY[name])
    audio = 0.1 * torch.randn(1, net.channels, 11025)
    return (
        net,
        audio,
        torch.stack([audio / 2] * len(net.targets), 1) if len(net.targets) > 1 else audio / 2,
    )


def test_every_network_is_tried():
    assert set(TINY) == set(MODELS)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("name", MODELS)
def test_every_network_separates_or_says_in_a_line_why_not(name, precision):
    net, audio, _ = tiny(name)
    exact = ModelSeparator(net, device="cpu").separate(audio[0])
    try:
        estimates = ModelSeparator(net, device="cpu", precision=precision).separate(audio[0])
    except SepkitError as error:
        assert f"precision={precision}: {name} computes in float32 only; leave it out" == str(error)
        assert name not in ("open-unmix", "open-unmix-transformer", "bsrnn")
    else:
        assert all(25 < sdr(exact[target], estimates[target]) < 100 for target in net.targets)


@pytest.mark.parametrize("taps", [8, 16, 20, 32])
@pytest.mark.parametrize("channels", [2, 4, 8, 12, 16, 24])
def test_convolutions_in_16_bits_are_those_in_32(channels, taps):
    """oneDNN with AMX makes noise of those whose channels times taps are 64, 96, ..."""
    assert convolves_in_bfloat16()
    draw = torch.Generator().manual_seed(channels)
    x, w = (
        torch.randn(1, channels, 100, generator=draw),
        torch.randn(6, channels, taps, generator=draw),
    )
    exact, rounded = (torch.nn.functional.conv1d(x.to(kind), w.to(kind)) for kind in KINDS)
    assert sdr(exact, rounded.float()) > 40


def test_a_processor_whose_convolutions_are_wrong_trains_in_32_bits_only(monkeypatch):
    cpu = torch.device("cpu")
    wrong = torch.zeros(1, 1, 17)
    monkeypatch.setattr(torch.nn.functional, "conv1d", lambda *_: wrong)
    convolves_in_bfloat16.cache_clear()
    try:
        with pytest.raises(SepkitError, match="ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16, or take 32-"):
            fabric(cpu, "bf16-mixed")
        fabric(cpu, "32-true")
    finally:
        convolves_in_bfloat16.cache_clear()


@pytest.mark.parametrize("mode", ["bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("name", MODELS)
def test_every_network_trains_in_mixed_precision(name, mode):
    """The loss is that of float32 to a hundredth, and every gradient is finite."""
    losses = []
    for precision in ("32-true", mode):
        net, audio, target = tiny(name)
        torch.manual_seed(1)  # dropout
        with fabric(torch.device("cpu"), precision).autocast():
            losses.append(net.train().loss(audio, target))
    losses[1].backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.01)
    slopes = [p.grad for p in net.parameters() if p.grad is not None]
    assert slopes and all(slope.isfinite().all() for slope in slopes)
    assert sum(slope.square().sum() for slope in slopes) > 0
