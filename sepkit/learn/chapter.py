"""The beginning and the end of every chapter.

`begin` checks the parameters, seeds every random generator and shows what the
chapter will take; `Run.finish` writes the chapter's Scores.
"""

import html
import os
import random
from dataclasses import replace

import numpy as np
import torch

from ..datasets import data_set_name, known_data, open_tracks
from ..device import resolve_device
from ..errors import SepkitError
from ..files import provenance, read_json, shipped
from ..metrics import MetricCard, Score, save_scores
from ..validation import place
from . import parameters
from .listening import example_music


def begin(
    chapter,
    *,
    profile="student",
    weights="shipped",
    data="band",
    device="auto",
    seed=0,
    out_dir="build",
    show=True,
):
    """Start a chapter: check its parameters, seed, and show the header.

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
        For a parameter that does not exist, listing those that do.
    """
    run = Run(chapter, profile, weights, data, device, seed, out_dir)
    random.seed(run.seed)
    np.random.seed(run.seed)
    torch.manual_seed(run.seed)
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
    scores : list of Score
        What the chapter has measured so far.
    """

    def __init__(self, chapter, profile, weights, data, device, seed, out_dir):
        parameters.check(profile, weights, seed)
        self.chapter, self.profile, self.weights = chapter, profile, weights
        self.data = known_data(str(data))
        self.dataset = data_set_name(self.data)
        self.device, self.seed, self.out_dir = (
            resolve_device(device),
            int(seed),
            place("out_dir", out_dir),
        )
        self.scores = []

    def __repr__(self):
        return (
            f"Run({self.chapter!r}, profile={self.profile!r}, data={self.dataset!r},"
            f" seed={self.seed}, device={str(self.device)!r})"
        )

    def pick(self, smoke, student, paper):
        """The value that belongs to this run's profile."""
        return {"smoke": smoke, "student": student, "paper": paper}[self.profile]

    def tracks(self, split="test", **options):
        """The songs of this run's data set; the band is rendered when it is missing.

        Parameters
        ----------
        split : {"train", "valid", "test"}
        **options
            ``sample_rate`` and ``channels``, as for `sepkit.datasets.open_tracks`.

        Returns
        -------
        list of Track
        """
        preset = self.profile if self.data == "band" else None
        return open_tracks(self.data, split, preset=preset, **options)

    def example_music(self, seconds=8.0, sample_rate=44100):
        """A few seconds of music to look at and listen to.

        A recorded song when it can be had (profile smoke and ``SEPKIT_OFFLINE=1``
        never ask), otherwise a song of this run's data set; `Excerpt.told` says which.

        Returns
        -------
        Excerpt
            With ``audio`` (1, samples), ``sample_rate``, ``name``, ``dataset`` and ``told``.
        """
        network = self.profile != "smoke" and os.environ.get("SEPKIT_OFFLINE") != "1"
        return example_music(self, seconds, sample_rate, network)

    def score(self, scores, *, track=None, separator=None, dataset=None, **facts):
        """Keep one or more scores for the results file.

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
        self.scores += kept
        return kept

    def provenance(self, **facts):
        """What a number of this chapter needs to be believed."""
        command = (
            f"sepkit reproduce {self.chapter} --profile {self.profile} --data {self._told_data()}"
            f" --seed {self.seed}"
        )
        given = {
            "device": str(self.device),
            "seed": self.seed,
            "profile": self.profile,
            "weights": self.weights,
        }
        return provenance(command, **given, **facts)

    def finish(self):
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

    def _told_data(self):
        return (
            self.data if self.dataset == self.data else f"<{self.dataset}>"
        )  # no paths of this machine


def budgets(chapter):
    """Measured cost of a chapter: {profile: {"seconds", "peak_mb", "machine"}}, maybe empty."""
    path = shipped("budgets.json")
    return read_json(path).get(chapter, {}) if path.is_file() else {}


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

    def __repr__(self):
        run = self.run
        lines = [
            f"profile {name}: {self._budget(name)}{'  <- this run' if name == run.profile else ''}"
            for name in parameters.PROFILES
        ]
        return "\n".join(
            [
                *lines,
                (
                    f"data: {run.dataset} · weights: {run.weights} · device: {run.device} · seed:"
                    f" {run.seed}"
                ),
            ]
        )

    def _repr_html_(self):
        run = self.run
        cells = ""
        for name in parameters.PROFILES:
            mark = "border-bottom:3px solid #0072B2" if name == run.profile else "opacity:.75"
            this = " (this run)" if name == run.profile else ""
            cells += (
                '<td style="padding:.3em'
                f' 1em;text-align:left;{mark}"><b>{name}</b>{this}<br>{html.escape(self._budget(name))}</td>'
            )
        machines = {
            self.measured[name]["machine"] for name in parameters.PROFILES if name in self.measured
        }
        told = (
            f"Time and memory measured on: {html.escape('; '.join(sorted(machines)))}. "
            if machines
            else ""
        )
        facts = (
            f"data <b>{html.escape(run.dataset)}</b> · weights <b>{run.weights}</b> · device"
            f" <b>{run.device}</b> · seed <b>{run.seed}</b>"
        )
        return (
            f'<table style="margin:.3em 0"><tr>{cells}</tr></table><div'
            f' style="font-size:.9em">{told}{facts}</div>'
        )


def _display(run):
    try:
        from IPython.display import display
    except ImportError:
        print(_Header(run))
    else:
        display(_Header(run))
