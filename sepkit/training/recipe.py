"""The recipe of a training run: every choice that the loop, the chunks and the remixing leave open.

Chapter 04 trains with one, chapter 07 changes one part at a time.
"""

import dataclasses
from dataclasses import dataclass

from ..errors import SepkitError, unknown
from ..validation import SEED, Number, Pair, Path, Switch, Text, checked, optional

SCHEDULES = ("plateau", "cosine", "epochs", "steps", "constant")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
LOGS = ("csv", "tensorboard")
_COUNT, _FLAG, _CHANCE = Number(1, 10**9), Switch(), Number(0, 1, whole=False)
_COUNT_OR_0, _FROM_0 = Number(0, 10**9), Number(0, 10**6, whole=False)
_SECONDS = Number(1e-3, 3600, whole=False)
_GAINS, _DECIBELS = Pair(Number(-1000, 1000, whole=False)), Pair(Number(-200, 200, whole=False))
_DECAY = Number(1e-6, 1, whole=False)
#: Kind and range of each part, but for names that have a list of their own.
KINDS = {
    "loss": optional(Text()),
    "batch": Number(1, 10**6),
    "accumulate": Number(1, 10**6),
    "chunk_seconds": _SECONDS,
    "samples_per_track": _COUNT,
    "mix_prob": _CHANCE,
    "activity": _FLAG,
    "random_start": _FLAG,
    "gains": optional(_GAINS),
    "gain_db": optional(_DECIBELS),
    "gain_prob": _CHANCE,
    "vocals_gains": optional(_GAINS),
    "vocals_semitones": Number(0, 24, whole=False),
    "swap": _CHANCE,
    "polarity": _CHANCE,
    "silence": _CHANCE,
    "cut_seconds": optional(_SECONDS),
    "normalise": _FLAG,
    "speech_prob": _CHANCE,
    "speech_as_published": _FLAG,
    "lr": Number(1e-15, 1000, whole=False),
    "weight_decay": _FROM_0,
    "amsgrad": _FLAG,
    "lr_factor": Number(1e-6, 0.999, whole=False),
    "lr_patience": _COUNT_OR_0,
    "lr_cooldown": _COUNT_OR_0,
    "decay": _DECAY,
    "decay_every": _COUNT,
    "warm_up": _COUNT_OR_0,
    "clip": optional(Number(1e-12, 1e12, whole=False)),
    "ema": optional(Number(1e-6, 0.999999, whole=False)),
    "patience": _COUNT_OR_0,
    "epochs": _COUNT,
    "max_steps": optional(_COUNT),
    "max_seconds": optional(Number(1e-9, 1e9, whole=False)),
    "seed": SEED,
    "workers": Number(0, 1024),
    "cache": optional(Path()),
    "save_minutes": _FROM_0,
    "strict": _FLAG,
}


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of Open-Unmix's authors.

    Parameters
    ----------
    loss : str, optional
        Another loss than the model was built with.
    batch, accumulate : int
        Examples a process takes at once, and how many such batches make one step of the
        optimiser. The gradient is that of one batch `accumulate` times as large.
    chunk_seconds, samples_per_track
        Seconds an example, examples a track and epoch.
    mix_prob : float
        Probability that an example's stems come from tracks and places of their own; the
        other examples are excerpts of real songs.
    activity : bool
        Draw chunks where the stem is active, see `sepkit.datasets.activity`.
    random_start : bool
        False: the same excerpts in every epoch.
    gains, gain_db, gain_prob
        Range of every stem's gain, linear or in dB (one of them is None), and how often it is applied.
    vocals_gains
        Another such range for the vocals alone, in the unit of the one that is given.
    vocals_semitones : float
        Play the vocals faster or slower by up to so many semitones, three times out of four;
        needs `cut_seconds`, and chunks ``2 ** (vocals_semitones / 12)`` times as long.
    swap, polarity, silence : float
        Probabilities that a stem's channels change places, its sign turns, it is left out.
    cut_seconds : float, optional
        Cut the chunk to so many seconds, each remixed stem at a place of its own.
    normalise : bool
        Divide mixture and target by the larger of their absolute maxima.
    speech_prob, speech_as_published
        How often speech replaces the vocals, and whether with the gains as the thesis prints them;
        see `sepkit.datasets.remix.SpeechRemix`.
    lr, weight_decay, amsgrad
        Adam's step size, weight decay and variant.
    schedule : {"plateau", "cosine", "epochs", "steps", "constant"}
        How the step size goes on, see `sepkit.training.schedules`.
    lr_factor, lr_patience, lr_cooldown
        Of ``"plateau"``: multiply the step size by `lr_factor` when the validation loss has not
        improved for `lr_patience` epochs, and then wait `lr_cooldown`.
    decay, decay_every, warm_up
        Of ``"epochs"`` and ``"steps"``: multiply by `decay` after every so many epochs (steps),
        behind a warm-up of so many.
    clip : float, optional
        Largest norm of the gradient.
    ema : float, optional
        Decay of the moving average of the weights, such as 0.9999. The averaged weights are
        validated and kept. They remember about 1 / (1 - ema) steps, so a run must be longer.
    patience : int
        Stop after so many epochs without a better validation loss.
    epochs, max_steps, max_seconds
        The budget; training ends with whichever is used up first.
    seed : int
        For chunks and dropout. Initial weights are the caller's: seed before `build`.
    precision : {"32-true", "bf16-mixed", "16-mixed"}
        Lightning Fabric's. Mixed: the network's products in 16 bits, weights and audio in 32.
    workers : int
        Processes that prepare chunks; 0 prepares them in the loop.
    cache : str, optional
        ``"memory"`` or a folder: decode the tracks once, see `sepkit.datasets.loader.decoded`.
    save_minutes : float
        Save the state of the run at least so often, besides every epoch.
    log : sequence of {"csv", "tensorboard"}
        ``log.csv`` is always written; ``"tensorboard"`` writes for that program too.
    strict : bool
        Stop at a song that cannot be read, instead of leaving it out.

    Raises
    ------
    SepkitError
        For a value that makes no sense, naming it.
    """

    loss: str | None = None
    batch: int = 16
    accumulate: int = 1
    chunk_seconds: float = 6.0
    samples_per_track: int = 64
    mix_prob: float = 1.0
    activity: bool = False
    random_start: bool = True
    gains: tuple | None = (0.25, 1.25)
    gain_db: tuple | None = None
    gain_prob: float = 1.0
    vocals_gains: tuple | None = None
    vocals_semitones: float = 0.0
    swap: float = 0.5
    polarity: float = 0.0
    silence: float = 0.0
    cut_seconds: float | None = None
    normalise: bool = False
    speech_prob: float = 0.0
    speech_as_published: bool = False
    lr: float = 1e-3
    weight_decay: float = 1e-5
    amsgrad: bool = False
    schedule: str = "plateau"
    lr_factor: float = 0.3
    lr_patience: int = 80
    lr_cooldown: int = 10
    decay: float = 1.0
    decay_every: int = 1
    warm_up: int = 0
    clip: float | None = None
    ema: float | None = None
    patience: int = 140
    epochs: int = 1000
    max_steps: int | None = None
    max_seconds: float | None = None
    seed: int = 42
    precision: str = "32-true"
    workers: int = 0
    cache: str | None = None
    save_minutes: float = 5.0
    log: tuple = ("csv",)
    strict: bool = False

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        logs = (self.log,) if isinstance(self.log, str) else self.log
        object.__setattr__(self, "log", tuple(logs) if isinstance(logs, (list, tuple)) else (logs,))
        for name in self.log:
            if name not in LOGS:
                raise unknown("log", name, LOGS)
        for name, kind in KINDS.items():
            object.__setattr__(self, name, checked(name, getattr(self, name), kind))
        if self.cut_seconds is not None and self.cut_seconds > self.chunk_seconds:
            raise SepkitError(
                f"cut_seconds={self.cut_seconds}: must not exceed chunk_seconds={self.chunk_seconds}"
            )
        if self.vocals_semitones:
            need = (self.cut_seconds or self.chunk_seconds) * 2 ** (self.vocals_semitones / 12)
            if not self.cut_seconds or need >= self.chunk_seconds:
                raise SepkitError(
                    f"vocals_semitones={self.vocals_semitones}: needs cut_seconds, and "
                    f"chunk_seconds above "
                    f"{need:.2f} (now {self.chunk_seconds})"
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

    def but(self, **changes):
        """The same recipe with some values changed."""
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise unknown("part of the recipe", name, known)
        return dataclasses.replace(self, **changes)


#: For a small network on one CPU core in a quarter of an hour: small batches of short chunks,
#: many steps, a large step size that falls to nothing, and a loss in which quiet passages count.
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
#: The network that goes with it: 1.2 million parameters, 2.5 MB in half precision.
STUDENT_MODEL = dict(hidden=128, layers=3, dropout=0.1)
