"""Chunks, rates and channels: whatever the cut, the gain is one and nothing is lost."""

import math
import random

import pytest
import torch

from sepkit import audio
from sepkit.datasets import MemoryTrack
from sepkit.errors import Notice, SepkitError
from sepkit.metrics.sdr import sdr
from sepkit.separation import MixtureSeparator, Separator
from sepkit.separation.base import share_remainder
from sepkit.separation.streaming import join, plan, separate_at, stream
from sepkit.stft import STFT

RATE = 8000


class Gains(Separator):
    """Each target is the mixture times its gain."""

    def __init__(self, gains=None, **options):
        self.gains = gains or {"a": 1.0}
        super().__init__("gains", tuple(self.gains), **options)

    def separate(self, mixture, references=None):
        self._check(mixture)
        return share_remainder(
            mixture, {target: gain * mixture for target, gain in self.gains.items()}, self.residual
        )


def noise(channels=2, samples=RATE, seed=0):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def smooth(samples, rate):
    """Sines that every rate in these tests can hold."""
    t = torch.arange(samples, dtype=torch.float64) / rate
    return torch.stack(
        [0.3 * torch.sin(2 * torch.pi * 440 * t), 0.2 * torch.sin(2 * torch.pi * 1000 * t + 1)]
    ).float()


def joined(blocks):
    blocks = list(blocks)
    return {target: torch.cat([block[target] for block in blocks], -1) for target in blocks[0]}


def test_any_cut_of_an_identity_is_the_identity():
    draw = random.Random(0)
    for _ in range(300):
        total, chunk, grid = (
            draw.randint(1, 4000),
            draw.randint(1, 900),
            draw.choice((1, 1, 7, 160)),
        )
        overlap = draw.randint(0, chunk // 2)
        x = torch.randn(2, total)
        chunks = plan(total, chunk, overlap, grid)
        y = joined(join(chunks, lambda start, stop, x=x: {"a": x[:, start:stop]}))["a"]
        assert torch.equal(x, y), (total, chunk, overlap, grid)
        assert all(c.start % grid == 0 and c.stop - c.start < chunk + grid for c in chunks)


def test_fades_are_linear_and_in_the_middle_of_the_overlap():
    chunks = plan(1000, 520, 40)
    heard = joined(
        join(chunks, lambda start, stop: {"a": torch.full((1, stop - start), float(start > 0))})
    )["a"][0]
    assert [(c.start, c.stop) for c in chunks] == [(0, 520), (480, 1000)]
    assert (heard[:490] == 0).all() and (heard[510:] == 1).all()
    assert torch.allclose(heard[490:510], (torch.arange(20) + 0.5) / 20)


def test_what_goes_wrong_at_the_edge_of_a_chunk_is_not_heard():
    x, total, overlap = noise(1, 5000), 5000, 400

    def separate(start, stop):
        y = x[:, start:stop].clone()
        y[:, : overlap // 4 if start else 0] = 99
        y[:, (stop - start - overlap // 4) if stop < total else (stop - start) :] = 99
        return {"a": y}

    assert torch.equal(joined(join(plan(total, 1000, overlap), separate))["a"], x)


@pytest.mark.parametrize("chunk, overlap", [(0, 0), (1.0, -0.1), (1.0, 0.6), (-1, 0)])
def test_impossible_chunks_are_refused(chunk, overlap):
    track = MemoryTrack("song", {"a": noise(samples=5 * RATE)}, RATE)
    with pytest.raises(SepkitError, match="at most half"):
        list(stream(Gains(), track, chunk, overlap))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
def test_chunks_at_another_rate_equal_the_whole(rate):
    track = MemoryTrack("song", {"a": smooth(40001, RATE)}, RATE)
    separator = Gains({"a": 0.5, "b": 2.0}, sample_rate=rate)
    whole = separate_at(separator, track.mixture(), RATE, notice=None)
    chunked = joined(stream(separator, track, chunk=1.0, overlap=0.25))
    for target in whole:
        assert chunked[target].shape == whole[target].shape == (2, 40001)
        assert (chunked[target] - whole[target]).abs().max() < 1e-5
    inner = slice(500, -500)
    assert (chunked["b"] - 2 * track.mixture())[:, inner].abs().max() < 1e-4


class Gate(Separator):
    """Keeps the loud bins: an STFT that starts elsewhere keeps others."""

    def __init__(self, sample_rate=None):
        super().__init__("gate", ("a",), sample_rate)
        self.stft, self.steps = STFT(256, 64), (64,)

    def separate(self, mixture, references=None):
        spectrum = self.stft(mixture)
        return {"a": self.stft.inverse(spectrum * (spectrum.abs() > 1), mixture.shape[-1])}


@pytest.mark.parametrize("rate, best", [(None, 120), (16000, 90), (12000, 70)])
def test_chunks_are_framed_as_the_whole_is(rate, best):
    track = MemoryTrack("song", {"a": noise(samples=5 * RATE)}, RATE)
    whole = joined(stream(Gate(rate), track, chunk=None))["a"]
    chunked = joined(stream(Gate(rate), track, chunk=2.0, overlap=0.5))["a"]
    assert sdr(whole, chunked) > best
    adrift = Gate(rate)
    adrift.steps = (63,)
    assert sdr(whole, joined(stream(adrift, track, chunk=2.0, overlap=0.5))["a"]) < 30


def test_starts_fall_on_steps_at_both_rates_unless_that_makes_chunks_too_long():
    for rate, own, steps, chunk, expected in (
        (44100, 44100, (307200, 1024), 30.0, 307200),
        (44100, 44100, (307200, 1024), 10.0, 1024),
        (48000, 44100, (1024,), 30.0, 160 * 1024),  # 147 * 1024 of the separator's samples
        (48000, 44100, (1024,), 10.0, 160),
        (22050, 44100, (1024,), 10.0, 512),
        (44100, None, (512,), 10.0, 512),
    ):
        starts = []

        class Spy(MemoryTrack):
            def mixture(self, start=0, frames=None, starts=starts):
                starts.append(start)
                return torch.zeros(1, frames)

        separator = MixtureSeparator(("a",))
        separator.sample_rate, separator.steps, separator.separate = (
            own,
            steps,
            lambda x, references=None: {"a": x},
        )
        list(
            stream(
                separator,
                Spy("song", {"a": torch.zeros(1, 1).expand(1, 60 * rate)}, rate),
                chunk,
                2.0,
            )
        )
        assert math.gcd(*starts) % expected == 0 and len(starts) > 2


def test_memory_of_a_stream_does_not_depend_on_the_length_and_progress_ends_at_it():
    asked, told = [], []

    class Long(MemoryTrack):
        def mixture(self, start=0, frames=None):
            asked.append(frames)
            return torch.zeros(1, frames)

    track = Long("song", {"a": torch.zeros(1, 1).expand(1, 3600 * RATE)}, RATE)
    sizes = [
        block["a"].shape[-1]
        for block in stream(MixtureSeparator(("a",)), track, 30, 3, lambda *p: told.append(p))
    ]
    assert sum(sizes) == 3600 * RATE and max(asked) <= 30 * RATE
    assert told == sorted(told) and told[-1] == (3600, 3600)


def test_mono_is_duplicated_and_averaged_back():
    seen = []

    class Panner(Separator):
        def separate(self, mixture, references=None):
            seen.append(mixture)
            return {"a": mixture * torch.tensor([[0.2], [0.6]])}

    x = noise(1)
    with pytest.warns(Notice, match="mono is duplicated to stereo, and averaged back"):
        y = separate_at(Panner("panner", ("a",), channels=2), x, RATE)["a"]
    assert torch.equal(seen[0], x.repeat(2, 1)) and torch.allclose(y, 0.4 * x)


def test_a_mono_separator_gets_each_channel_of_stereo():
    class Loudness(Separator):
        def separate(self, mixture, references=None):
            return {"a": mixture / mixture.abs().max()}

    x = noise(2) * torch.tensor([[1.0], [0.1]])
    y = separate_at(Loudness("mono", ("a",), channels=1), x, RATE, notice=None)["a"]
    assert torch.allclose(y, x / x.abs().amax(1, keepdim=True))


def test_references_take_the_same_way_as_the_mixture():
    class Oracle(Separator):
        uses_references = True

        def separate(self, mixture, references=None):
            assert all(x.shape == mixture.shape for x in references.values())
            return dict(references)

    stems = {"a": smooth(9000, RATE)[:1], "b": 0.5 * smooth(9000, RATE)[1:]}
    y = separate_at(
        Oracle("oracle", sample_rate=44100, channels=2),
        sum(stems.values()),
        RATE,
        stems,
        notice=None,
    )
    for name in stems:
        assert sdr(stems[name][:, 200:-200], y[name][:, 200:-200]) > 60


@pytest.mark.parametrize(
    "residual, targets", [("spread", ["a", "b"]), ("residual", ["a", "b", "residual"])]
)
@pytest.mark.parametrize("rate, channels", [(None, None), (11025, 2), (5000, 1)])
def test_with_the_remainder_the_estimates_sum_to_the_mixture_at_its_own_rate(
    residual, targets, rate, channels
):
    x = noise(2)
    separator = Gains({"a": 0.25, "b": 0.5}, sample_rate=rate, channels=channels, residual=residual)
    y = separate_at(separator, x, RATE, notice=None)
    assert list(y) == targets
    assert (sum(y.values()) - x).abs().max() < 1e-7
    if residual == "spread" and rate is None:
        assert torch.allclose(y["a"], (0.25 + 0.125) * x, atol=1e-8)


def test_the_notice_says_all_in_one_line_and_only_when_something_changes(recwarn):
    told = []
    separate_at(Gains(sample_rate=16000, channels=2), noise(1), RATE, notice=told.append)
    assert told == [
        "for gains, 8000 Hz is resampled to 16000 Hz and back and mono is duplicated to stereo, "
        "and averaged back"
    ]
    separate_at(Gains(sample_rate=RATE, channels=2), noise(2), RATE)
    assert not recwarn


@pytest.mark.parametrize(
    "mixture, expected",
    [
        (torch.zeros(2, 0), "zero length"),
        (torch.zeros(3, 10), "3 channels"),
        (torch.zeros(10), "channels, samples"),
        (torch.tensor([[0.0, float("nan")]]), "NaN"),
        (torch.zeros(1, 10, dtype=torch.int16), "float tensor"),
    ],
)
def test_what_is_no_mixture_is_refused(mixture, expected):
    with pytest.raises(SepkitError, match=expected):
        separate_at(Gains(), mixture, RATE)


def test_resampling_there_and_back_keeps_the_length():
    for samples in (1, 2, 3, 799, 801):
        for rate in (7999, 22050, 44100):
            assert separate_at(Gains(sample_rate=rate), noise(2, samples), RATE, notice=None)[
                "a"
            ].shape == (2, samples)
    assert audio.resampled_length(1, RATE, 44100) == 6
