"""The beginning and the end of every chapter, and the six parameters between them.

`default` gives the parameters' values, `begin` checks them, seeds every random generator, sets
the figures' style and shows what the chapter will take; `Run.finish` writes the chapter's Scores.
"""

from __future__ import annotations

import html
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import validation
from ..band import VERSION as BAND_VERSION
from ..datasets import data_set_name, known_data, open_tracks
from ..datasets.track import Track
from ..device import resolve_device
from ..errors import SepkitError, unknown
from ..files import digest, identity, provenance, read_json, repo_root, shipped
from ..metrics import MetricCard, Score, save_scores
from ..models.base import Model
from ..reproduce.grid import PROFILES, WEIGHTS
from ..training import Recipe
from ..training.songs import identities
from . import marks, plots
from .listening import Excerpt, example_music
from .needs import check_songs
from .stopping import train

#: parameter -> (environment variable, value without it)
_DEFAULTS = {
    "profile": ("SEPKIT_PROFILE", "student"),
    "weights": ("SEPKIT_WEIGHTS", "shipped"),
    "data": ("SEPKIT_DATA_NAME", "band"),
    "device": ("SEPKIT_DEVICE", "auto"),
    "seed": ("SEPKIT_SEED", "0"),
    "out_dir": ("SEPKIT_OUT", None),
}


_SCORED = ("track", "target", "metric", "separator", "dataset")


def default(name: str) -> str | int:
    """Value of a chapter's parameter, unless papermill or the reader changes it.

    Parameters
    ----------
    name : str
        ``profile``, ``weights``, ``data``, ``device``, ``seed`` or ``out_dir``.

    Returns
    -------
    str, or int for ``seed``
        ``$SEPKIT_PROFILE``, ``$SEPKIT_WEIGHTS``, ``$SEPKIT_DATA_NAME``, ``$SEPKIT_DEVICE``,
        ``$SEPKIT_SEED`` or ``$SEPKIT_OUT`` where set. Without it: student, shipped, band, auto,
        0, and ``build`` of the checkout (or of the working folder).

    Raises
    ------
    SepkitError
        For an unknown name, or a seed that is no whole number.
    """
    if name not in _DEFAULTS:
        raise unknown("parameter", name, _DEFAULTS)
    variable, otherwise = _DEFAULTS[name]
    value = os.environ.get(variable) or otherwise
    if name == "seed":
        return validation.number(variable, value, validation.SEED)
    if value is None:
        return str((repo_root() or Path()) / "build")
    return value


def begin(
    chapter: str,
    *,
    profile: str = "student",
    weights: str = "shipped",
    data: str = "band",
    device: str = "auto",
    seed: int = 0,
    out_dir: str | Path = "build",
    show: bool = True,
) -> Run:
    """Start a chapter: check its parameters, seed, set the figures' style and show the header.

    Parameters
    ----------
    chapter : str
        The notebook's name, such as ``"01_stft"``.
    profile : {"smoke", "student", "paper"}
    weights : {"shipped", "published", "train"}
    data : str
        One of `sepkit.datasets.DATASETS`, or a folder of songs.
    device : str
        See `sepkit.device.resolve_device`.
    seed : int
    out_dir : str or Path
        ``results/<chapter>.json`` is written there by `Run.finish`.
    show : bool
        Whether to display the header.

    Returns
    -------
    Run

    Raises
    ------
    SepkitError
        For a parameter that does not exist, listing those that do; for songs with which the
        chapter cannot work, saying what it needs (`sepkit.learn.needs`).
    """
    run = Run(chapter, profile, weights, data, device, seed, out_dir)
    random.seed(run.seed)
    np.random.seed(run.seed)
    torch.manual_seed(run.seed)
    plots.use_style()
    marks.keep_in(run.out_dir / "progress")
    if show:
        _display(run)
    return run


class Run:
    """One execution of a chapter.

    Attributes
    ----------
    chapter, profile, weights, data : str
    dataset : str
        The name under which scores are kept.
    device : torch.device
    seed : int
    out_dir : Path
    silent : tuple of str
        Test songs that are left out, as they (or their vocals) are silent.
    scores : list of Score
        What the chapter has measured so far.
    """

    def __init__(
        self,
        chapter: str,
        profile: str,
        weights: str,
        data: str,
        device: str,
        seed: int,
        out_dir: str | Path,
    ):
        if profile not in PROFILES:
            raise unknown("profile", profile, PROFILES)
        if weights not in WEIGHTS:
            raise unknown("weights", weights, WEIGHTS)
        validation.number("seed", seed, validation.SEED)
        self.chapter, self.profile, self.weights = chapter, profile, weights
        self.data = known_data(str(data))
        self.dataset = data_set_name(self.data)
        self.device, self.seed = resolve_device(device), int(seed)
        self.out_dir = validation.place("out_dir", out_dir)
        self.silent = check_songs(chapter, self.data, self.dataset, PROFILES.index(profile))
        if self.silent:
            print(f"left out, as they or their vocals are silent: {', '.join(self.silent)}")
        self.scores: list[Score] = []
        self._scored: set[tuple] = set()

    def __repr__(self) -> str:
        return (
            f"Run({self.chapter!r}, profile={self.profile!r}, data={self.dataset!r},"
            f" seed={self.seed}, device={str(self.device)!r})"
        )

    def pick(self, smoke: Any, student: Any, paper: Any) -> Any:
        """Choose the value that belongs to this run's profile."""
        return {"smoke": smoke, "student": student, "paper": paper}[self.profile]

    def tracks(self, split: str = "test", **options: Any) -> list[Track]:
        """Open the songs of this run's data set; the band is rendered when it is missing.

        Mono songs are read as two equal channels unless `channels` says otherwise. Silent test
        songs (`silent`) are left out.

        Parameters
        ----------
        split : {"train", "valid", "test"}
        **options
            ``sample_rate`` and ``channels``, as for `sepkit.datasets.open_tracks`.
        """
        preset = self.profile if self.data == "band" else None
        if self.dataset != self.data:  # a folder: the networks and the figures expect stereo
            options.setdefault("channels", 2)
        tracks = open_tracks(self.data, split, preset=preset, **options)
        return [track for track in tracks if split != "test" or track.name not in self.silent]

    def example_music(
        self, seconds: float = 8.0, sample_rate: int = 44100, song: int = 0
    ) -> Excerpt:
        """A few seconds of music to look at and listen to.

        A recorded song when it can be had (profile smoke and ``SEPKIT_OFFLINE=1``
        never ask), otherwise a song of this run's data set; `Excerpt.description` says which.

        Parameters
        ----------
        seconds : float
        sample_rate : int
        song : int
            Which of the data set's test songs, where there is no recording: 0 is the first, -1
            the last.

        Returns
        -------
        Excerpt
            With ``audio`` (1, samples), ``sample_rate``, ``name``, ``dataset``, ``description``.
        """
        network = self.profile != "smoke" and os.environ.get("SEPKIT_OFFLINE") != "1"
        return example_music(self, seconds, sample_rate, network, song)

    def score(
        self,
        scores: Score | tuple | Sequence[Score | tuple],
        *,
        track: str | None = None,
        separator: str | None = None,
        dataset: str | None = None,
        **facts: Any,
    ) -> list[Score]:
        """Keep one or more scores for the results file.

        Scores of the same thing that were kept before, as when a cell is run twice, go.

        Parameters
        ----------
        scores : Score, list of Score, or list of (target, metric, value, card)
            The last is what `sepkit.metrics.score_track` returns; it needs `track`
            and `separator`. A card may also be a metric's definition in words.
        track, separator : str
        dataset : str, optional
            By default this run's.
        **facts
            What else the provenance should hold, such as ``checkpoint`` or ``seconds``.

        Returns
        -------
        list of Score
            As they were kept: with this run's provenance.
        """
        rows = [scores] if isinstance(scores, (Score, tuple)) else list(scores)
        own = self.provenance(**facts)  # once: it asks git
        kept = [self._score(row, track, separator, dataset or self.dataset, own) for row in rows]
        new = {_what(score) for score in kept}
        if not self._scored.isdisjoint(new):
            self.scores = [score for score in self.scores if _what(score) not in new]
        self._scored |= new
        self.scores += kept
        return kept

    def provenance(self, **facts: Any) -> dict:
        """Provenance of a score of this chapter: command, commit, device, seed, and `facts`."""
        command = (
            f"sepkit reproduce {self.chapter} --profile {self.profile}"
            f" --data {self._data_argument()} --seed {self.seed}"
        )
        given = {
            "device": str(self.device),
            "seed": self.seed,
            "profile": self.profile,
            "weights": self.weights,
        }
        if self.data == "band":
            given["band"] = BAND_VERSION
        return provenance(command, **given, **facts)

    def folder(self, name: str, *about: Any) -> Path:
        """A folder for a training: the same one for a rerun, another when anything differs.

        Parameters
        ----------
        name : str
            Of the training.
        *about
            What else decides its result, beside the code, the data, the profile and the seed.

        Returns
        -------
        Path
            ``<out_dir>/runs/<chapter>/<profile>-<name>-<digest>``; it need not exist yet.
        """
        code = identity(Path(__file__).resolve().parents[1], (".py",))
        key = digest(code, self.data, self.seed, *about)[:8]
        return self.out_dir / "runs" / self.chapter / f"{self.profile}-{name}-{key}"

    def train(
        self,
        name: str,
        network: Model,
        train_tracks: Sequence[Track],
        valid_tracks: Sequence[Track],
        recipe: Recipe,
        progress: bool | Callable = False,
    ) -> Path:
        """Train a network of this chapter, see `sepkit.learn.stopping.train`.

        Parameters
        ----------
        name : str
            Of the training, for its folder (`folder`).
        network, train_tracks, valid_tracks, recipe, progress
            As for `sepkit.training.train`.

        Returns
        -------
        Path
            The best checkpoint, also when the reader has stopped the training.
        """
        songs = [identities(tracks) for tracks in (train_tracks, valid_tracks)]
        folder = self.folder(name, network.name, network.settings, recipe.flat(), songs)
        device = str(self.device)
        return train(folder, network, train_tracks, valid_tracks, recipe, device, progress)

    def finish(self) -> None:
        """Write the scores to ``<out_dir>/results/<chapter>.json``, and print one line about it."""
        path = self.out_dir / "results" / f"{self.chapter}.json"
        save_scores(path, self.scores)
        print(
            f"{len(self.scores)} scores written to results/{path.name} (data: {self.dataset},"
            f" profile: {self.profile}, seed: {self.seed})"
        )

    def _score(self, row, track, separator, dataset, own):
        if isinstance(row, Score):
            given = {
                key: value
                for key, value in row.provenance.items()
                if value is not None and key != "command"
            }
            return replace(row, provenance={**own, **given})
        if track is None or separator is None:
            raise SepkitError(
                "run.score: (target, metric, value, card) rows need track=... and separator=..."
            )
        target, metric, value, card = row
        card = MetricCard(metric, card) if isinstance(card, str) else card
        return Score(track, target, metric, float(value), separator, dataset, card, dict(own))

    def _data_argument(self):
        # no paths of this machine
        return self.data if self.dataset == self.data else f"<{self.dataset}>"


def _what(score):
    """What was scored, and how: all but the value, the date and the time it took."""
    facts = {k: v for k, v in score.provenance.items() if k != "date" and "seconds" not in k}
    return (*(getattr(score, part) for part in _SCORED), repr(sorted(facts.items())))


def budgets(chapter: str) -> dict:
    """Measured cost of a chapter: {profile: {"seconds", "peak_mb", "machine"}}, maybe empty."""
    path = shipped("budgets.json")
    return read_json(path).get(chapter, {}) if path.is_file() else {}


#: What may be expected of a profile, for the header.
_MEANING = {
    "smoke": "smoke: only checks that it runs; what it prints, draws and plays means nothing yet.",
    "student": "student: what the text speaks of.",
    "paper": "paper: the settings of the sources; figures and tables differ from the stored ones.",
}


class _Header:
    """The table under a chapter's parameters."""

    def __init__(self, run):
        self.run, self.measured = run, budgets(run.chapter)

    def _budget(self, profile):
        found = self.measured.get(profile)
        if not found:
            return "not measured yet"
        seconds = found["seconds"]
        time = (
            f"{max(1, round(seconds))} s"
            if seconds < 90
            else f"{seconds / 60:.0f} min"
            if seconds < 5400
            else f"{seconds / 3600:.1f} h"
        )
        return f"{time}, {found['peak_mb'] / 1000:.1f} GB of memory"

    def _meaning(self):
        """What the profile means, and which one a GPU allows."""
        lines = [_MEANING[self.run.profile]]
        if self.run.device.type == "cuda" and self.run.profile != "paper":
            lines.append(
                'There is a GPU: profile = "paper" in the cell above takes the settings of the'
                " sources, for hours."
            )
        return lines

    def __repr__(self):
        run = self.run
        lines = [
            f"profile {name}: {self._budget(name)}{'  <- this run' if name == run.profile else ''}"
            for name in PROFILES
        ]
        facts = f"data: {run.dataset} · weights: {run.weights} · device: {run.device}"
        return "\n".join([*lines, f"{facts} · seed: {run.seed}", *self._meaning()])

    def _repr_html_(self):
        run = self.run
        cells = "".join(self._cell_html(name) for name in PROFILES)
        machines = sorted({found["machine"] for found in self.measured.values()})
        measured = html.escape("; ".join(machines))
        where = f"Time and memory measured on: {measured}. " if machines else ""
        facts = " · ".join(
            f"{label} <b>{html.escape(str(value))}</b>"
            for label, value in (
                ("data", run.dataset),
                ("weights", run.weights),
                ("device", run.device),
                ("seed", run.seed),
            )
        )
        return (
            f'<table style="margin:.3em 0"><tr>{cells}</tr></table>'
            f'<div style="font-size:.9em">{where}{facts}</div>'
            f"<div>{'<br>'.join(map(html.escape, self._meaning()))}</div>"
        )

    def _cell_html(self, profile):
        this = profile == self.run.profile
        mark = "border-bottom:3px solid #0072B2" if this else "opacity:.75"
        return (
            f'<td style="padding:.3em 1em;text-align:left;{mark}"><b>{profile}</b>'
            f"{' (this run)' if this else ''}<br>{html.escape(self._budget(profile))}</td>"
        )


def _display(run):
    try:
        from IPython.display import display
    except ImportError:
        print(_Header(run))
    else:
        display(_Header(run))
