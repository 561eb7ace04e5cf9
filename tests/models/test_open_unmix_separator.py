"""The whole separator against that of the authors' package (openunmix 1.3.0), and that ours is
free of its defects.
"""

import warnings

import pytest
import torch

from sepkit.datasets import MemoryTrack
from sepkit.errors import SepkitError
from sepkit.models import build
from sepkit.models.downloads import manifest
from sepkit.separation import ModelSeparator, get, separate_at, stream

STEMS = ("vocals", "drums", "bass", "other")
MUSIC = dict(hidden=16, layers=2, n_fft=1024, hop=256, sample_rate=44100)
SPEECH = dict(hidden=256, n_fft=1024, hop=512, sample_rate=16000, channels=1)  # that of umxse
WINDOW = 20  # frames of the Wiener filter, so that there are several windows


def networks(targets=STEMS, **settings):
    """Random weights, far enough from zero that the targets' masks differ."""
    torch.manual_seed(0)
    nets = {target: build("open-unmix", target=target, **settings).eval() for target in targets}
    for net in nets.values():
        torch.nn.init.normal_(net.bn3.weight, 0.0, 0.5)
        torch.nn.init.uniform_(net.output_mean, 0.0, 0.6)
    return nets


def music(channels=2, samples=20_000):
    """Tones and noise at different places between the channels."""
    generator = torch.Generator().manual_seed(1)
    t = torch.arange(samples) / 44100
    place = torch.tensor([[1.0, 0.3, 0.7], [0.4, 1.0, 0.7]])[:channels]
    parts = torch.stack(
        [
            torch.sin(2 * torch.pi * f * t) * torch.sin(7 * t * k).abs()
            for k, f in ((2, 220), (3, 1000), (5, 3300))
        ]
    )
    return 0.2 * place @ parts + 0.05 * torch.randn(channels, samples, generator=generator)


def authors(nets, back=False, **options):
    """Their separator with the weights of our networks.

    Or, with `back`, ours with the state dict of theirs.
    """
    model = pytest.importorskip("openunmix.model")
    theirs = {}
    for target, net in nets.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs[target] = model.OpenUnmix(
                nb_bins=net.bins,
                nb_channels=net.channels,
                hidden_size=net.settings["hidden"],
                nb_layers=net.settings["layers"],
                unidirectional=net.settings["unidirectional"],
                max_bin=net.bins_seen,
            )
        if not back:
            theirs[target].load_state_dict(net.state_dict(), strict=True)
    one = next(iter(nets.values()))
    separator = model.Separator(
        theirs,
        n_fft=one.stft.n_fft,
        n_hop=one.stft.hop,
        nb_channels=one.channels,
        sample_rate=one.sample_rate,
        **options,
    )
    separator.freeze()
    for net in nets.values() if back else ():
        net.load_published(separator.state_dict())
    return separator


def difference(ours, theirs, audio):
    """The largest difference of a sample, over all targets."""
    expected = theirs.to_dict(theirs(audio[None].clone()))
    if (
        "residual" in expected
    ):  # what the filter's regularisation takes from all, ours gives to the residual
        lost = audio - sum(expected.values())[0]
        assert lost.abs().max() < 2e-3
        expected["residual"] = expected["residual"] + lost
    estimates = ours.separate(audio)
    assert set(estimates) == set(expected) and all(y.abs().max() > 1e-3 for y in estimates.values())
    return max(float((estimates[target] - expected[target][0]).abs().max()) for target in expected)


@pytest.mark.parametrize("niter", [0, 1, 2])
@pytest.mark.parametrize("softmask", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_equals_the_authors_separator(niter, softmask, back):
    nets = networks(**MUSIC)
    theirs = authors(nets, back, niter=niter, softmask=softmask, wiener_win_len=WINDOW)
    ours = ModelSeparator(
        nets, device="cpu", niter=niter, softmask=softmask, frames_per_window=WINDOW
    )
    assert difference(ours, theirs, music()) <= 1e-5


@pytest.mark.parametrize("niter", [0, 1, 2])
@pytest.mark.parametrize("targets", [STEMS, ("vocals",), ("vocals", "bass")])
def test_equals_it_with_a_residual(niter, targets):
    nets = networks(targets, **MUSIC)
    theirs = authors(nets, niter=niter, residual=True, wiener_win_len=WINDOW)
    ours = ModelSeparator(
        nets, device="cpu", niter=niter, residual="residual", frames_per_window=WINDOW
    )
    assert difference(ours, theirs, music()) <= 1e-5


@pytest.mark.parametrize(
    "settings",
    [{"hidden": 64, "unidirectional": True}, {"hidden": 1024, "layers": 3, "sample_rate": 22050}],
)
def test_equals_it_unidirectional_and_at_the_width_of_umxl(settings):
    nets = networks(("vocals", "drums"), **{**MUSIC, **settings})
    theirs = authors(nets, niter=1, wiener_win_len=300)
    ours = ModelSeparator(nets, device="cpu", niter=1)
    ours.complete = True  # theirs never adds a source of its own accord
    assert difference(ours, theirs, music()) <= 1e-5


@pytest.mark.parametrize("niter", [0, 1, 2])
def test_equals_it_for_mono_speech_at_16_khz(niter):
    nets = networks(("speech", "noise"), **SPEECH)
    assert (next(iter(nets.values())).bins_seen, nets["noise"].bins) == (513, 513)
    theirs = authors(nets, niter=niter, wiener_win_len=WINDOW)
    ours = ModelSeparator(nets, device="cpu", niter=niter, frames_per_window=WINDOW)
    assert ours.complete
    assert difference(ours, theirs, music(1, 40 * 512)) <= 1e-5


@pytest.mark.parametrize("name", ["umx", "umxhq", "umxl", "umxse"])
def test_published_files_fit_the_networks_that_the_manifest_builds(name):
    """A file as published: the authors' network of that size, saved by their training."""
    entry = manifest()[name]
    target = next(iter(entry["files"]))
    ours = build(entry["model"], target=target, **entry["settings"])
    model = pytest.importorskip("openunmix.model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = model.OpenUnmix(
            nb_bins=ours.bins,
            nb_channels=ours.channels,
            hidden_size={"umxl": 1024, "umxse": 256}.get(name, 512),
            max_bin={"umxse": None}.get(name, 1487),
        )
    state = {
        **theirs.state_dict(),
        "sample_rate": torch.tensor(44100.0),
        "stft.window": torch.ones(ours.stft.n_fft),
    }
    ours.load_published(state)
    mixture = torch.rand(1, ours.channels, ours.bins, 6)
    assert (ours.eval().magnitude(mixture) - theirs.eval()(mixture)).abs().max() <= 1e-5


# --- defects of the authors' package


def test_silence_stays_silent_in_the_residual_too():
    """Their atan2 writes into the mixture, so that silent bins become 1 and the residual clicks."""
    audio = music()
    audio[:, 6000:14000] = 0
    before = audio.clone()
    for niter in (0, 1, 2):
        ours = ModelSeparator(networks(**MUSIC), device="cpu", niter=niter, residual="residual")
        estimates = ours.separate(audio)
        assert torch.equal(audio, before)
        assert all(y[:, 7100:12900].abs().max() == 0 for y in estimates.values())
        assert (sum(estimates.values()) - audio).abs().max() < 1e-5


def test_more_than_two_channels_are_refused_and_time_is_never_cropped():
    """Their `preprocess` takes the first two SAMPLES of audio with many channels."""
    separator = ModelSeparator(networks(("vocals",), **MUSIC), device="cpu")
    with pytest.raises(SepkitError, match="has 5 channels; expected .* 1 or 2 channels"):
        separate_at(separator, torch.randn(5, 4000), 44100)
    for channels in (1, 2):
        assert separate_at(separator, torch.randn(channels, 4000), 44100, notice=None)[
            "vocals"
        ].shape == (channels, 4000)


def test_the_length_of_the_filters_windows_is_passed_on():
    """Their `evaluate` takes --wiener-win-len and forgets it: whole tracks are filtered at once."""
    audio, nets = music(), networks(**MUSIC)
    estimates = [
        ModelSeparator(nets, device="cpu", niter=2, frames_per_window=frames).separate(audio)[
            "vocals"
        ]
        for frames in (10, 40, None)
    ]
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(estimates, estimates[1:], strict=False))


def test_the_filter_is_fed_window_by_window(monkeypatch):
    """So its memory is bounded.

    And a long recording is separated in chunks, which bounds the rest.
    """
    seen = []
    separator = ModelSeparator(networks(**MUSIC), device="cpu", frames_per_window=WINDOW)
    whole = separator.separate
    monkeypatch.setattr(
        separator, "separate", lambda x, references=None: seen.append(x.shape[-1]) or whole(x)
    )
    track = MemoryTrack("long", {"vocals": music(samples=40 * WINDOW * 256)}, 44100)
    total = sum(
        part["vocals"].shape[-1] for part in stream(separator, track, chunk=0.5, overlap=0.1)
    )
    assert total == track.samples and max(seen) <= 0.5 * 44100 + WINDOW * 256


def test_a_checkpoint_keeps_the_direction_of_its_lstm(tmp_path):
    """Their loader always builds a network that looks both ways."""
    from sepkit.models import save

    nets = networks(("vocals",), **MUSIC, unidirectional=True)
    save(tmp_path / "vocals.safetensors", nets["vocals"])
    separator = get(tmp_path / "vocals.safetensors", "cpu")
    assert not separator.nets[0].lstm.bidirectional
    audio = music()
    assert torch.equal(
        separator.separate(audio)["vocals"],
        ModelSeparator(nets, device="cpu").separate(audio)["vocals"],
    )
