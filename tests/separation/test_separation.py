"""Separators do what their closed forms say; files come out whole or not at all."""

import math
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from sepkit import audio, models, separation
from sepkit.errors import Notice, SepkitError
from sepkit.metrics.sdr import sdr
from sepkit.models.base import Model
from sepkit.separation import (
    MixtureSeparator,
    ModelSeparator,
    OracleSeparator,
    Separator,
    files,
    get,
    separate_file,
    separate_files,
)
from sepkit.stft import STFT

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")


def noise(channels=2, samples=RATE, seed=0):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def song(samples=3 * RATE):
    """Four stems that overlap in frequency and sit at different places between the channels."""
    t = torch.arange(samples) / RATE
    stems = {}
    for k, name in enumerate(STEMS):
        tone = torch.sin(2 * math.pi * (200 + 310 * k) * t * (1 + 0.02 * k * t))
        place = torch.tensor([[1.0], [0.3 + 0.4 * k]])
        stems[name] = (
            place
            * (0.2 * tone + noise(1, samples, seed=k) * 0.2)
            * (1 + torch.sin(2 * math.pi * (k + 1) * t))
        )
    return stems


class Scale(Model):
    """A spectral network that knows only a gain."""

    name, estimates_magnitude = "scale", True

    def __init__(self, target, gain, sample_rate=RATE, n_fft=512, channels=2, loss="mse"):
        super().__init__(locals())
        self.gain = torch.nn.Parameter(torch.tensor(gain))
        self.stft, self.step = STFT(n_fft, n_fft // 4), n_fft // 4

    def magnitude(self, mixture):
        return self.gain * mixture

    def forward(self, mixture):
        return self.gain * mixture


class Waveform(Model):
    """A network for two targets that works on samples."""

    name = "waveform"

    def __init__(self, targets=("speech", "noise"), sample_rate=RATE, channels=2, loss="mse"):
        super().__init__(locals())

    def forward(self, mixture):
        return {"speech": 0.75 * mixture, "noise": 0.25 * mixture}


def scales(**gains):
    return {target: Scale(target, gain) for target, gain in gains.items()}


# --- separators


def test_the_mixture_stands_for_every_stem():
    x = noise()
    assert {
        t: torch.equal(y, x) for t, y in MixtureSeparator().separate(x).items()
    } == dict.fromkeys(STEMS, True)
    assert list(MixtureSeparator().separate(x, {"speech": x, "noise": x})) == ["speech", "noise"]


def test_oracles_order_as_theory_has_it():
    stems = song()
    mixture = sum(stems.values())
    mean = {}
    for kind in ("mixture", "ibm", "irm1", "irm2", "psm", "crm", "mwf"):
        estimates = get(kind).separate(mixture, stems)
        assert list(estimates) == list(STEMS)
        mean[kind] = float(torch.stack([sdr(stems[t], estimates[t]) for t in STEMS]).mean())
    assert mean["crm"] > 60
    assert mean["crm"] > mean["psm"] > mean["irm1"] > mean["mixture"] + 6
    assert mean["mwf"] > mean["irm2"]  # it also knows where the stems sit


def test_oracles_share_all_of_the_mixture_out():
    stems = song()
    estimates = OracleSeparator("irm1").separate(sum(stems.values()), stems)
    assert (sum(estimates.values()) - sum(stems.values())).abs().max() < 1e-5


def test_an_oracle_without_fitting_references_is_refused():
    x = noise()
    with pytest.raises(SepkitError, match="needs the true stems"):
        get("irm1").separate(x)
    with pytest.raises(SepkitError, match="'a' has shape"):
        get("irm1").separate(x, {"a": x[:, :-1]})


def test_without_the_filter_the_estimate_has_the_phase_of_the_mixture():
    x = noise()
    estimates = ModelSeparator(scales(drums=0.25, vocals=1.0), device="cpu").separate(x)
    assert list(estimates) == ["vocals", "drums"]  # the field's order
    assert torch.allclose(estimates["vocals"], x, atol=1e-6)
    assert torch.allclose(estimates["drums"], 0.25 * x, atol=1e-6)


def test_small_open_unmix_equals_its_own_forward_pass():
    torch.manual_seed(0)
    nets = {
        t: models.build(
            "open-unmix", target=t, hidden=8, n_fft=256, hop=64, sample_rate=RATE, bandwidth=4000
        ).eval()
        for t in STEMS
    }
    x = noise(samples=5000)
    estimates = ModelSeparator(nets, device="cpu", niter=0).separate(x)
    for target, net in nets.items():
        assert torch.allclose(estimates[target], net(x[None])[0].detach(), atol=1e-6)


def test_the_filter_shares_the_mixture_in_proportion_to_the_power():
    # All estimates are in phase: v_j R_j is proportional to gain^2 * gain^2 / gain^2, so shares
    # follow gain^2.
    x = song()["vocals"]
    gains = dict(vocals=0.5, drums=0.3, bass=0.2, other=0.1)
    separator = ModelSeparator(scales(**gains), device="cpu")
    assert separator.niter == 1
    estimates = separator.separate(x)
    total = sum(g**2 for g in gains.values())
    for target, gain in gains.items():
        assert sdr(gain**2 / total * x, estimates[target]) > 40


def test_one_target_alone_does_not_get_the_whole_mixture_from_the_filter():
    x = song()["vocals"]
    separator = ModelSeparator(Scale("vocals", 0.5), device="cpu")
    assert separator.niter == 0
    filtered = ModelSeparator(Scale("vocals", 0.5), device="cpu", niter=1).separate(x)
    # The rest has the other half.
    assert list(filtered) == ["vocals"] and sdr(0.5 * x, filtered["vocals"]) > 40


@pytest.mark.parametrize("niter", [0, 1])
@pytest.mark.parametrize(
    "residual, names", [("spread", STEMS), (True, STEMS), ("residual", (*STEMS, "residual"))]
)
def test_with_a_residual_option_the_estimates_sum_to_the_mixture(niter, residual, names):
    x = noise()
    net = scales(vocals=0.5, drums=0.1, bass=0.1, other=0.1)
    estimates = ModelSeparator(net, device="cpu", niter=niter, residual=residual).separate(x)
    assert tuple(estimates) == names
    assert (sum(estimates.values()) - x).abs().max() < 1e-6


def test_waveform_networks_are_simply_run():
    separator = ModelSeparator(Waveform(), device="cpu")
    x = noise()
    assert separator.targets == ("speech", "noise") and separator.niter == 0
    assert torch.allclose(separator.separate(x)["noise"], 0.25 * x)


@pytest.mark.parametrize("samples", [1, 2, 100, 511])
def test_audio_shorter_than_a_window_is_padded_and_cut_back(samples):
    x = noise(samples=samples)
    for separator in (ModelSeparator(scales(vocals=1.0), device="cpu"), OracleSeparator("crm")):
        estimate = separator.separate(x, {"vocals": x})["vocals"]
        assert torch.allclose(estimate, x, atol=1e-6)


def test_separating_changes_neither_mixture_nor_references():
    stems = song(4000)
    mixture = sum(stems.values())
    before = {"mixture": mixture.clone(), **{t: x.clone() for t, x in stems.items()}}
    for separator in (
        get("irm1"),
        get("mwf"),
        ModelSeparator(scales(vocals=0.5), device="cpu", niter=1, residual=True),
    ):
        separator.separate(mixture, stems)
    assert all(torch.equal(before[t], x) for t, x in {"mixture": mixture, **stems}.items())


@pytest.mark.parametrize(
    "nets, options, expected",
    [
        (
            {"a": Scale("a", 1.0), "b": Scale("b", 1.0, sample_rate=16000)},
            {},
            "different sample rate.*a: 8000, b: 16000",
        ),
        ({"a": Scale("a", 1.0), "b": Scale("a", 1.0)}, {}, "two models for one target"),
        ({}, {}, "no models"),
        (scales(vocals=1.0), {"softmask": True}, "softmask"),
        (scales(vocals=1.0), {"niter": -1}, "niter=-1"),
        (
            scales(vocals=1.0),
            {"residual": "rest"},
            "unknown residual option 'rest'.*spread, residual",
        ),
        (scales(vocals=1.0), {"device": "tpu"}, "unknown device"),
    ],
)
def test_networks_and_options_that_do_not_fit_are_refused(nets, options, expected):
    with pytest.raises(SepkitError, match=expected):
        ModelSeparator(nets, **{"device": "cpu", **options})


def test_other_channels_point_to_separate_at():
    with pytest.raises(SepkitError, match="takes 2 channel.*separate_at"):
        ModelSeparator(scales(vocals=1.0), device="cpu").separate(noise(1))


def test_a_description_changes_with_whatever_changes_the_estimates():
    described = [
        ModelSeparator(scales(vocals=gain), device="cpu", **options).describe()
        for gain, options in (
            (0.5, {}),
            (0.6, {}),
            (0.5, {"niter": 1}),
            (0.5, {"residual": True}),
            (0.5, {"name": "x"}),
        )
    ]
    assert all(one != other for k, one in enumerate(described) for other in described[:k])
    assert described[0] == ModelSeparator(scales(vocals=0.5), device="cpu").describe()


def test_a_description_changes_with_settings_that_leave_no_trace_in_the_weights():
    """BSRNN's windows: the same weights, other estimates."""
    build = dict(features=8, hidden=8, layers=1, mlp=8, split=[[4000, 500]], n_fft=256, hop=128)
    described, estimates = [], []
    for window_hop in (0.25, 0.4):
        torch.manual_seed(0)
        build.update(sample_rate=RATE, window=0.5, window_hop=window_hop)
        network = models.build("bsrnn", **build)
        separator = ModelSeparator(network, device="cpu")
        described.append(separator.describe())
        estimates.append(separator.separate(noise(2)))
    assert described[0]["weights"] == described[1]["weights"] and described[0] != described[1]
    assert not torch.equal(*(estimate["vocals"] for estimate in estimates))


# --- get


def test_get_loads_a_checkpoint_or_a_folder_of_them_and_names_them(tmp_path):
    settings = dict(hidden=8, n_fft=256, hop=64, sample_rate=RATE, bandwidth=4000)
    folder = tmp_path / "my run"
    for target in ("vocals", "bass"):
        models.save(
            folder / f"{target}.safetensors", models.build("open-unmix", target=target, **settings)
        )
    both, one = get(folder, "cpu"), get(folder / "bass.safetensors", "cpu", niter=2, residual=True)
    assert (both.name, both.targets, both.sample_rate) == ("my run", ("vocals", "bass"), RATE)
    assert (one.name, one.targets, one.niter, one.residual) == (
        "my run/bass",
        ("bass",),
        2,
        "spread",
    )


def test_options_of_the_filter_are_no_hindrance_to_separators_without_one():
    assert get("mixture", niter=1, residual=True).residual == "spread"
    assert get("irm1", niter=1, hop=512, name="irm1, hop 512").stft.hop == 512


@pytest.mark.parametrize(
    "name, options, expected",
    [
        (
            "no-such",
            {},
            "unknown separator 'no-such': choose from mixture, ibm, "
            ".*open-unmix.*umxhq.*checkpoint",
        ),
        (
            "irm1",
            {"bins": 3},
            "unknown option of irm1 'bins': choose from n_fft, hop, name, residual",
        ),
        ("mixture", {"residual": "no"}, "unknown residual option"),
    ],
)
def test_unknown_names_and_options_list_what_exists(name, options, expected):
    with pytest.raises(SepkitError, match=expected):
        get(name, **options)


# --- files


class Gains(Separator):
    def __init__(self, gains=None, fail_at=None, **options):
        self.gains, self.fail_at, self.calls = gains or {"vocals": 0.75, "rest": 0.25}, fail_at, 0
        super().__init__("gains", tuple(self.gains), **options)

    def separate(self, mixture, references=None):
        self.calls += 1
        if self.fail_at and self.calls == self.fail_at[0]:
            raise self.fail_at[1]
        return {target: gain * mixture for target, gain in self.gains.items()}


def write_song(path, seconds=2.0, channels=2, rate=RATE):
    x = noise(channels, int(seconds * rate))
    audio.write(path, x, rate)
    return x


SHORT = dict(chunk=0.5, overlap=0.1)


def write_broken(kind, path):
    """A file that is broken in the way `kind` says."""
    x = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
    if kind in ("nan", "inf"):
        x[RATE - 100, 1] = float(kind)  # only the last chunk notices
    contents = {"empty": b"", "text": b"no music\n" * 50}
    if kind == "folder":
        path.mkdir()
    elif kind in contents:
        path.write_bytes(contents[kind])
    else:
        x = {"zero length": x[:0], "six channels": np.tile(x, 3)}.get(kind, x)
        soundfile.write(path, x, RATE, subtype="FLOAT" if path.suffix == ".wav" else None)
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix, tolerance", [(".wav", 1e-7), (".flac", 2**-22), ("wav", 1e-7)])
def test_stems_have_the_values_length_and_rate_of_the_file(tmp_path, channels, suffix, tolerance):
    x = write_song(tmp_path / "ein Lied – ü.wav", channels=channels)
    written = separate_file(
        tmp_path / "ein Lied – ü.wav", Gains(), tmp_path / "out put", suffix=suffix, **SHORT
    )
    folder = tmp_path / "out put" / "ein Lied – ü"
    assert written == {t: folder / f"{t}.{suffix.lstrip('.')}" for t in ("vocals", "rest")}
    for target, gain in (("vocals", 0.75), ("rest", 0.25)):
        y, rate = audio.read(written[target])
        assert rate == RATE and y.shape == x.shape and (y - gain * x).abs().max() < tolerance
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*(p.name for p in written.values()), "separation.json"]
    )
    assert [p.name for p in (tmp_path / "out put").iterdir()] == [folder.name]


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_lossy_stems_have_the_length_and_nearly_the_sound(tmp_path, suffix):
    t = torch.arange(44100) / 44100
    x = 0.4 * torch.stack([torch.sin(2 * math.pi * 440 * t), torch.sin(2 * math.pi * 660 * t)])
    audio.write(tmp_path / f"song{suffix}", x, 44100)
    written = separate_file(
        tmp_path / f"song{suffix}", Gains(), tmp_path / "out", suffix=suffix, **SHORT
    )
    y = audio.read(written["vocals"])[0]
    assert y.shape == x.shape and sdr(0.75 * x[:, 4000:-4000], y[:, 4000:-4000]) > 20


@pytest.mark.parametrize("rate, channels", [(11025, None), (5000, 1), (None, 2)])
@pytest.mark.parametrize("file_channels", [1, 2])
def test_stems_sum_to_the_file_whatever_the_model_takes(tmp_path, rate, channels, file_channels):
    x = write_song(tmp_path / "song.wav", channels=file_channels)
    separator = Gains(
        {"vocals": 0.5, "bass": 0.2}, sample_rate=rate, channels=channels, residual="spread"
    )
    written = separate_file(
        tmp_path / "song.wav", separator, tmp_path / "out", notice=None, **SHORT
    )
    total = sum(audio.read(path)[0] for path in written.values())
    assert total.shape == x.shape and (total - x).abs().max() < 1e-6


def test_two_stems_are_the_target_and_the_rest(tmp_path):
    x = write_song(tmp_path / "song.wav")
    separator = Gains({"vocals": 0.3, "bass": 0.2}, sample_rate=11025)
    written = separate_file(
        tmp_path / "song.wav", separator, tmp_path / "out", two_stems="vocals", notice=None, **SHORT
    )
    assert list(written) == ["vocals", "no_vocals"]
    vocals, rest = (audio.read(path)[0] for path in written.values())
    assert (vocals + rest - x).abs().max() < 1e-7 and sdr(0.3 * x, vocals) > 10


def test_a_part_of_the_file_and_some_of_the_targets(tmp_path):
    x = write_song(tmp_path / "song.wav")
    options = dict(targets=["rest"], start=0.5, duration=0.75)
    written = separate_file(tmp_path / "song.wav", Gains(), tmp_path / "out", **options, **SHORT)
    assert list(written) == ["rest"]
    assert torch.allclose(audio.read(written["rest"])[0], 0.25 * x[:, 4000:10000])


def test_chunked_and_whole_agree_where_the_separator_is_local(tmp_path):
    write_song(tmp_path / "song.wav", seconds=4)
    separator = ModelSeparator(scales(vocals=0.5), device="cpu")
    chunked = separate_file(
        tmp_path / "song.wav", separator, tmp_path / "a", chunk=1.0, overlap=0.5
    )["vocals"]
    whole = separate_file(tmp_path / "song.wav", separator, tmp_path / "b", chunk=None)["vocals"]
    assert (audio.read(chunked)[0] - audio.read(whole)[0]).abs().max() < 1e-6


def test_chunks_start_where_the_windows_of_the_filter_do():
    assert ModelSeparator(scales(vocals=0.5), device="cpu").steps == (128,)
    assert ModelSeparator(scales(vocals=0.5), device="cpu", niter=1).steps == (300 * 128, 128)
    assert OracleSeparator("irm1", hop=512).steps == (512,)


def test_the_notice_names_the_file_and_comes_once(tmp_path):
    write_song(tmp_path / "song.wav")
    with pytest.warns(
        Notice, match="song.wav: for gains, 8000 Hz is resampled to 11025 Hz and back"
    ) as told:
        separate_file(tmp_path / "song.wav", Gains(sample_rate=11025), tmp_path / "out", **SHORT)
    assert len(told) == 1


@pytest.mark.parametrize(
    "failure", [SepkitError("no more"), KeyboardInterrupt(), RuntimeError("bug")]
)
@pytest.mark.parametrize("again", [False, True])
def test_a_failure_half_way_leaves_what_was_there_and_nothing_else(tmp_path, failure, again):
    write_song(tmp_path / "song.wav")
    out = tmp_path / "out"
    if again:
        separate_file(tmp_path / "song.wav", Gains(), out, **SHORT)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(type(failure)):
        separate_file(
            tmp_path / "song.wav",
            Gains({"vocals": 0.1, "rest": 0.9}, fail_at=(3, failure)),
            out,
            **SHORT,
        )
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert [p.name for p in out.iterdir()] == (["song"] if again else [])


def test_a_second_run_replaces_the_stems_and_leaves_other_files_alone(tmp_path):
    x = write_song(tmp_path / "song.wav")
    written = separate_file(tmp_path / "song.wav", Gains(), tmp_path / "out", **SHORT)
    (tmp_path / "out" / "song" / "notes.txt").write_text("mine")
    separate_file(
        tmp_path / "song.wav", Gains({"vocals": 0.5, "rest": 0.5}), tmp_path / "out", **SHORT
    )
    assert torch.allclose(audio.read(written["vocals"])[0], 0.5 * x)
    assert sorted(p.name for p in (tmp_path / "out" / "song").iterdir()) == [
        "notes.txt",
        "rest.wav",
        "separation.json",
        "vocals.wav",
    ]


def test_progress_counts_up_to_the_seconds_of_the_file(tmp_path):
    write_song(tmp_path / "song.wav")
    told = []
    separate_file(
        tmp_path / "song.wav",
        Gains(),
        tmp_path / "out",
        progress=lambda *p: told.append(p),
        **SHORT,
    )
    assert len(told) == 5 and told == sorted(told) and told[-1] == (2.0, 2.0)


def test_files_of_one_name_are_refused_before_any_work(tmp_path):
    for folder in ("a", "b"):
        write_song(tmp_path / folder / "song.wav")
    separator = Gains()
    with pytest.raises(
        SepkitError,
        match="b/song.wav: its stems would be written to .*out/song, like those of .*a/song.wav",
    ):
        separate_files(
            [tmp_path / "a" / "song.wav", tmp_path / "b" / "song.wav"], separator, tmp_path / "out"
        )
    assert separator.calls == 0 and not (tmp_path / "out").exists()


def test_several_files_go_on_after_a_bad_one(tmp_path):
    good = [tmp_path / "one.wav", tmp_path / "two.wav"]
    for path in good:
        write_song(path)
    write_broken("text", tmp_path / "bad.wav")
    failed = []
    paths = [good[0], tmp_path / "bad.wav", good[1], good[0]]
    written = separate_files(
        paths,
        Gains(),
        tmp_path / "out",
        on_error=lambda p, e: failed.append((p.name, str(e))),
        **SHORT,
    )
    assert (
        list(written) == good
        and failed[0][0] == "bad.wav"
        and "not readable as audio" in failed[0][1]
    )
    with pytest.raises(SepkitError, match="bad.wav"):
        separate_files(paths, Gains(), tmp_path / "out", **SHORT)


def test_a_mixture_in_a_song_folder_is_named_after_the_folder(tmp_path):
    paths = [tmp_path / name / "mixture.wav" for name in ("A - B", "C - D")]
    assert [f.name for f in separation.output_folders(paths, "out").values()] == ["A - B", "C - D"]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"targets": ["piano"]}, "unknown target 'piano': choose from vocals, rest"),
        ({"two_stems": "piano"}, "unknown target 'piano'"),
        ({"suffix": ".xyz"}, "cannot write .xyz; use .wav"),
        ({"start": 2.0}, "song.wav: start 2.0 s.*lasts 2.000 s"),
        ({"duration": 0.0}, "song.wav: start"),
        ({"start": -1.0}, "song.wav: start"),
        ({"chunk": 1.0, "overlap": 0.8}, "at most half"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, options, expected):
    write_song(tmp_path / "song.wav")
    separator = Gains()
    with pytest.raises(SepkitError, match=expected):
        separate_file(tmp_path / "song.wav", separator, tmp_path / "out", **{**SHORT, **options})
    assert separator.calls == 0 and not list((tmp_path / "out").glob("**/*"))


@pytest.mark.parametrize(
    "kind", ["empty", "text", "folder", "zero length", "six channels", "nan", "inf", "truncated"]
)
def test_bad_files_are_refused_by_name_and_nothing_is_left(tmp_path, kind):
    path = tmp_path / ("song.flac" if kind == "truncated" else "song.wav")
    write_broken(kind, path)
    with pytest.raises(SepkitError, match=str(path)) as failure:
        separate_file(path, Gains(), tmp_path / "out", **SHORT)
    assert "\n" not in str(failure.value) and str(failure.value).count(str(path)) == 1
    assert not list((tmp_path / "out").glob("*"))


def test_samples_beyond_full_scale_are_kept_or_clipped_but_never_spoilt(tmp_path):
    x = 20 * noise()
    audio.write(tmp_path / "song.wav", x, RATE)
    separator = Gains({"vocals": 1.0})
    kept = separate_file(tmp_path / "song.wav", separator, tmp_path / "out", **SHORT)["vocals"]
    assert torch.equal(audio.read(kept)[0], x) and x.abs().max() > 1
    flac = dict(suffix=".flac", overwrite=True, **SHORT)
    with pytest.raises(
        SepkitError, match=r"out/song/vocals.flac: samples beyond full scale.*--clip"
    ):
        separate_file(tmp_path / "song.wav", separator, tmp_path / "out", **flac)
    assert kept.exists()
    clipped = separate_file(tmp_path / "song.wav", separator, tmp_path / "out", clip=True, **flac)[
        "vocals"
    ]
    assert not kept.exists()
    assert (audio.read(clipped)[0] - x.clamp(-1, 1)).abs().max() < 2**-22


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    write_song(tmp_path / "song.wav")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SepkitError, match="song.wav: .*taken.*choose another folder"):
        separate_file(tmp_path / "song.wav", Gains(), tmp_path / "taken", **SHORT)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "song").write_text("a file")
    with pytest.raises(SepkitError, match="is a file, where the folder of the stems belongs"):
        separate_file(tmp_path / "song.wav", Gains(), tmp_path / "out", **SHORT)
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    with pytest.raises(SepkitError, match="kB needed, 1.0 kB free"):
        separate_file(tmp_path / "song.wav", Gains(), tmp_path / "full", **SHORT)
    assert not (tmp_path / "full").exists()


def test_the_input_is_never_overwritten(tmp_path):
    path = tmp_path / "out" / "vocals" / "vocals.wav"
    x = write_song(path)
    with pytest.raises(SepkitError, match="would overwrite the file that is being separated"):
        separate_file(path, Gains(), tmp_path / "out", **SHORT)
    assert torch.equal(audio.read(path)[0], x)


def test_an_oracle_cannot_separate_a_file(tmp_path):
    write_song(tmp_path / "song.wav")
    with pytest.raises(SepkitError, match="song.wav: irm1 is an oracle: it needs the true stems"):
        separate_file(tmp_path / "song.wav", get("irm1"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


HOUR = """
import sys, torch
from sepkit import separation
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[3])
from test_separation import Scale
network = Scale("vocals", 0.5, sample_rate=44100, n_fft=4096)
separator = separation.ModelSeparator({"vocals": network}, device="cpu", residual=True)
separation.separate_file(sys.argv[1], separator, sys.argv[2], suffix=".flac")
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])  # kB
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_an_hour_of_stereo_needs_little_memory(tmp_path):
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 44100, 2) as file:
        minute = 0.1 * np.random.default_rng(0).standard_normal((60 * 44100, 2)).astype("float32")
        for _ in range(60):
            file.write(minute)
    command = [
        sys.executable,
        "-c",
        HOUR,
        str(tmp_path / "hour.flac"),
        str(tmp_path / "out"),
        str(__file__).rsplit("/", 1)[0],
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1.5e6  # kB
    assert audio.info(tmp_path / "out" / "hour" / "vocals.flac").samples == 3600 * 44100
