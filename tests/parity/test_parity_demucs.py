"""Hybrid Demucs and HTDemucs against the authors' package, with the same random weights."""

import random
from fractions import Fraction

import pytest
import torch

from sepkit.models import build, load
from sepkit.models.ensemble import Ensemble
from sepkit.models.htdemucs import SIX
from sepkit.stems import STEMS_OF_DEMUCS

pytest.importorskip("demucs", reason="demucs is not installed: make test-parity")
from demucs import apply, hdemucs, htdemucs  # noqa: E402

FOUR = list(STEMS_OF_DEMUCS)
#: From silence to full scale.
GAINS = (0, 1e-5, 1e-3, 0.03, 1.0)


def noise(*shape, seed=0):
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def redrawn(net):
    """Every scale, norm and bias drawn anew: their initial values hide errors."""
    torch.manual_seed(0)
    for name, value in net.named_parameters():
        if value.ndim == 1:
            value.data.uniform_(0.5, 1.5) if not name.endswith("bias") else value.data.normal_(
                0, 0.1
            )
    return net.eval()


def v4(**settings):
    """Theirs and ours."""
    sources = list(settings.pop("targets", FOUR))
    theirs = htdemucs.HTDemucs(
        sources,
        channels=8,
        bottom_channels=settings.get("bottleneck", 32),
        t_layers=3,
        t_heads=4,
        dconv_mode=3,
        segment=Fraction(2),
    )
    ours = build(
        "htdemucs",
        targets=sources,
        **{"width": 8, "bottleneck": 32, "layers": 3, "heads": 4, "segment": 2.0, **settings},
    ).eval()
    ours.load_published(redrawn(theirs).state_dict())
    return theirs, ours


def v3(**settings):
    theirs = hdemucs.HDemucs(FOUR, channels=8, segment=2)
    ours = build("hybrid-demucs", width=8, segment=2.0, **settings).eval()
    ours.load_published(redrawn(theirs).state_dict())
    return theirs, ours


def assert_equal(ours, theirs):
    """To 1e-5 of the largest sample."""
    scale = float(theirs.abs().max())
    assert torch.isfinite(ours).all() and float((ours - theirs).abs().max()) <= 1e-5 * scale


@pytest.mark.parametrize("settings", [{}, dict(bottleneck=0), dict(targets=SIX, bottleneck=0)])
@pytest.mark.parametrize("gain", GAINS)
def test_the_network_is_theirs(settings, gain):
    theirs, ours = v4(**settings)
    mixture = gain * noise(2, 2, 88_200)
    with torch.no_grad():
        assert_equal(ours.net(mixture), theirs(mixture))


@pytest.mark.parametrize("samples", [5, 1023, 4097, 30_001])
def test_any_length_is_theirs(samples):
    """They fill up to their segment unless told not to."""
    theirs, ours = v4()
    theirs.use_train_segment = False
    with torch.no_grad():
        assert_equal(ours.net(noise(1, 2, samples)), theirs(noise(1, 2, samples)))


@pytest.mark.parametrize("samples", [44_100, 30_001])
def test_hybrid_demucs_is_theirs(samples):
    theirs, ours = v3()
    with torch.no_grad():
        assert_equal(ours.net(noise(2, 2, samples)), theirs(noise(2, 2, samples)))


def separated(net, mixture, **options):
    """As their command line does."""
    mono = mixture[0].mean(0)
    level = mono.std() + 1e-8
    with torch.no_grad():
        out = apply.apply_model(net, (mixture - mono.mean()) / level, **options)
    return out * level + mono.mean()


@pytest.mark.parametrize("make", [v3, v4])
@pytest.mark.parametrize(
    "samples, gain", [(250_001, 1.0), (88_200, 1e-3), (20_001, 1e-4), (154_350, 0.03), (50_000, 0)]
)
def test_the_way_of_a_song_is_theirs(make, samples, gain):
    theirs, ours = make()
    mixture = gain * noise(1, 2, samples) + gain * 0.05
    with torch.no_grad():
        estimates = torch.stack(list(ours(mixture).values()), 1)
    assert_equal(estimates, separated(theirs, mixture, shifts=0, split=True, overlap=0.25))


@pytest.mark.parametrize("shifts, overlap", [(1, 0.25), (3, 0.1)])
def test_shifts_are_theirs_where_they_are_the_same(monkeypatch, shifts, overlap):
    theirs, ours = v4(shifts=shifts, overlap=overlap)
    drawn = iter([(2 * k + 1) * 22050 // (2 * shifts) for k in range(shifts)])
    monkeypatch.setattr(random, "randint", lambda low, high: next(drawn))
    mixture = noise(1, 2, 120_001)
    with torch.no_grad():
        estimates = torch.stack(list(ours(mixture).values()), 1)
    expected = separated(theirs, mixture, shifts=shifts, split=True, overlap=overlap)
    assert_equal(estimates, expected)


def test_a_bag_of_one_network_a_stem_is_theirs():
    """htdemucs_ft: of network k only stem k is used; ours is built for that stem alone."""
    pairs = [v4() for _ in FOUR]
    for seed, (theirs, _) in enumerate(pairs):
        theirs.load_state_dict(
            {k: v + 0.01 * noise(*v.shape, seed=seed) for k, v in theirs.state_dict().items()}
        )
    bag = apply.BagOfModels(
        [theirs for theirs, _ in pairs], [[float(i == k) for i in range(4)] for k in range(4)]
    )
    mixture = noise(1, 2, 100_001)
    expected = separated(bag, mixture, shifts=0, split=True, overlap=0.25)
    for k, (target, (theirs, _)) in enumerate(zip(FOUR, pairs)):
        ours = build(
            "htdemucs", target=target, width=8, bottleneck=32, layers=3, heads=4, segment=2.0
        ).eval()
        ours.load_published(theirs.state_dict())
        with torch.no_grad():
            assert_equal(ours(mixture), expected[:, k])


def test_a_bag_that_averages_is_theirs():
    """A Hybrid Demucs and an HTDemucs, with a weight for each stem."""
    (one, our_one), (other, our_other) = v3(), v4()
    table = [[1.0, 0.5, 0.0, 2.0], [1.0, 1.5, 1.0, 0.0]]
    bag = apply.BagOfModels([one, other], table)
    weights = [{target: w for target, w in zip(FOUR, row) if w} for row in table]
    ours = Ensemble([our_one, our_other], weights).eval()
    mixture = noise(1, 2, 100_001)
    expected = separated(bag, mixture, shifts=0, split=True, overlap=0.25)
    with torch.no_grad():
        estimates = ours(mixture)
    assert_equal(torch.stack([estimates[target] for target in FOUR], 1), expected)


def test_a_file_that_their_package_writes_is_read_without_its_classes(tmp_path):
    theirs, ours = v4()
    theirs.segment = Fraction(39, 5)
    package = {"klass": type(theirs), "args": (FOUR,), "kwargs": {"segment": theirs.segment}}
    state = {key: value.half() for key, value in theirs.state_dict().items()}
    torch.save({**package, "state": state, "training_args": {"lr": 3e-4}}, tmp_path / "x.th")
    found = load(tmp_path / "x.th")
    assert found.settings["width"] == 8 and found.settings["bottleneck"] == 32
    for key, value in ours.state_dict().items():
        assert torch.equal(found.state_dict()[key], value.half().float())


@pytest.mark.slow
def test_the_published_size_is_theirs():
    torch.manual_seed(0)
    theirs = htdemucs.HTDemucs(FOUR, channels=48, bottom_channels=512, t_layers=5, dconv_mode=3)
    ours = build("htdemucs").eval()
    ours.load_published(redrawn(theirs).state_dict())
    assert len(theirs.state_dict()) == 533
    theirs.segment = Fraction(39, 5)
    # In float64, since so many layers with random weights round to about 1e-5 in float32.
    mixture = noise(1, 2, 343_980).double()
    with torch.no_grad():
        assert_equal(ours.double().net(mixture), theirs.double()(mixture))
