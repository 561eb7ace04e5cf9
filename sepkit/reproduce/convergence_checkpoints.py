"""The trainings of the checkpoints that come with sepkit, begun again.

A checkpoint whose training was logged ships with its log, log.csv: that is its convergence file.
With several networks in a folder, the log's column ``target`` says which a row is about.
Settings and recipe stand in the checkpoint itself, else in manifest.json beside it, which also says
on which songs it was trained. `verify` trains the beginning on the same songs: ``sepkit verify
open-unmix-voices --data FOLDER``. Of a checkpoint that cannot be trained again `why_not` says why.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import models
from ..band import MANIFEST, VERSION
from ..datasets import open_tracks
from ..errors import SepkitError, unknown
from ..files import read_object, shipped
from ..training import Recipe
from .convergence import Curve, Verification, compared, in_db, trained_until, verdict

LOG = "log.csv"
#: Parts of a recipe that say how long a training may be; a checkpoint does not hold them.
_BUDGET = ("epochs", "max_steps", "max_seconds", "patience")


@dataclass(frozen=True)
class Training:
    """How a checkpoint was trained.

    Attributes
    ----------
    name, target : str
        Such as ``open-unmix-voices`` and ``vocals``.
    model, settings, recipe
        What was trained, and how.
    data : dict
        The songs, as manifest.json describes them.
    init : dict or None
        checkpoint and sha256 of the weights with which it began; None for random ones.
    curve : Curve
    """

    name: str
    target: str
    model: str
    settings: dict[str, Any]
    recipe: Recipe
    data: dict[str, Any]
    init: dict[str, Any] | None
    curve: Curve


def why_not(name: str) -> str:
    """Why a checkpoint's training cannot be begun again; empty if it can."""
    try:
        load(name)
    except SepkitError as error:
        return str(error)
    return ""


def overview() -> list[dict[str, str]]:
    """A row for each training that can be verified, as `convergence.overview` has them."""
    names = [name for name in models.shipped_sets() if not why_not(name)]
    found = [load(name, target) for name in names for target in logged(name)]
    return [
        {
            "experiment": one.name,
            "preset": "--data",
            "arms": one.target,
            "seeds": str(len(one.curve.losses)),
            "after steps": ", ".join(map(str, one.curve.steps)),
        }
        for one in found
    ]


def logged(name: str) -> list[str]:
    """The targets whose trainings a checkpoint's log holds, in its order."""
    folder = shipped("checkpoints") / name
    networks = sorted(path.stem for path in folder.glob(f"*{models.checkpoints.SUFFIX}"))
    rows = _rows(folder)
    if rows and "target" in rows[0]:
        return list(dict.fromkeys(row["target"] for row in rows))
    return networks if rows and len(networks) == 1 else []


def load(name: str, target: str | None = None) -> Training:
    """What is recorded of a checkpoint's training.

    Parameters
    ----------
    name : str
    target : str, optional
        Of `logged`, where a folder has several networks; by default the first of them.

    Raises
    ------
    SepkitError
        For an unknown checkpoint; saying why, for one that nobody can train again.
    """
    if name not in models.shipped_sets():
        raise unknown("checkpoint", name, models.shipped_sets())
    folder = shipped("checkpoints") / name
    manifest = read_object(folder / "manifest.json", data=dict, training=dict)
    version = manifest["data"].get("version", 1)
    if version != VERSION:
        raise SepkitError(
            f"{name}: was trained on version {version} of the band, and version {VERSION} is what "
            "this sepkit renders; nobody can repeat it here"
        )
    if not (folder / LOG).is_file():
        raise SepkitError(f"{name}: no log of its training was kept ({LOG} is missing)")
    targets = logged(name)
    if not targets:
        raise SepkitError(f"{name}: has several networks and one {LOG}; which it is of is unknown")
    target = target or targets[0]
    if target not in targets:
        raise SepkitError(
            f"{name}: has no log of the training for {target!r}; of {', '.join(targets)} it has"
        )
    path = folder / f"{target}{models.checkpoints.SUFFIX}"
    recorded = _recorded(name, path, manifest["training"])
    rows = [row for row in _rows(folder) if row.get("target", target) == target]
    if len({row.get("run") for row in rows}) > 1:
        raise SepkitError(
            f"{name}: was trained in several runs, each from the weights of the one before, which "
            "were not kept"
        )
    began_elsewhere = any(int(row["epoch"]) == 0 for row in rows)
    init = recorded.get("init") or ({} if began_elsewhere else None)
    recipe = _recipe(recorded, manifest, rows)
    settings = {key: value for key, value in recorded["settings"].items() if key != "target"}
    model, curve = models.read_header(path)["model"], _curve(rows, recipe.seed)
    return Training(name, path.stem, model, settings, recipe, manifest["data"], init, curve)


def _rows(folder):
    """The rows of a checkpoint's log; none if it has no log."""
    if not (folder / LOG).is_file():
        return []
    with open(folder / LOG, newline="") as file:
        return list(csv.DictReader(file))


def _recorded(name, path, training):
    """Settings and recipe: from the checkpoint, else from the manifest."""
    own = training.get(path.stem, training)
    for found in (models.read_header(path)["extra"], own, own.get("last run", {})):
        if isinstance(found.get("recipe"), dict):
            settings = found.get("settings") or own.get("settings")
            if isinstance(settings, dict):
                return {"init": own.get("init"), **found, "settings": settings}
    raise SepkitError(f"{name}: manifest.json does not hold the settings and recipe of its {LOG}")


def _recipe(recorded, manifest, rows):
    """The recipe with the number of steps that were planned: the learning rate goes by it.

    That is what the recipe or the command says; else where the log ends.
    """
    given = {key: value for key, value in recorded["recipe"].items() if key not in _BUDGET}
    steps = recorded["recipe"].get("max_steps") or _steps_of([recorded, manifest["training"]])
    return Recipe(**{**given, "max_steps": steps or int(rows[-1]["step"]), "cache": "memory"})


def _steps_of(places: Sequence[dict[str, Any]]) -> int | None:
    """``max_steps`` of the first command in these records."""
    for place in places:
        command = place.get("command") or place.get("provenance", {}).get("command") or ""
        if found := re.search(r"max[_-]steps[= ](\d+)", command):
            return int(found[1])
    return None


def _curve(rows, seed):
    """The curve of a log; it has a column of seeds where several were trained."""
    losses: dict[str, list[float]] = {}
    for row in rows:
        losses.setdefault(row.get("seed") or str(seed), []).append(float(row["valid_loss"]))
    own = [row for row in rows if (row.get("seed") or str(seed)) == next(iter(losses))]
    return Curve([int(row["step"]) for row in own], losses)


def verify(
    name: str,
    steps: int,
    data: str | Path | None = None,
    init: str | Path | None = None,
    device: str = "cpu",
    target: str | None = None,
) -> Verification:
    """Train the beginning of a checkpoint again, on the same songs, and compare.

    Parameters
    ----------
    name : str
        Of `names`.
    steps : int
        Train up to the first recorded step that is not below, or to the last one.
    data : str or Path, optional
        The folder of its songs.
    init : str or Path, optional
        The weights with which it began, where these were not random.
    device : str
    target : str, optional
        Of `logged`; by default the first.

    Raises
    ------
    SepkitError
        As `load`; if the songs or the weights are not given, or are others.
    """
    training = load(name, target)
    _right_start(training, init)
    network = _network(training)
    train, valid = _songs(training, data, network)
    last = training.curve.until(steps)
    rows = trained_until(
        last, network, train, valid, training.recipe, device, training.target, init
    )
    found = compared(name, training.curve, training.recipe.seed, rows)
    end = f"{in_db(min(min(own) for own in training.curve.losses.values())):.2f} dB"
    return Verification(
        name,
        training.target,
        training.recipe.seed,
        found,
        verdict(found),
        f"{end} on the validation songs, {training.curve.steps[-1]} steps",
    )


def _network(training):
    torch.manual_seed(training.recipe.seed)
    return models.build(training.model, target=training.target, **training.settings)


def _right_start(training, init):
    """Refuse other weights than those with which the training began."""
    if training.init is None:
        if init is not None:
            raise SepkitError(f"{training.name}: began with random weights; leave --init out")
        return
    kept, wanted = training.init.get("checkpoint", ""), training.init.get("sha256")
    if init is None:
        known = f" ({Path(kept).name}, sha256 {str(wanted)[:12]})" if wanted else ""
        raise SepkitError(
            f"{training.name}: began with the weights of an earlier training{known}, which do not "
            "come with sepkit; give them: --init FILE"
        )
    if wanted:
        from ..training.fine_tuning import take_weights

        found = take_weights(_network(training), init, training.target)["sha256"]
        if found != wanted:
            raise SepkitError(
                f"--init {init}: other weights (sha256 {found[:12]}) than those with which "
                f"{training.name} began ({wanted[:12]})"
            )


def _songs(training, data, network):
    """Songs to train on and to validate with, if the folder holds those of the training."""
    about = training.data
    if data is None:
        how = about.get("command", "its manifest.json describes")
        raise SepkitError(
            f"{training.name}: say where its songs are, --data FOLDER; they are what {how} renders"
        )
    here = read_object(Path(data) / MANIFEST, settings=dict)["settings"]
    for key, value in {"version": VERSION, **about.get("settings", {})}.items():
        if here.get(key) != value:
            raise SepkitError(
                f"{data}: its songs have {key} {here.get(key)!r}, those of {training.name} "
                f"{value!r}"
            )
    train, valid = (
        open_tracks(data, split, sample_rate=network.sample_rate, channels=network.channels)
        for split in ("train", "valid")
    )
    songs = about.get("songs")
    if isinstance(songs, int) and songs != len(train) + len(valid):
        raise SepkitError(
            f"{data}: has {len(train) + len(valid)} songs to train on and to validate with, "
            f"{training.name} was trained on {songs}"
        )
    return train, valid
