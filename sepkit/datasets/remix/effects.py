"""Effects: augmentations that compute new samples, such as reverb; for single stems or for all.

An effect works on what is kept of a stem, after `Cut` and the playback rate: no echo comes from
before the example. All but `Breath`'s noise scale with the stem, and silence stays silence.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from ...validation import Number, Pair, checked
from .augmentations import Augmentation, probability
from .plan import Draws, MixPlan, peaks

#: What the numbers of the effects may be, by their names in a recipe.
RANGES = {
    "doubling_ms": Pair(Number(0, 1000, whole=False)),
    "doubling_cents": Number(0, 100, whole=False),
    "doubling_db": Pair(Number(-100, 20, whole=False)),
    "breath_db": Pair(Number(-100, 0, whole=False)),
    "equaliser_db": Number(0, 24, whole=False),
    "drive_db": Pair(Number(-40, 60, whole=False)),
    "reverb_seconds": Pair(Number(0.01, 20, whole=False)),
    "reverb_wet": Pair(Number(0, 1, whole=False)),
}


class Effect(Augmentation):
    """The base: which examples and stems are changed, each drawing numbers of its own.

    Parameters
    ----------
    prob : float
        How often a stem is changed.
    sample_rate : int
        Of the batches, in Hz.
    stem : int, optional
        The only stem that may be changed; without it, each may.
    """

    def __init__(self, prob: float, sample_rate: int, stem: int | None = None):
        self.name = type(self).__name__
        self.prob = probability(self.name, prob)
        self.sample_rate, self.stem = sample_rate, stem

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Add a change of samples to the plan, for each stem that is chosen."""
        for stem in range(plan.gains.shape[1]) if self.stem is None else [self.stem]:
            for example, rng in enumerate(draws.generators(f"{self.name.lower()} {stem}")):
                if rng.random() < self.prob:
                    plan.effects.setdefault((example, stem), []).append(self.draw(rng))

    def draw(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """The change of one stem, (C, T) to (C, T), its numbers drawn."""
        raise NotImplementedError

    def _range(self, argument, value, part):
        return checked(f"{self.name}: {argument}", value, RANGES[part])


class Doubling(Effect):
    """Let a second voice sing along: the same one later, a little out of tune, and elsewhere.

    Doubled tracks are usual for lead vocals. The second voice is the mean of the channels, at an
    equal-power pan that is uniform in angle; panned to the middle at 0 dB it is as loud as a voice
    in the middle. It is detuned by resampling, so its delay drifts: it is `delay_ms` in the middle
    of the example, and at 10 cents it changes by 6 ms per second.

    Parameters
    ----------
    prob, sample_rate, stem
        As in `Effect`.
    delay_ms : (float, float)
        Delay in ms, uniform.
    cents : float
        Largest detuning, up or down, uniform.
    level_db : (float, float)
        Level of the second voice against the first, uniform in dB.

    Raises
    ------
    SepkitError
        For a value out of its range.
    """

    def __init__(
        self,
        prob: float,
        sample_rate: int,
        stem: int | None = None,
        delay_ms: tuple[float, float] = (10, 40),
        cents: float = 10.0,
        level_db: tuple[float, float] = (-12, 0),
    ):
        super().__init__(prob, sample_rate, stem)
        self.delay_ms = self._range("delay_ms", delay_ms, "doubling_ms")
        self.cents = self._range("cents", cents, "doubling_cents")
        self.level_db = self._range("level_db", level_db, "doubling_db")

    def draw(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """Draw delay, detuning, level and place."""
        delay = rng.uniform(*self.delay_ms) / 1000
        cents = rng.uniform(-self.cents, self.cents)
        level_db = rng.uniform(*self.level_db)
        angle = rng.uniform(0, math.pi / 2)
        return partial(self.change, delay=delay, cents=cents, level_db=level_db, angle=angle)

    def change(
        self, audio: Tensor, delay: float, cents: float, level_db: float, angle: float
    ) -> Tensor:
        """Audio (C, T) and its second voice.

        Parameters
        ----------
        audio : Tensor
            (C, T)
        delay, cents, level_db : float
            Delay in seconds, detuning in cents, level in dB.
        angle : float
            0 is left, pi / 2 is right. Without effect unless there are two channels.
        """
        frames = audio.shape[-1]
        pan = [math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)]
        gains = torch.tensor(pan if len(audio) == 2 else [1.0]).to(audio)[:, None]  # (C or 1, 1)
        times = torch.arange(frames, dtype=torch.float64, device=audio.device) - frames / 2
        places = times * 2 ** (cents / 1200) + frames / 2 - delay * self.sample_rate  # (T,)
        second = _interpolated(audio.mean(0, keepdim=True), places)  # (1, T)
        return audio + 10 ** (level_db / 20) * gains * second


class Breath(Effect):
    """Add quiet, filtered noise to the pauses and onsets of a voice.

    The noise has its most power in one to four kHz, and swells and fades several times a second.
    A pause is where blocks of 20 ms are 20 dB below the loudest one; the two blocks behind it,
    the onset, belong to it. To a silent stem nothing is added.

    Parameters
    ----------
    prob, sample_rate, stem
        As in `Effect`.
    level_db : (float, float)
        RMS of the noise against that of the loudest block, uniform in dB.

    Raises
    ------
    SepkitError
        For a value out of its range.
    """

    BLOCK_SECONDS, PAUSE_DB, ONSET_BLOCKS, SWELLS_PER_SECOND = 0.02, -20.0, 2, 4

    def __init__(
        self,
        prob: float,
        sample_rate: int,
        stem: int | None = None,
        level_db: tuple[float, float] = (-45, -25),
    ):
        super().__init__(prob, sample_rate, stem)
        self.level_db = self._range("level_db", level_db, "breath_db")

    def draw(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """Draw level and pitch of the noise, and its seed."""
        level_db, centre = rng.uniform(*self.level_db), 1000 * 4 ** rng.random()
        seed = int(rng.integers(2**63))
        return partial(self.change, level_db=level_db, centre=centre, seed=seed)

    def change(self, audio: Tensor, level_db: float, centre: float, seed: int) -> Tensor:
        """Audio (C, T) with noise in its pauses, the same in all channels.

        Parameters
        ----------
        audio : Tensor
            (C, T)
        level_db : float
            Against the loudest block.
        centre : float
            Frequency of the most power, in Hz; an octave away it is 4.3 dB less.
        seed : int
            Of the noise.
        """
        frames, peak = audio.shape[-1], peaks(audio)  # (1, 1)
        levels, block = self._levels(audio / peak)  # (N,)
        loudest = levels.max()
        quiet = (levels < 10 ** (self.PAUSE_DB / 20) * loudest).to(audio)[None]  # (1, N)
        held = functional.max_pool1d(
            functional.pad(quiet, (self.ONSET_BLOCKS, 0)), self.ONSET_BLOCKS + 1, 1
        )  # (1, N)
        gate = functional.interpolate(held[None], len(levels) * block, mode="linear")[0, :, :frames]
        noise = self._noise(frames, centre, seed, audio)  # (1, T)
        return audio + noise * gate * (10 ** (level_db / 20) * loudest * peak)

    def _levels(self, audio):
        """RMS of each block of audio (C, T), (N,), and samples per block."""
        block = max(1, round(self.BLOCK_SECONDS * self.sample_rate))
        padded = functional.pad(audio, (0, -audio.shape[-1] % block))
        return padded.unflatten(-1, (-1, block)).square().mean((0, 2)).sqrt(), block

    def _noise(self, frames, centre, seed, like):
        """Noise (1, T) of RMS 1 where it does not fade."""
        rng = _generator(seed)
        size = next_fast_len(max(frames, self.sample_rate // 10), real=True)
        white = torch.from_numpy(rng.standard_normal((1, size), np.float32)).to(like)
        count = 2 + math.ceil(frames / self.sample_rate * self.SWELLS_PER_SECOND)
        swells = torch.from_numpy(rng.random((1, 1, count), np.float32)).to(like)
        swells = functional.interpolate(swells, frames, mode="linear", align_corners=True)[0]
        octaves = torch.log2(_frequencies(size, self.sample_rate, like) / centre).clamp(-8, 8)
        weights = torch.exp(-(octaves**2) / 2)  # (F,), magnitude
        # White noise of RMS 1 keeps as much of its power as the weights let through.
        weights = weights / weights.square().mean().sqrt()
        return torch.fft.irfft(torch.fft.rfft(white) * weights, size)[:, :frames] * swells


class Equaliser(Effect):
    """Colour a stem by a smooth random curve.

    The gain in dB is normal at the octaves from 31.25 Hz to 16 kHz, at most three standard
    deviations, and goes smoothly from one to the next; beyond them it stays. Phases are kept.

    Parameters
    ----------
    prob, sample_rate, stem
        As in `Effect`.
    sd_db : float
        Standard deviation of the gain in dB.

    Raises
    ------
    SepkitError
        For a value out of its range.
    """

    LOWEST, KNOTS = 31.25, 10

    def __init__(self, prob: float, sample_rate: int, stem: int | None = None, sd_db: float = 4.0):
        super().__init__(prob, sample_rate, stem)
        self.sd_db = self._range("sd_db", sd_db, "equaliser_db")

    def draw(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """Draw the gain at each octave."""
        gains = self.sd_db * rng.standard_normal(self.KNOTS).clip(-3, 3)
        return partial(self.change, gains_db=gains.tolist())

    def change(self, audio: Tensor, gains_db: list[float]) -> Tensor:
        """Audio (C, T), filtered; `gains_db` at the octaves."""
        frames = audio.shape[-1]
        # The zero-phase response rings both ways; an eighth of a second each falls in the padding.
        size = next_fast_len(frames + self.sample_rate // 4, real=True)
        curve = self.curve(_frequencies(size, self.sample_rate, audio), gains_db)  # (F,)
        spectrum = torch.fft.rfft(audio, size)  # (C, F)
        return torch.fft.irfft(spectrum * 10 ** (curve / 20), size)[..., :frames]

    def curve(self, frequencies: Tensor, gains_db: list[float]) -> Tensor:
        """Gain in dB at frequencies in Hz, (F,) each: cubic, and level at each octave."""
        octave = torch.log2(frequencies / self.LOWEST).clamp(0, self.KNOTS - 1)
        below = octave.floor().clamp(max=self.KNOTS - 2)
        share = octave - below
        share = share * share * (3 - 2 * share)
        gains = torch.tensor(gains_db).to(frequencies)
        return torch.lerp(gains[below.long()], gains[below.long() + 1], share)


class Drive(Effect):
    """Clip a stem softly: tanh of the stem, at a gain above its peak; the level is kept.

    Parameters
    ----------
    prob, sample_rate, stem
        As in `Effect`.
    gain_db : (float, float)
        Gain of the peak into the tanh, uniform in dB: at 0 dB the peak is lowered by 2.4 dB
        before the level is restored, at 20 dB the stem is nearly square.

    Raises
    ------
    SepkitError
        For a value out of its range.
    """

    def __init__(
        self,
        prob: float,
        sample_rate: int,
        stem: int | None = None,
        gain_db: tuple[float, float] = (0, 20),
    ):
        super().__init__(prob, sample_rate, stem)
        self.gain_db = self._range("gain_db", gain_db, "drive_db")

    def draw(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """Draw the gain."""
        return partial(self.change, gain_db=rng.uniform(*self.gain_db))

    def change(self, audio: Tensor, gain_db: float) -> Tensor:
        """Audio (C, T), clipped softly, with the same energy over all channels."""
        peak = peaks(audio)
        scaled = audio / peak
        driven = torch.tanh(scaled * 10 ** (gain_db / 20))
        before, after = torch.linalg.vector_norm(scaled), torch.linalg.vector_norm(driven)
        return driven * (torch.where(after > 0, before / after, 1.0) * peak)


class Reverb(Effect):
    """Put a stem into a room: convolve it with noise that decays exponentially.

    Each channel has noise of its own, with an energy of 1, so that the reverberation of a noisy
    stem is as loud as the stem.

    Parameters
    ----------
    prob, sample_rate, stem
        As in `Effect`.
    seconds : (float, float)
        Reverberation time, in which the noise decays by 60 dB, uniform.
    wet : (float, float)
        Share of the reverberation, uniform; the stem itself has the rest.

    Raises
    ------
    SepkitError
        For a value out of its range.

    Notes
    -----
    Moorer, "About this reverberation business", Computer Music Journal 3(2), 1979: concert halls'
    responses resemble white noise with an exponential decay.
    """

    def __init__(
        self,
        prob: float,
        sample_rate: int,
        stem: int | None = None,
        seconds: tuple[float, float] = (0.2, 1.2),
        wet: tuple[float, float] = (0.05, 0.4),
    ):
        super().__init__(prob, sample_rate, stem)
        self.seconds = self._range("seconds", seconds, "reverb_seconds")
        self.wet = self._range("wet", wet, "reverb_wet")

    def draw(self, rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
        """Draw reverberation time and share, and the seed of the noise."""
        seconds, wet = rng.uniform(*self.seconds), rng.uniform(*self.wet)
        return partial(self.change, seconds=seconds, wet=wet, seed=int(rng.integers(2**63)))

    def change(self, audio: Tensor, seconds: float, wet: float, seed: int) -> Tensor:
        """Audio (C, T) with `wet` of its reverberation, whose tail behind the end is cut off."""
        frames, length = audio.shape[-1], max(1, round(seconds * self.sample_rate))
        noise = _generator(seed).standard_normal((len(audio), length), np.float32)
        response = torch.from_numpy(noise).to(audio)  # (C, L)
        times = torch.arange(length, dtype=audio.dtype, device=audio.device) / self.sample_rate
        response = response * 10 ** (-3 * times / seconds)  # 60 dB in `seconds`
        response = response / torch.linalg.vector_norm(response, dim=-1, keepdim=True)
        size = next_fast_len(frames + length - 1, real=True)
        spectrum = torch.fft.rfft(audio, size) * torch.fft.rfft(response, size)  # (C, F)
        return torch.lerp(audio, torch.fft.irfft(spectrum, size)[..., :frames], wet)


def _generator(seed):
    return np.random.Generator(np.random.Philox(seed))


def _frequencies(size, sample_rate, like):
    """Frequencies of the bins of `size` samples, in Hz: (F,)."""
    return torch.fft.rfftfreq(size, 1 / sample_rate, dtype=like.dtype, device=like.device)


def _interpolated(audio, places):
    """Audio (C, T) at places between its samples, (P,); silence outside: (C, P)."""
    last = audio.shape[-1] - 1
    inside = (places >= 0) & (places <= last)
    before = places.long().clamp(0, max(0, last - 1))
    share = (places - before).to(audio) * inside  # (P,)
    return torch.lerp(audio[:, before], audio[:, (before + 1).clamp(max=last)], share) * inside
