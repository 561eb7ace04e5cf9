"""Remixing: new songs out of the stems of old ones, on whole batches.

`Chunks` draws where each stem comes from; what is here then changes the stems
of a batch, on the device where it lies, and sums them. Every augmentation is a
small object ``object(stems, draws)`` with stems (B, S, C, T); `Draws` holds
the random numbers of a batch, and `pipeline` puts together what a `Recipe`
asks for. Chapter 07 hears each of them; chapter 04 uses those of Open-Unmix.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...errors import SepkitError, unknown
from ..speech import Speech
from .augmentations import (
    Augmentation,
    Compose,
    Cut,
    Gain,
    PlaybackRate,
    PlaybackRates,
    Polarity,
    Silence,
    SpeechRemix,
    SwapChannels,
)
from .effects import Breath, Doubling, Drive, Effect, Equaliser, Reverb
from .plan import Draws, MixPlan, mix_down, normalise

__all__ = [
    "Augmentation",
    "Breath",
    "Compose",
    "Cut",
    "Doubling",
    "Draws",
    "Drive",
    "Effect",
    "Equaliser",
    "Gain",
    "MixPlan",
    "Pipeline",
    "PlaybackRate",
    "PlaybackRates",
    "Polarity",
    "Reverb",
    "Silence",
    "SpeechRemix",
    "SwapChannels",
    "mix_down",
    "normalise",
    "pipeline",
]


def pipeline(
    recipe: Any, stems: Sequence[str], target: str, sample_rate: int, speech: Speech | None = None
) -> "Pipeline":
    """What a recipe does to the stems of a batch, and nothing else.

    Parameters
    ----------
    recipe : Recipe
        Read are `seed`, `mix_prob` and the group `augmentation`. What is None, 0 or False adds
        no augmentation.
    stems : sequence of str
        Names, in the order of the batches.
    target : str
    sample_rate : int
        Of the batches, in Hz.
    speech : Speech, optional
        See `sepkit.datasets.speech`; needed when `speech_prob` is above 0.

    Returns
    -------
    Pipeline

    Raises
    ------
    SepkitError
        For a target that is no stem; for speech remixes without speech, of
        another sample rate, or for another target than vocals.
    """
    if target not in stems:
        raise unknown("target", target, stems)
    objects: list[Augmentation] = _playback_rates(recipe, stems)
    if recipe.cut_seconds:
        objects.append(Cut(int(recipe.cut_seconds * sample_rate)))
    objects += _effects(recipe, stems, sample_rate)
    if recipe.gain_prob and (recipe.gains or recipe.gain_db):
        own = {}
        if recipe.vocals_gains and "vocals" in stems:
            own = {list(stems).index("vocals"): recipe.vocals_gains}
        objects.append(Gain(recipe.gains, recipe.gain_db, recipe.gain_prob, own))
    for kind, prob in (
        (SwapChannels, recipe.swap),
        (Polarity, recipe.polarity),
        (Silence, recipe.silence),
    ):
        if prob:
            objects.append(kind(prob))
    remix = None
    if recipe.speech_prob:
        speech = _checked_speech(speech, target, sample_rate)
        remix = SpeechRemix(speech, recipe.speech_prob, as_published=recipe.speech_as_published)
    return Pipeline(
        Compose(objects),
        list(stems).index(target),
        remix,
        recipe.normalise,
        recipe.seed,
        recipe.mix_prob,
    )


class Pipeline:
    """Stems of a batch to mixture and target; made by `pipeline`.

    Parameters
    ----------
    augmentation : Compose
    target_index : int
    speech : SpeechRemix or None
    normalise : bool
    seed : int
    mix_prob : float
        Those of the `Chunks` that the batches come from.
    """

    def __init__(
        self,
        augmentation: Compose,
        target_index: int,
        speech: SpeechRemix | None = None,
        normalise: bool = False,
        seed: int = 42,
        mix_prob: float = 1.0,
    ):
        self.augmentation, self.target_index, self.speech = augmentation, target_index, speech
        self.normalise, self.seed, self.mix_prob = normalise, seed, mix_prob

    def __call__(
        self, stems: Tensor, indices: Tensor | Sequence[int], epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Mixture and target, (B, C, T) each, of stems (B, S, C, T).

        `indices` (B,) are the numbers of the examples in that epoch.
        """
        draws = Draws(self.seed, epoch, indices, self.mix_prob)
        plan = MixPlan.of(stems)
        self.augmentation.decide(plan, draws)
        mixture, target = mix_down(stems, self.target_index, plan)
        if self.speech:
            mixture, target = self.speech(mixture, target, draws, in_place=True)
        return normalise(mixture, target, in_place=True) if self.normalise else (mixture, target)


def _playback_rates(recipe: Any, stems: Sequence[str]) -> list[Augmentation]:
    """The playback rates that a recipe asks for: of the vocals, and of the stems."""
    objects: list[Augmentation] = []
    ranges: list[float] = []
    for number, name in enumerate(stems):
        own = getattr(recipe, f"{name}_semitones", None)
        if name == "vocals" and own:
            objects.append(PlaybackRate(number, own))
            ranges.append(0.0)
        else:
            ranges.append(recipe.semitones if name == "vocals" or own is None else own)
    if any(ranges):
        objects.append(PlaybackRates(ranges))
    return objects


def _effects(recipe: Any, stems: Sequence[str], sample_rate: int) -> list[Augmentation]:
    """The effects that a recipe asks for: a singer, then a studio."""
    objects: list[Augmentation] = []
    if "vocals" in stems:
        vocals = list(stems).index("vocals")
        if recipe.doubling:
            second = recipe.doubling_ms, recipe.doubling_cents, recipe.doubling_db
            objects.append(Doubling(recipe.doubling, sample_rate, vocals, *second))
        if recipe.breath:
            objects.append(Breath(recipe.breath, sample_rate, vocals, recipe.breath_db))
    if recipe.equaliser:
        objects.append(Equaliser(recipe.equaliser, sample_rate, None, recipe.equaliser_db))
    if recipe.drive:
        objects.append(Drive(recipe.drive, sample_rate, None, recipe.drive_db))
    if recipe.reverb:
        room = recipe.reverb_seconds, recipe.reverb_wet
        objects.append(Reverb(recipe.reverb, sample_rate, None, *room))
    return objects


def _checked_speech(speech: Speech | None, target: str, sample_rate: int) -> Speech:
    if target != "vocals":
        raise SepkitError(
            f"speech_prob: speech stands in for vocals, but the target is {target}; set "
            "speech_prob=0"
        )
    if speech is None or not len(speech):
        raise SepkitError(
            "speech_prob: no speech was given; open some with sepkit.datasets.speech.open_speech, "
            "or set speech_prob=0"
        )
    if speech.sample_rate != sample_rate:
        raise SepkitError(
            f"speech at {speech.sample_rate} Hz for songs at {sample_rate} Hz; open it with "
            f"sample_rate={sample_rate}"
        )
    return speech
