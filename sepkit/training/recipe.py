"""The recipe of a training run: every choice that the loop, the chunks and the remixing leave open.

Chapter 04 trains with one, chapter 07 changes one part at a time.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from ..datasets.remix.augmentations import SEMITONES
from ..datasets.remix.effects import RANGES
from ..errors import SepkitError, unknown
from ..validation import SEED, Number, Pair, Path, Switch, Text, checked, optional

OPTIMISERS = ("adam", "adamw", "rmsprop")
#: Where the stems of a remix come from: each from a song of its own, or the target from one and
#: all others together from another.
MIXES = ("stems", "accompaniment")
SCHEDULES = ("plateau", "cosine", "epochs", "steps", "constant")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
LOGS = ("csv", "tensorboard")
_COUNT, _COUNT_OR_0 = Number(1, 10**9), Number(0, 10**9)
_NOT_NEGATIVE, _SECONDS = Number(0, 10**6, whole=False), Number(1e-3, 3600, whole=False)
_CHANCE, _SWITCH = Number(0, 1, whole=False), Switch()
_GAINS, _DECIBELS = Pair(Number(-1000, 1000, whole=False)), Pair(Number(-200, 200, whole=False))


def _part(default, kind, later=False) -> Any:
    """A field with its default, and what it may be: a kind of `sepkit.validation`, or names.

    Where the field is a tuple, each of its items is one of the names. Parts that came `later`
    are recorded only where they are not at their default, see `Recipe.flat`.
    """
    return field(default=default, metadata={"kind": kind, "later": later})


class _Group:
    """Parts of a recipe that belong together, each checked by its kind."""

    def __post_init__(self):
        for part in fields(self):
            kind, value = part.metadata["kind"], getattr(self, part.name)
            if isinstance(kind, tuple):
                for name in value if part.type is tuple else (value,):
                    if name not in kind:
                        raise unknown(part.name, name, kind)
            else:
                object.__setattr__(self, part.name, checked(part.name, value, kind))


@dataclass(frozen=True)
class Optimisation(_Group):
    """The loss, the optimiser, its learning rate, and what one step is."""

    #: Another loss than the model was built with.
    loss: str | None = _part(None, optional(Text()))
    #: Batch size: examples that a process takes at once.
    batch: int = _part(16, Number(1, 10**6))
    #: Gradient accumulation: batches per step of the optimiser. The gradient is that of one batch
    #: `accumulate` times as large.
    accumulate: int = _part(1, Number(1, 10**6))
    #: Learning rate; the schedule scales it.
    lr: float = _part(1e-3, Number(1e-15, 1000, whole=False))
    #: "adamw" is Adam with a weight decay apart from the gradient.
    optimiser: str = _part("adam", OPTIMISERS, later=True)
    #: The optimiser's weight decay.
    weight_decay: float = _part(1e-5, _NOT_NEGATIVE)
    #: The variant of Adam and AdamW of that name.
    amsgrad: bool = _part(False, _SWITCH)
    #: How the learning rate changes, see `sepkit.training.schedules`.
    schedule: str = _part("plateau", SCHEDULES)
    #: "plateau": multiply the learning rate by this when the validation loss no longer improves.
    lr_factor: float = _part(0.3, Number(1e-6, 0.999, whole=False))
    #: "plateau": epochs without improvement that are waited for.
    lr_patience: int = _part(80, _COUNT_OR_0)
    #: "plateau": epochs after a change in which none is counted.
    lr_cooldown: int = _part(10, _COUNT_OR_0)
    #: "epochs" and "steps": multiply the learning rate by this, time and again.
    decay: float = _part(1.0, Number(1e-6, 1, whole=False))
    #: Epochs (or steps) from one `decay` to the next.
    decay_every: int = _part(1, _COUNT)
    #: "epochs" and "steps": length of the warm-up, in epochs (or steps).
    warm_up: int = _part(0, _COUNT_OR_0)
    #: Largest norm of the gradient.
    clip: float | None = _part(None, optional(Number(1e-12, 1e12, whole=False)))
    #: Decay of the moving average of the weights, such as 0.9999. The averaged weights are
    #: validated and kept. They remember about 1 / (1 - ema) steps, so a run must be longer.
    ema: float | None = _part(None, optional(Number(1e-6, 0.999999, whole=False)))


@dataclass(frozen=True)
class Data(_Group):
    """Which excerpts of the songs are the examples, see `sepkit.datasets.chunks.Chunks`."""

    #: Length of an example in seconds.
    chunk_seconds: float = _part(6.0, _SECONDS)
    #: Examples per track and epoch.
    samples_per_track: int = _part(64, _COUNT)
    #: Probability that an example's stems come from tracks and places of their own; the other
    #: examples are excerpts of real songs.
    mix_prob: float = _part(1.0, _CHANCE)
    #: What has a place of its own in a remix: every "stems", or the "accompaniment" as a whole,
    #: beside the target.
    mix_of: str = _part("stems", MIXES, later=True)
    #: "mix-audio": excerpts that are added up to each stem of a remix, such as two singers.
    mix_audio: int = _part(1, Number(1, 16), later=True)
    #: Draw chunks where the stem is active, see `sepkit.datasets.activity`.
    activity: bool = _part(False, _SWITCH)
    #: False: the same excerpts in every epoch.
    random_start: bool = _part(True, _SWITCH)


@dataclass(frozen=True)
class Augmentation(_Group):
    """What is done to the stems before they are added up, see `sepkit.datasets.remix`."""

    #: Range of every stem's gain, as a factor; None if it is given in dB, or not wanted.
    gains: tuple | None = _part((0.25, 1.25), optional(_GAINS))
    #: Range of every stem's gain in dB.
    gain_db: tuple | None = _part(None, optional(_DECIBELS))
    #: Probability that a stem gets a gain.
    gain_prob: float = _part(1.0, _CHANCE)
    #: Another range for the vocals alone, a factor or in dB like the one that is given.
    vocals_gains: tuple | None = _part(None, optional(_GAINS))
    #: Play the vocals faster or slower by at most this many semitones, three times out of four;
    #: needs `cut_seconds`, and chunks ``2 ** (vocals_semitones / 12)`` times as long.
    vocals_semitones: float = _part(0.0, Number(0, 24, whole=False))
    #: Play every stem faster or slower by at most this many semitones, three times out of four;
    #: needs `cut_seconds` and longer chunks, as `vocals_semitones` does. Vocals follow that one
    #: where it is given.
    semitones: float = _part(0.0, SEMITONES, later=True)
    #: Another range than `semitones` for the drums, 0 to leave them.
    drums_semitones: float | None = _part(None, optional(SEMITONES), later=True)
    #: The same for the bass.
    bass_semitones: float | None = _part(None, optional(SEMITONES), later=True)
    #: The same for the stem "other".
    other_semitones: float | None = _part(None, optional(SEMITONES), later=True)
    #: Probability that a second voice sings along with the vocals.
    doubling: float = _part(0.0, _CHANCE, later=True)
    #: Range of its delay in ms.
    doubling_ms: tuple = _part((10.0, 40.0), RANGES["doubling_ms"], later=True)
    #: Its largest detuning in cents, up or down.
    doubling_cents: float = _part(10.0, RANGES["doubling_cents"], later=True)
    #: Range of its level in dB against the first voice.
    doubling_db: tuple = _part((-12.0, 0.0), RANGES["doubling_db"], later=True)
    #: Probability that the vocals get noise of breath in their pauses and onsets.
    breath: float = _part(0.0, _CHANCE, later=True)
    #: Range of its level in dB against the loudest 20 ms of the vocals.
    breath_db: tuple = _part((-45.0, -25.0), RANGES["breath_db"], later=True)
    #: Probability that a stem is coloured by a smooth random curve.
    equaliser: float = _part(0.0, _CHANCE, later=True)
    #: Standard deviation of the curve at each octave, in dB.
    equaliser_db: float = _part(4.0, RANGES["equaliser_db"], later=True)
    #: Probability that a stem is clipped softly.
    drive: float = _part(0.0, _CHANCE, later=True)
    #: Range of the gain of the stem's peak into the tanh, in dB.
    drive_db: tuple = _part((0.0, 20.0), RANGES["drive_db"], later=True)
    #: Probability that a stem gets a reverberation.
    reverb: float = _part(0.0, _CHANCE, later=True)
    #: Range of its time in seconds, in which it decays by 60 dB.
    reverb_seconds: tuple = _part((0.2, 1.2), RANGES["reverb_seconds"], later=True)
    #: Range of its share of the stem.
    reverb_wet: tuple = _part((0.05, 0.4), RANGES["reverb_wet"], later=True)
    #: Probability that a stem's channels change places.
    swap: float = _part(0.5, _CHANCE)
    #: Probability that a stem's sign turns.
    polarity: float = _part(0.0, _CHANCE)
    #: Probability that a stem is left out.
    silence: float = _part(0.0, _CHANCE)
    #: Cut the chunk to this many seconds, each remixed stem at a place of its own.
    cut_seconds: float | None = _part(None, optional(_SECONDS))
    #: Divide mixture and target by the larger of their absolute maxima.
    normalise: bool = _part(False, _SWITCH)
    #: Probability that speech replaces the vocals, see `sepkit.datasets.remix.SpeechRemix`.
    speech_prob: float = _part(0.0, _CHANCE)
    #: Speech with the gains as the thesis prints them.
    speech_as_published: bool = _part(False, _SWITCH)


@dataclass(frozen=True)
class Budget(_Group):
    """When training ends: whichever of these comes first."""

    #: Early stopping: end after this many epochs without a better validation loss.
    patience: int = _part(140, _COUNT_OR_0)
    #: Largest number of epochs.
    epochs: int = _part(1000, _COUNT)
    #: Largest number of steps of the optimiser.
    max_steps: int | None = _part(None, optional(_COUNT))
    #: Largest number of seconds, training and validation together.
    max_seconds: float | None = _part(None, optional(Number(1e-9, 1e9, whole=False)))


@dataclass(frozen=True)
class Runtime(_Group):
    """How the machine is used, and what is written when."""

    #: Seed of chunks and dropout. Initial weights are the caller's: seed before `build`.
    seed: int = _part(42, SEED)
    #: Lightning Fabric's name. Mixed: the network's products in 16 bits, weights and audio in 32.
    precision: str = _part("32-true", PRECISIONS)
    #: Data loader: processes that prepare chunks; 0 prepares them in the loop.
    workers: int = _part(0, Number(0, 1024))
    #: ``"memory"`` or a folder: decode the tracks once, see `sepkit.datasets.loader.decoded`.
    cache: str | None = _part(None, optional(Path()))
    #: Save the state of the run at least this often, besides every epoch.
    save_minutes: float = _part(5.0, _NOT_NEGATIVE)
    #: ``log.csv`` is always written; "tensorboard" writes for that program too.
    log: tuple = _part(("csv",), LOGS)
    #: Stop at a song that cannot be read, instead of leaving it out.
    strict: bool = _part(False, _SWITCH)

    def __post_init__(self):
        logs = tuple(self.log) if isinstance(self.log, (list, tuple)) else (self.log,)
        object.__setattr__(self, "log", logs)
        super().__post_init__()


#: The group of each part, by name.
_GROUPS = {
    "optimisation": Optimisation,
    "data": Data,
    "augmentation": Augmentation,
    "budget": Budget,
    "runtime": Runtime,
}
#: The group's attribute of each part of a recipe: {"lr": "optimisation", ...}.
PARTS = {part.name: group for group, kind in _GROUPS.items() for part in fields(kind)}
#: The default of each part.
DEFAULTS = {part.name: part.default for kind in _GROUPS.values() for part in fields(kind)}
_LATER = {part.name for kind in _GROUPS.values() for part in fields(kind) if part.metadata["later"]}


@dataclass(frozen=True, init=False)
class Recipe:
    """How to train; the defaults are those of Open-Unmix's authors.

    The parts stand in groups; each is given and read by its own name all the same:
    ``Recipe(lr=1e-3).lr``, ``recipe.but(lr=1e-4)``, ``--recipe lr=1e-4``.

    Parameters
    ----------
    **parts
        Any part of any group.

    Raises
    ------
    SepkitError
        For a value that makes no sense, naming it.
    """

    optimisation: Optimisation
    data: Data
    augmentation: Augmentation
    budget: Budget
    runtime: Runtime

    def __init__(self, **parts):
        for name in parts:
            if name not in PARTS:
                raise unknown("part of the recipe", name, PARTS)
        for group, kind in _GROUPS.items():
            own = {name: value for name, value in parts.items() if PARTS[name] == group}
            object.__setattr__(self, group, kind(**own))
        self._check()

    def __getattr__(self, name: str) -> Any:
        """A part by its own name; called only for what is no attribute."""
        if name not in PARTS:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return getattr(getattr(self, PARTS[name]), name)

    def but(self, **changes) -> "Recipe":
        """The same recipe with some values changed."""
        return Recipe(**{**self.flat(), **changes})

    def flat(self) -> dict[str, Any]:
        """The parts by name, without groups: what run.json and checkpoints hold.

        Parts that came later are left out where they are at their default, so that a recipe
        without them is recorded as it always was.
        """
        values = {name: getattr(self, name) for name in PARTS}
        return {
            name: value
            for name, value in values.items()
            if name not in _LATER or value != DEFAULTS[name]
        }

    def _check(self):
        """Raise a `SepkitError` for parts that do not go together."""
        if self.cut_seconds is not None and self.cut_seconds > self.chunk_seconds:
            raise SepkitError(
                f"cut_seconds={self.cut_seconds}: must not exceed "
                f"chunk_seconds={self.chunk_seconds}"
            )
        if self.mix_of == "accompaniment" and self.cut_seconds is not None:
            raise SepkitError(
                f"mix_of=accompaniment, cut_seconds={self.cut_seconds}: each stem would be cut at "
                "a place of its own; give one of them"
            )
        for name in (part for part in PARTS if part.endswith("semitones")):
            semitones = getattr(self, name) or 0.0
            need = (self.cut_seconds or self.chunk_seconds) * 2 ** (semitones / 12)
            if semitones and (not self.cut_seconds or need >= self.chunk_seconds):
                raise SepkitError(
                    f"{name}={semitones}: needs cut_seconds, and "
                    f"chunk_seconds above {need:.2f} (now {self.chunk_seconds})"
                )
        if self.vocals_gains is not None and self.gains is None and self.gain_db is None:
            raise SepkitError(
                f"vocals_gains={self.vocals_gains}: give gains or gain_db for the other stems too"
            )
        if self.gains is not None and self.gain_db is not None:
            both = f"gains={self.gains} and gain_db={self.gain_db}"
            raise SepkitError(
                f"{both}: choose one; set the other to None (null on the command line)"
            )


#: For a small network on one CPU core in a quarter of an hour: small batches of short chunks,
#: many steps, a large learning rate that falls to nothing, a loss in which quiet passages count.
STUDENT = Recipe(
    loss="nmse",
    batch=8,
    chunk_seconds=3.0,
    samples_per_track=16,
    lr=5e-3,
    schedule="cosine",
    clip=1.0,
    max_steps=3000,
    cache="memory",
)
