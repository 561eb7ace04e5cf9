"""The experiments that sepkit knows: what they ask, which claims they test, and their arms.

Each has a design for every profile. ``student`` trains networks of 0.13 million
parameters on mono songs at 16 kHz, where a training takes half a minute of one CPU core;
``paper`` takes the network, the recipe and the sample rate of the publication.
All arms of an experiment take the same number of steps, but for half of the race's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ...errors import unknown
from ...training import STUDENT
from ...training.presets import recipe_for
from ...training.pretraining import Pretraining
from .derived import difference, slope, spread
from .design import Arm, Derived, Design
from .race import race

#: A network for sweeps: half a minute of one CPU core a training.
SMALL: dict[str, Any] = dict(
    hidden=64,
    layers=2,
    dropout=0.1,
    n_fft=1024,
    hop=512,
    sample_rate=16000,
    channels=1,
    bandwidth=8000,
)
SMOKE = {**SMALL, "hidden": 8}
_SMALL = STUDENT.but(chunk_seconds=2.0, samples_per_track=100, max_steps=1000)


@dataclass(frozen=True)
class Experiment:
    """An experiment in all profiles.

    `claims` are ids of sepkit/assets/reported/claims.csv; `design` takes a profile and returns its
    Design, or None where nothing is trained; `seeds` is the number of trainings of an arm.
    """

    question: str
    claims: tuple[str, ...]
    design: Callable[[str], Design | None]
    seeds: int = 8


def small(
    profile: str,
    arms: Iterable[Arm],
    paper: str = "bsrnn",
    recipe: dict[str, Any] | None = None,
    **more: Any,
) -> Design:
    """The design that most experiments share: a small Open-Unmix, or the paper's network."""
    arms, changes = tuple(arms), recipe or {}
    if profile == "paper":
        full, settings = recipe_for(paper, "paper")
        return Design(paper, settings, full, arms, preset="paper", **more)
    if profile == "smoke":
        few = _SMALL.but(**{**changes, "max_steps": 2, "samples_per_track": 8})
        return Design("open-unmix", SMOKE, few, arms, preset="smoke", **more)
    return Design("open-unmix", SMALL, _SMALL.but(**changes), arms, preset="experiments", **more)


# --- the third report: five variants of Open-Unmix ---


def variants(profile: str) -> Design:
    """Table 1 of the third report, filled: five variants, and what they cost one by one."""
    filters: dict[str, dict[str, Any]] = {
        "smoke": dict(filters=2, hidden=8, levels=4),
        "student": dict(filters=4, hidden=64, dropout=0.1),
        "paper": {},
    }
    wave = filters[profile]
    former = {"smoke": dict(SMOKE, heads=2), "student": dict(SMALL, heads=4), "paper": {}}[profile]
    at: dict[str, Any] = {} if profile == "paper" else dict(sample_rate=16000, channels=1)
    low = 8000 if profile != "paper" else 22050
    lower = Arm(
        f"Time domain, trained at {low / 1000:g} kHz",
        "open-unmix-waveform",
        {**wave, **at, "sample_rate": low},
        dict(loss="mse", lr=1e-3),
        score_rate=at.get("sample_rate", 44100),
    )
    arms = [
        Arm("Open-Unmix, loss mse", recipe=dict(loss="mse")),
        Arm("Open-Unmix, loss l1", recipe=dict(loss="l1")),
        Arm("Open-Unmix, loss dual", recipe=dict(loss="dual")),
        Arm("Transformer", "open-unmix-transformer", former, dict(loss="mse", lr=2e-3)),
        Arm("Time domain", "open-unmix-waveform", {**wave, **at}, dict(loss="mse", lr=1e-3)),
        Arm(
            "Open-Unmix, unidirectional",
            settings=dict(unidirectional=True),
            recipe=dict(loss="mse"),
        ),
        lower,
    ]
    # Half the steps of the other experiments: one of the time-domain network takes ten times as
    # long.
    recipe = dict(lr=2e-3) | (dict(max_steps=500) if profile == "student" else {})
    return small(
        profile, arms, "open-unmix", recipe, metrics=("usdr", "si_sdr", "csdr", "sir", "sar")
    )


# --- the thesis: remixing, speech, augmentation ---


def songs(profile: str) -> Design:
    """What remixing brings, against the number of training songs."""
    counts = {"smoke": (2, 3), "student": (4, 8, 16, 24), "paper": (4, 8, 16, 24, 86)}[profile]
    arms = [
        Arm(
            f"{n} songs, remixing {word}",
            recipe=dict(mix_prob=p, samples_per_track=max(1, 2400 // n)),
            songs=n,
        )
        for n in counts
        for word, p in (("off", 0.0), ("on", 1.0))
    ]

    few, many = counts[0], counts[3] if len(counts) > 2 else counts[-1]
    return small(
        profile, arms, derived={f"gain by remixing, {few} songs against {many}": _gain(few, many)}
    )


def _gain(few: int, many: int) -> Derived:
    """What remixing brings with few songs, minus what it brings with many."""
    names = [f"{n} songs, remixing {word}" for n in (few, many) for word in ("on", "off")]

    def difference(table):
        few_on, few_off, many_on, many_off = (table[name] for name in names)
        return {key: few_on[key] - few_off[key] - many_on[key] + many_off[key] for key in few_on}

    return difference


def mixing(profile: str) -> Design:
    """SDR against the probability of a remix."""
    chosen = (0.0, 1.0) if profile == "smoke" else (0.0, 0.25, 0.5, 0.8, 1.0)
    return small(
        profile, [Arm(f"remix probability {p:g}", recipe=dict(mix_prob=p)) for p in chosen]
    )


def speech(profile: str) -> Design:
    """SDR against the probability that a training mixture is speech over accompaniment.

    From random weights, which the thesis did not try; see `speech_fine_tuning`.
    """
    spreads = {
        f"spread over songs, {arm}": spread(arm)
        for arm in ("speech probability 0", "speech probability 1")
    }
    return small(profile, _speech_arms(profile), recipe=dict(mix_prob=0.25), derived=spreads)


def speech_fine_tuning(profile: str) -> Design:
    """The same as the thesis did it: a network that separates already is trained further.

    The first training is that of its starting checkpoint (a quarter of remixes), the others take
    a sixth of its steps, with 0.8 of remixes, a constant learning rate, and a validation every 48
    steps.
    """
    first: dict[str, dict[str, Any]] = {
        "smoke": {},
        "student": dict(lr=5e-3, schedule="cosine", max_steps=3000, samples_per_track=100),
        "paper": {},
    }
    further: dict[str, dict[str, Any]] = {
        "smoke": {},
        "student": dict(lr=1e-3, schedule="constant", max_steps=480, samples_per_track=16),
        "paper": {},
    }
    # To 0.5, as beyond it the thesis's training did not improve any more.
    chosen = [p for p in _speech_probabilities(profile) if p <= 0.5 or profile == "smoke"]
    derived: dict[str, Derived] = {}
    for word, printed in (("", False), (", as published", True)):
        names = {p: _speech_arm(p, printed).name for p in chosen}
        derived |= {
            f"fall by speech{word}": slope(names, "usdr", sign=-1),
            f"rise of the spread by speech{word}": slope(names, "usdr", of=spread),
            f"rise of the steps by speech{word}": slope(names, "best_steps"),
        }
    return small(
        profile,
        _speech_arms(profile),
        recipe=dict(mix_prob=0.8, **further[profile]),
        derived=derived,
        init=Arm("before fine-tuning", recipe=dict(mix_prob=0.25, **first[profile])),
        speed=True,
    )


def _speech_probabilities(profile):
    """Those of the thesis."""
    return (0.0, 1.0) if profile == "smoke" else (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)


def _speech_arm(p, printed=False):
    """Speech with probability `p`; `printed`: with the gains as the thesis prints them."""
    if not p:
        return Arm("speech probability 0")
    if printed:
        return Arm(
            f"speech probability {p:g}, as published",
            recipe=dict(speech_prob=p, speech_as_published=True),
        )
    return Arm(f"speech probability {p:g}", recipe=dict(speech_prob=p))


def _speech_arms(profile):
    """One without speech, then two with each probability."""
    first, *others = _speech_probabilities(profile)
    both = [_speech_arm(p, printed) for p in others for printed in (False, True)]
    return [_speech_arm(first), *both]


def augmentation(profile: str) -> Design:
    """Static augmentation x7, and the validation songs as training songs."""
    # Seven times the songs, a seventh of the chunks from each: epochs stay as long, and the best
    # one is chosen as often.
    seventh = {
        "smoke": dict(samples_per_track=1),
        "student": dict(samples_per_track=14),
        "paper": {},
    }[profile]
    arms = [
        Arm("as recorded"),
        Arm("augmented x7", recipe=seventh, augmented=True),
        Arm("with the validation songs", with_valid=True),
        Arm(
            "augmented x7, with the validation songs",
            recipe=seventh,
            augmented=True,
            with_valid=True,
        ),
    ]
    spreads = {f"spread over songs, {arm}": spread(arm) for arm in ("as recorded", "augmented x7")}
    return small(profile, arms, recipe=dict(mix_prob=0.8), derived=spreads)


def transfer(profile: str) -> Design:
    """What each randomisation of the training songs brings: on the band, and on real mixtures.

    All arms cut their chunks out of longer ones, as those need whose vocals are played faster.
    """
    cut, chunk = (6.0, 7.6) if profile == "paper" else (2.0, 2.53)
    changes: dict[str, dict[str, Any]] = {
        "vocals by 4 semitones": dict(vocals_semitones=4),
        "doubling and breath": dict(doubling=0.4, breath=0.4),
        "louder vocals": dict(vocals_gains=(0.4, 2.5)),
        "equaliser": dict(equaliser=0.5),
    }
    every = {name: value for change in changes.values() for name, value in change.items()}
    longer = dict(cut_seconds=cut, chunk_seconds=chunk)
    # The gains of Open-Unmix, to which the louder vocals are relative, in the paper's recipe too.
    common: dict[str, Any] = dict(gains=(0.25, 1.25), gain_db=None, **longer)
    arms = [
        Arm("base", recipe=common),
        *(Arm(name, recipe={**common, **change}) for name, change in changes.items()),
        Arm("natural voices", recipe=common, natural=True),
        Arm("all together", recipe={**common, **every}, natural=True),
    ]
    return small(profile, arms, "open-unmix", metrics=("usdr", "si_sdr"), real=True)


def ablation(profile: str) -> Design:
    """The recipe of Open-Unmix, with one part left out at a time."""
    arms = [
        Arm("whole recipe"),
        Arm("without random excerpts", recipe=dict(random_start=False)),
        Arm("without random gains", recipe=dict(gains=None)),
        Arm("without swapped channels", recipe=dict(swap=0.0)),
        Arm("without mixing songs", recipe=dict(mix_prob=0.0)),
    ]
    design = small(profile, arms, "open-unmix")
    if profile == "paper":
        return design
    # Stereo: there are no channels to swap otherwise.
    return replace(design, settings={**design.settings, "channels": 2})


def pretraining(profile: str) -> Design:
    """What pre-training on mixtures without stems brings, with a quarter of the songs and all.

    Pac-HuBERT in miniature. Steps with stems are equal; others went before, without any.
    """
    few, many, before = {
        "smoke": (2, 3, Pretraining(units=4, frames=16, batch=2, steps=2)),
        "student": (6, 24, Pretraining()),
        "paper": (22, 86, Pretraining(units=256, frames=256, batch=16, steps=50_000)),
    }[profile]
    names = {n: (f"{n} songs, pre-trained", f"{n} songs, from scratch") for n in (few, many)}
    arms = [
        Arm(
            name,
            recipe={} if profile == "paper" else dict(samples_per_track=2400 // n),
            songs=n,
            pretrained=name.endswith("pre-trained"),
        )
        for n, both in names.items()
        for name in both
    ]
    gains = {f"gain by pre-training, {n} songs": difference(*names[n]) for n in names}
    return small(profile, arms, "open-unmix", derived=gains, pretraining=before)


def overfit(profile: str) -> Design:
    """Twelve seconds by heart, of six songs, with the loss of the paper and with minus SDR.

    They are three examples of six seconds, each overlapping the next by half.
    """
    number, seconds, steps = {
        "smoke": (1, 4.0, 2),
        "student": (6, 12.0, 252),
        "paper": (50, 12.0, 2000),
    }[profile]
    settings = dict(features=64, hidden=32, layers=1, mlp=128, split="V4", hop=1024)
    recipe = STUDENT.but(
        batch=3,
        chunk_seconds=seconds / 2,
        samples_per_track=1,
        mix_prob=0.0,
        gains=None,
        swap=0.0,
        lr=1e-2,
        clip=5.0,
        weight_decay=0.0,
        max_steps=steps,
    )
    arms = [
        Arm(f"BSRNN, 12 s by heart, {name}", recipe=dict(loss=loss), excerpt=(song, seconds))
        for name, loss in (("minus SDR", "sdr"), ("L1", "l1"))
        for song in range(number)
    ]
    preset = "smoke" if profile == "smoke" else "student"
    return Design("bsrnn", settings, recipe, tuple(arms), preset=preset)


#: In the order of their importance.
EXPERIMENTS = {
    "overfit": Experiment(
        "Can twelve seconds be learnt by heart, to at least 15 dB?",
        ("S4.3a", "S4.3b"),
        overfit,
        seeds=5,
    ),
    "variants": Experiment(
        "Which variant of Open-Unmix separates best?", ("S1.2", "S3.2a", "S3.2b", "S3.7"), variants
    ),
    "cost": Experiment(
        "What does a training step of the variants cost?", ("S3.4", "S3.5b"), lambda profile: None
    ),
    "songs": Experiment(
        "What does remixing bring, against the number of songs?", ("S4.12",), songs
    ),
    "mixing": Experiment("How much remixing is best?", ("S4.5", "S4.11"), mixing),
    "speech": Experiment(
        "What does speech in the training mixtures do?", ("S4.4f", "S4.4g"), speech
    ),
    "speech-fine-tuning": Experiment(
        "What does speech do to a network that separates already?",
        ("S4.4a", "S4.4b", "S4.4c", "S4.4d", "S4.4e"),
        speech_fine_tuning,
    ),
    "augmentation": Experiment(
        "What do pitch, speed and time shifts bring, and more songs?",
        ("S4.6a", "S4.6b", "S4.7"),
        augmentation,
    ),
    "transfer": Experiment(
        "Which randomisation helps on the band's songs, and which on real ones?",
        (),
        transfer,
        seeds=5,
    ),
    "pretraining": Experiment(
        "What does pre-training on mixtures without stems bring, with few songs and with many?",
        (),
        pretraining,
    ),
    "race": Experiment(
        "Which network separates best after equal examples, and after equal seconds?",
        (),
        race,
        seeds=5,
    ),
    "ablation": Experiment(
        "What does each part of Open-Unmix's recipe bring?",
        ("S2.4a", "S2.4b", "S2.4c", "S2.4d"),
        ablation,
    ),
}
PROFILES = ("smoke", "student", "paper")


def design(name: str, profile: str = "student") -> Design | None:
    """The design of an experiment in a profile; None for ``cost``, which trains nothing.

    Raises
    ------
    SepkitError
        For an unknown experiment or profile.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    return EXPERIMENTS[name].design(profile)
