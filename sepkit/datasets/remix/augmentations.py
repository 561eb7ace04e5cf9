"""The augmentations: each decides one thing for every stem of a batch; and speech for vocals."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from ...errors import SepkitError
from ...validation import Number, checked
from ..speech import Speech
from .plan import Draws, MixPlan, peaks

#: Largest changes of pitch by the playback rate.
SEMITONES = Number(0, 12, whole=False)


class Augmentation:
    """The base: ``object(stems, draws)`` returns new stems, and `decide` only plans them.

    Parameters of the call
    ----------------------
    stems : Tensor
        (B, S, C, T) on any device; not modified.
    draws : Draws
        Of the same B examples.
    """

    def __call__(self, stems: torch.Tensor, draws: Draws) -> torch.Tensor:
        """New stems, to which this augmentation alone is applied."""
        plan = MixPlan.of(stems)
        self.decide(plan, draws)
        return plan.stems(stems)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Add this augmentation to the plan."""
        raise NotImplementedError


class Gain(Augmentation):
    """Scale every stem by a gain of its own.

    Parameters
    ----------
    linear : (float, float), optional
        The gain is uniform between them. Open-Unmix: (0.25, 1.25), always.
    db : (float, float), optional
        The gain in dB is uniform between them. BSRNN: (-10, 10).
    prob : float
        How often; otherwise the level is left.
    own : dict of int to (float, float), optional
        Ranges of single stems, in the same unit.

    Raises
    ------
    SepkitError
        Unless exactly one of the ranges is given, from low to high.

    Notes
    -----
    Uhlich et al., "Improving music source separation based on deep neural
    networks through data augmentation and network blending", ICASSP 2017,
    for the linear range; Luo and Yu 2022 for the one in dB. A uniform gain in
    dB has as many examples 6 dB too loud as 6 dB too soft; of linear gains in
    (0.25, 1.25), three quarters attenuate. Chapter 07 hears both.
    """

    def __init__(
        self,
        linear: tuple[float, float] | None = None,
        db: tuple[float, float] | None = None,
        prob: float = 1.0,
        own: dict[int, tuple[float, float]] | None = None,
    ):
        if (linear is None) == (db is None):
            raise SepkitError(
                f"Gain: linear={linear}, db={db}: give one of them, as a pair (low, high)"
            )
        self.low: float
        self.high: float
        (self.low, self.high), self.own = linear or db or (0, 0), dict(own or {})
        for low, high in ((self.low, self.high), *self.own.values()):
            if not low <= high:
                raise SepkitError(f"Gain: the range ({low}, {high}) must go from low to high")
        self.in_db, self.prob = linear is None, probability("Gain", prob)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Multiply the gains of the plan."""
        chance, where = draws.uniform("gain", plan.gains.shape[1], 2).unbind(-1)  # (B, S) each
        usual = (self.low, self.high)
        ranges = [self.own.get(stem, usual) for stem in range(plan.gains.shape[1])]
        low, high = torch.tensor(ranges, dtype=torch.float64).unbind(-1)  # (S,) each
        gain = low + (high - low) * where
        if self.in_db:
            gain = 10 ** (gain / 20)
        plan.gains = plan.gains * gain.where(chance < self.prob, 1.0)


class PlaybackRate(Augmentation):
    """Play one stem faster or slower, which moves pitch and formants together.

    For vocals: every rate is another singer, larger or smaller. Rates are uniform in
    semitones. A stem that is played faster needs more samples than are kept: put `Cut`
    behind it, on chunks that are ``2 ** (semitones / 12)`` times as long.

    Parameters
    ----------
    stem : int
        Which one, in the order of the batches.
    semitones : float
        Largest change, up or down.
    prob : float
        How often; otherwise the stem is left.

    Raises
    ------
    SepkitError
        For semitones below 0 or above 12.

    Notes
    -----
    Linear interpolation: at 44.1 kHz it loses 0.9 dB at 8 kHz, and folds what a faster rate
    moves above half the sample rate.
    """

    def __init__(self, stem: int, semitones: float = 4.0, prob: float = 0.75):
        if not 0 <= semitones <= 12:
            raise SepkitError(
                f"PlaybackRate: semitones={semitones!r}: a number from 0 to 12 was expected"
            )
        self.stem, self.semitones, self.prob = stem, semitones, probability("PlaybackRate", prob)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Multiply the stem's playback rates."""
        chance, where = draws.uniform("playback rate", 2).unbind(-1)  # (B,) each
        rate = 2 ** (self.semitones * (2 * where - 1) / 12)
        plan.rates = plan.rates.clone()
        plan.rates[:, self.stem] *= rate.where(chance < self.prob, 1.0)


class PlaybackRates(Augmentation):
    """Play every stem faster or slower, see `PlaybackRate`.

    The stems of a remix have rates of their own. Those of a real song go up or down together,
    each by the same share of its range, so that the song stays one where the ranges are equal.

    Parameters
    ----------
    semitones : sequence of float
        Largest change of each stem, up or down, in the order of the batches; 0 leaves it.
    prob : float
        How often; otherwise the stem is left.

    Raises
    ------
    SepkitError
        For semitones below 0 or above 12.
    """

    def __init__(self, semitones: Sequence[float], prob: float = 0.75):
        for value in semitones:
            checked("PlaybackRates: semitones", value, SEMITONES)
        self.semitones, self.prob = list(semitones), probability("PlaybackRates", prob)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Multiply the playback rates of the plan."""
        stems = plan.gains.shape[1]
        common, own = draws.uniform("playback rates", 1 + stems, 2).split([1, stems], 1)
        chance, where = own.where(draws.remixed[:, None, None], common).unbind(-1)  # (B, S) each
        ranges = torch.tensor(self.semitones, dtype=torch.float64)  # (S,)
        rate = 2 ** (ranges * (2 * where - 1) / 12)
        plan.rates = plan.rates * rate.where(chance < self.prob, 1.0)


class SwapChannels(Augmentation):
    """Exchange left and right of a stem with a probability; mono is left alone.

    Uhlich et al., ICASSP 2017, and Open-Unmix: 0.5. A network trained with
    it cannot expect an instrument on one side.
    """

    def __init__(self, prob: float = 0.5):
        self.prob = probability("SwapChannels", prob)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Exchange channels in the plan."""
        chance = draws.uniform("swap", plan.gains.shape[1])
        if plan.channels == 2:
            plan.swapped = plan.swapped ^ (chance < self.prob)


class Polarity(Augmentation):
    """Turn the sign of a stem with a probability.

    It sounds the same alone, but sums differently: where two stems of one
    recording share a sound, it is now subtracted.
    """

    def __init__(self, prob: float = 0.5):
        self.prob = probability("Polarity", prob)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Turn the sign of gains in the plan."""
        turned = draws.uniform("polarity", plan.gains.shape[1]) < self.prob
        plan.gains = plan.gains * (1 - 2 * turned.double())


class Silence(Augmentation):
    """Drop a stem with a probability, so that it is silent in the example.

    Luo and Yu 2022: 0.1 for every stem, the target included.

    Notes
    -----
    A dropped target teaches a network to be silent where there is nothing to
    separate. What it means for the loss: with ``"l1"`` and ``"mse"`` the
    example counts like any other, and its loss is the level of what leaks. With
    ``"nmse"``, which divides by the target's energy plus a tenth of the
    mixture's, only the mixture's part is left, so leaks count up to eleven
    times as much as under a target as loud as the mixture. ``"si-sdr"`` is not
    defined for a silent target: leave the target in when training with it. An
    example with all stems dropped is silence throughout, and every loss of the
    kit is finite for it.
    """

    def __init__(self, prob: float = 0.1):
        self.prob = probability("Silence", prob)

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Set gains in the plan to 0."""
        dropped = draws.uniform("silence", plan.gains.shape[1]) < self.prob
        plan.gains = plan.gains.masked_fill(dropped, 0.0)


class Cut(Augmentation):
    """Chunk in chunk: keep a random part of the example.

    The stems of a remix are each cut at a place of their own; those of a real
    mixture all at one place, so that it stays a real mixture. Luo and Yu 2022:
    a salient segment of 6 s for each stem, of which 3 s are taken at random.

    Parameters
    ----------
    frames : int
        Samples to keep.

    Raises
    ------
    SepkitError
        When called on shorter stems.
    """

    def __init__(self, frames: int):
        self.frames = int(frames)
        if self.frames < 1:
            raise SepkitError(f"Cut: frames={frames}: at least one sample must be left")

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Move the first samples of the plan and shorten it."""
        needed = plan.consumed(self.frames)  # (B, S)
        room = plan.frames - needed
        if (room < 0).any():
            raise SepkitError(
                f"Cut: {int(needed.max())} of {plan.frames} samples cannot be kept; use longer "
                "chunks"
            )
        stems = plan.gains.shape[1]
        common, own = draws.uniform("cut", 1 + stems).split([1, stems], 1)  # (B, 1), (B, S)
        place = own.where(draws.remixed[:, None], common)  # (B, S), in [0, 1)
        plan.starts = plan.starts + (place * (room + 1)).long()
        plan.frames = self.frames


class Compose(Augmentation):
    """Several augmentations as one; the stems are still passed over only once.

    Raises
    ------
    SepkitError
        For two of one kind: they would draw the same numbers.
    """

    def __init__(self, objects: Iterable[Augmentation]):
        self.objects = list(objects)
        kinds = [type(item).__name__ for item in self.objects]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise SepkitError(
                    f"Compose: {kind} occurs {kinds.count(kind)} times and would draw the same "
                    "numbers; keep one"
                )

    def decide(self, plan: MixPlan, draws: Draws) -> None:
        """Let each augmentation add to the plan, in order."""
        for item in self.objects:
            item.decide(plan, draws)


class SpeechRemix:
    """Replace the vocals of some examples by speech at a random level.

    Algorithm 1 of Svystun (2024), a bachelor's thesis, section 4.4.2: utterances
    are drawn with replacement until they fill the example, each normalised;
    the rest is cut off; they are mixed with the accompaniment (the mixture
    minus the target) at an SNR that is uniform in dB; the mixture is
    normalised. Meaningful only when the target is the vocals, and the speech
    the only voice: the accompaniment must not hold vocals. Chapter 07 hears it.

    Parameters
    ----------
    speech : Speech
        ``len(speech)``, ``speech.utterance(i)`` -> (1, T) at the songs' rate.
    prob : float
        How often; the thesis tries 0, .1, .2, .3, .5 and 1.
    snr : (float, float)
        In dB, speech against accompaniment, energies over the whole example.
    as_published : bool
        Return the speech unscaled as the target, as the algorithm is printed.

    Notes
    -----
    The printed algorithm leaves three things open. They are read as follows.

    - ``normalize`` divides by the absolute maximum, for an utterance as for
      the mixture.
    - ``mix(speech, accompaniment, SNR)`` scales the accompaniment and leaves
      the speech, as `torchaudio.functional.add_noise` does. Scaling the speech
      instead gives the same mixture: only the ratio of the two survives its
      normalisation.
    - It normalises the mixture and returns it with the speech as it was
      *before*: mixture and target no longer fit, by a factor that depends on
      the peak of the mixture and cannot be told from the mixture. Here both
      are divided by that one peak, so that the target is in the mixture as it
      is heard; `as_published` leaves the target, and changes nothing else.

    The speech is mono and goes to all channels alike. Where the speech or the
    accompaniment is silent, there is no SNR: they are added as they are. An
    accompaniment that is merely faint is raised to the SNR like any other.
    """

    def __init__(
        self,
        speech: Speech,
        prob: float,
        snr: tuple[float, float] = (-5, 15),
        as_published: bool = False,
    ):
        self.speech, self.as_published = speech, as_published
        self.prob = probability("SpeechRemix", prob)
        self.low, self.high = snr
        if not self.low <= self.high:
            raise SepkitError(f"SpeechRemix: snr={snr}: a pair (low, high) in dB was expected")

    @torch.no_grad()
    def __call__(
        self, mixture: torch.Tensor, target: torch.Tensor, draws: Draws, in_place: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixture and target, (B, C, T) each, some of them with speech.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T)
        draws : Draws
            Of the same B examples.
        in_place : bool
            Overwrite the tensors that were given.
        """
        chance, where = draws.uniform("speech", 2).unbind(-1)  # (B,) each
        chosen = (chance < self.prob).tolist()
        if not any(chosen):
            return mixture, target
        if not in_place:
            mixture, target = mixture.clone(), target.clone()
        snr = (self.low + (self.high - self.low) * where).tolist()
        for example, rng in enumerate(draws.generators("utterances")):
            if chosen[example]:
                self._replace(mixture[example], target[example], snr[example], rng)
        return mixture, target

    def _replace(self, mixture, target, snr, rng):
        """One example, (C, T), in place."""
        accompaniment = mixture.sub_(target)
        speech = self.utterances(mixture.shape[-1], rng).to(mixture)  # (1, T)
        loud = torch.linalg.vector_norm(speech) * len(mixture) ** 0.5  # in all channels
        rest = torch.linalg.vector_norm(accompaniment)
        scale = loud / rest * 10 ** (-snr / 20)
        scale = torch.where((loud > 0) & (rest > 0), scale, 1.0)
        mixture = accompaniment.mul_(scale).add_(speech)
        peak = peaks(mixture)
        mixture.div_(peak)
        target.copy_(speech if self.as_published else speech / peak)

    def utterances(self, frames: int, rng: np.random.Generator) -> torch.Tensor:
        """Utterances, drawn with replacement, each with the peak 1, end to end: (1, frames)."""
        parts, total = [], 0
        while total < frames:
            utterance = self.speech.utterance(int(rng.integers(len(self.speech))))
            parts.append(utterance / peaks(utterance))
            total += utterance.shape[-1]
        return torch.cat(parts, -1)[..., :frames]


def probability(what: str, value: float) -> float:
    """A probability, or a `SepkitError` that says `what` it is of."""
    if not (isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value <= 1):
        raise SepkitError(f"{what}: prob={value!r}: a probability from 0 to 1 was expected")
    return value
