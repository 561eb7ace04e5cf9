"""Convergence files: the score that a training must have reached after so many steps.

sepkit/assets/convergence/NAME.json holds the validation losses of the stored experiment NAME, step
by step and seed by seed. `verify` trains its beginning again, with the same songs and the same
seed, and says whether this machine reproduces it: ``sepkit verify NAME``. `convergence_files`
writes them. Checkpoints have a module of their own, `convergence_checkpoints`.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .. import training
from ..band import MANIFEST, VERSION, ensure
from ..datasets import Track, open_tracks
from ..datasets.loader import decoded
from ..errors import SepkitError, unknown
from ..files import read_object, shipped
from ..models.checkpoints import shipped_sets
from ..training import Recipe
from .experiments import Arm, Design, catalogue, stored
from .experiments.scores import data_version
from .experiments.scoring import TARGET
from .numbers import about, mean_of_arm
from .numbers import in_db as in_words

#: Presets of the band: that of the stored experiments, and one that is rendered in seconds.
LARGE, SMALL = "experiments", "smoke"
#: Steps that `verify` trains at least, where as many are recorded.
STEPS = 200
#: dB by which the same seed may differ on another machine, where sums are rounded otherwise.
TOLERANCE = 0.1
#: A loss that is as many deviations from the mean over seeds could be that of another seed.
DEVIATIONS = 3
#: dB by which a loss may differ where one seed alone is recorded: three times the usual spread, as
#: the median deviation over the eight seeds of the stored experiments is 0.3 dB.
ALONE = 1.0
SAME, ALIKE, OTHER = "reproduced", "reproduced within the spread over seeds", "not reproduced"
NEAR = f"reproduced within {ALONE:g} dB; one seed is recorded, and no spread"


@dataclass(frozen=True)
class Curve:
    """The validation losses of an arm.

    Attributes
    ----------
    steps : list of int
        Steps of the optimiser after which they were taken.
    losses : dict of str to list of float
        Seed -> the loss after each of `steps`.
    """

    steps: list[int]
    losses: dict[str, list[float]]

    def score(self, seed: int, number: int) -> float:
        """Minus the loss of a seed in dB, the `number`-th of `steps`; NaN for an unknown seed."""
        losses = self.losses.get(str(seed))
        return in_db(losses[number]) if losses else math.nan

    def over_seeds(self, number: int) -> tuple[float, float]:
        """Mean and standard deviation over seeds of `score`; NaN is the deviation of one seed."""
        scores = [in_db(losses[number]) for losses in self.losses.values()]
        spread = statistics.stdev(scores) if len(scores) > 1 else math.nan
        return statistics.fmean(scores), spread

    def until(self, steps: int) -> int:
        """The first of the recorded steps that is not below, or the last one."""
        return next((step for step in self.steps if step >= steps), self.steps[-1])


@dataclass(frozen=True)
class Verification:
    """What a rerun found.

    Attributes
    ----------
    experiment, arm, seed
        What was trained.
    rows : list of dict
        For each recorded step: steps, mean and deviation over seeds, stored (of the same seed) and
        here, in dB.
    verdict : str
        `SAME`, `ALIKE`, `NEAR` or `OTHER`.
    end : str
        What the whole training reached on the test songs; empty on other songs than the stored.
    """

    experiment: str
    arm: str
    seed: int
    rows: list[dict[str, float]]
    verdict: str
    end: str = ""


def in_db(loss: float) -> float:
    """A loss as a score: -10 log10. Of a ratio of energies, as ``nmse`` is, these are dB."""
    return -10 * math.log10(loss)


def names() -> list[str]:
    """The experiments with a convergence file."""
    return sorted(path.stem for path in shipped("convergence").glob("*.json"))


def load(name: str, preset: str = LARGE) -> dict[str, Any]:
    """What is recorded of an experiment on the songs of a preset.

    Returns
    -------
    dict
        band, voice, instruments (of the songs), provenance, and arms: {name: `Curve`}.

    Raises
    ------
    SepkitError
        For a name without a file, saying why there is none; for a preset that it does not have.
    """
    path = shipped("convergence") / f"{name}.json"
    if not path.is_file():
        raise SepkitError(_why_not(name))
    presets = read_object(path, presets=dict)["presets"]
    if preset not in presets:
        raise unknown(f"preset of the convergence of {name}", preset, presets)
    found = presets[preset]
    if found["band"] != VERSION:
        raise SepkitError(_of_other_songs(name, found["band"]))
    return {**found, "arms": {arm: Curve(**curve) for arm, curve in found["arms"].items()}}


def _why_not(name):
    """Why something that sepkit ships has no convergence file, in one line."""
    scores = stored().get(name)
    if scores is None:
        known = sorted({*names(), *shipped_sets(), *stored()})
        return str(unknown("experiment or checkpoint", name, known))
    if data_version(scores[0]) != VERSION and scores[0].dataset.startswith("band"):
        return _of_other_songs(name, data_version(scores[0]))
    return f"{name}: has no convergence file; choose from {', '.join(names())}"


def _of_other_songs(name, version):
    return (
        f"{name}: was trained on version {version} of the band, and version {VERSION} is what this "
        f"sepkit renders; nobody can repeat it here: verify {' or '.join(names())}"
    )


def verify(
    name: str,
    steps: int = STEPS,
    arm: str | None = None,
    seed: int = 0,
    preset: str = LARGE,
    root: str | Path | None = None,
    device: str = "cpu",
) -> Verification:
    """Train the beginning of a stored experiment again, and compare.

    Parameters
    ----------
    name : str
        Of `names`.
    steps : int
        Train up to the first recorded step that is not below, or to the last one.
    arm : str, optional
        By default the first one.
    seed : int
    preset : str
        `LARGE`, or `SMALL` for a quick look.
    root : str or Path, optional
        Data root.
    device : str

    Returns
    -------
    Verification

    Raises
    ------
    SepkitError
        As `load`; for an unknown arm; if the songs here are played or sung by other instruments.
    """
    recorded = load(name, preset)
    arm = next(iter(recorded["arms"])) if arm is None else arm
    if arm not in recorded["arms"]:
        raise unknown(f"arm of {name}", arm, recorded["arms"])
    _same_sounds(recorded, songs_here(preset, root))
    curve = recorded["arms"][arm]
    here = beginning(name, arm, seed, curve.until(steps), preset, root, device)
    rows = compared(name, curve, seed, here)
    end = _end(name, arm) if preset == LARGE else ""
    return Verification(name, arm, seed, rows, verdict(rows), end)


def compared(
    name: str, curve: Curve, seed: int, here: Iterable[tuple[int, float]]
) -> list[dict[str, float]]:
    """The rows of a `Verification`, of (step, validation loss) as they were found here.

    Raises
    ------
    SepkitError
        If it was validated after other steps than those recorded.
    """
    rows = []
    for number, (step, loss) in enumerate(here):
        if step != curve.steps[number]:
            raise SepkitError(f"{name}: validated after {step} steps, not {curve.steps[number]}")
        mean, deviation = curve.over_seeds(number)
        row = {"steps": step, "mean": mean, "deviation": deviation}
        rows.append({**row, "stored": curve.score(seed, number), "here": in_db(loss)})
    return rows


def _end(name, arm):
    """The mean over songs and seeds, and the deviation over seeds, of the stored Scores."""
    scores = [score for score in stored()[name] if score.separator == arm]
    steps = scores[0].provenance["steps"]
    return f"{in_words(mean_of_arm(scores, arm, 'usdr'))} uSDR, {about(scores)}, {steps} steps"


def overview() -> list[dict[str, str]]:
    """What can be verified, a row for each: experiment, preset, arms, seeds, steps."""
    rows = []
    for name in names():
        presets = read_object(shipped("convergence") / f"{name}.json", presets=dict)["presets"]
        for preset, found in presets.items():
            curve = Curve(**next(iter(found["arms"].values())))
            rows.append(
                {
                    "experiment": name,
                    "preset": preset,
                    "arms": "; ".join(found["arms"]),
                    "seeds": str(len(curve.losses)),
                    "after steps": ", ".join(map(str, curve.steps)),
                }
            )
    return rows


def verdict(rows: Sequence[dict[str, float]]) -> str:
    """Whether rows agree. NaN, for a seed that was never trained, is no agreement."""
    if all(abs(row["here"] - row["stored"]) <= TOLERANCE for row in rows):
        return SAME
    if any(math.isnan(row["deviation"]) for row in rows):
        alone = all(abs(row["here"] - row["stored"]) <= ALONE for row in rows)
        return NEAR if alone else OTHER
    near = (abs(row["here"] - row["mean"]) <= DEVIATIONS * row["deviation"] for row in rows)
    return ALIKE if all(near) else OTHER


def songs_here(preset: str, root: str | Path | None = None) -> dict[str, Any]:
    """Version of the band, voice and instruments of a preset's songs, rendered if need be."""
    found = read_object(ensure(preset, root) / MANIFEST, settings=dict)["settings"]
    return {"band": found["version"], **{key: found[key] for key in ("voice", "instruments")}}


def _same_sounds(recorded, here):
    for part in ("voice", "instruments"):
        if recorded[part] != here[part]:
            raise SepkitError(
                f"the songs here have {part} {here[part]!r}, the stored ones {recorded[part]!r}; "
                "install sepkit[band] and render them anew: sepkit data band"
            )


class _Enough(Exception):
    """Ends a training from its progress function."""


def beginning(
    name: str,
    arm: str,
    seed: int,
    steps: int,
    preset: str = LARGE,
    root: str | Path | None = None,
    device: str = "cpu",
) -> Iterator[tuple[int, float]]:
    """Train an arm up to so many steps; (step, validation loss) after each epoch.

    The schedule is that of the whole training.
    """
    design = catalogue.design(name)
    assert design is not None  # "cost" has none, and no file
    chosen = arms(design)[arm]
    network = design.network(chosen, seed)
    opened = partial(
        open_tracks,
        "band",
        root=root,
        preset=preset,
        sample_rate=network.sample_rate,
        channels=network.channels,
    )
    valid = decoded(opened("valid"))
    train = decoded(opened("train"))[: chosen.songs] + valid * chosen.with_valid
    recipe = design.recipe.but(**chosen.recipe, seed=seed, cache=None)
    yield from trained_until(steps, network, train, valid, recipe, device, TARGET)


def trained_until(
    steps: int,
    network: Any,
    train: Sequence[Track],
    valid: Sequence[Track],
    recipe: Recipe,
    device: str,
    target: str,
    init: str | Path | None = None,
) -> list[tuple[int, float]]:
    """Train up to so many steps of a whole training; (step, validation loss) after each epoch.

    Other parameters are those of `sepkit.training.train`.
    """
    rows: list[tuple[int, float]] = []

    def note(row):
        rows.append((row["step"], row["valid_loss"]))
        if row["step"] >= steps:
            raise _Enough

    with TemporaryDirectory() as folder:
        try:
            training.train(
                network, train, valid, folder, recipe, device, target, progress=note, init=init
            )
        except _Enough:
            pass
    return rows


def arms(design: Design) -> dict[str, Arm]:
    """The arms that begin with random weights, and need nothing but the band's songs."""
    every = [design.init] if design.init else design.arms
    return {
        arm.name: arm
        for arm in every
        if not (arm.augmented or arm.natural or arm.pretrained or arm.excerpt)
        and not arm.recipe.get("speech_prob")
    }
