"""Figures of chapter 07: stems of several songs, activity, and experiments with songs and seeds.

As in `plots`, each function draws into `ax` and returns it. `by_seed` and `by_song` turn the
Scores of `sepkit.reproduce.experiments` into the tables that are drawn.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ...errors import SepkitError
from ...metrics import Score
from ...metrics.statistics import Comparison
from ..diagrams import Diagram
from ..plots import CYCLE, colour

#: Arm of an experiment -> seed -> song -> value.
Arms = dict[str, dict[int, dict[str, float]]]
GREY = "#667085"
#: One more than there are colours: seeds of one colour have different marks.
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


# --- sounds --------------------------------------------------------------------------------------


def lanes(
    stems: Mapping[str, torch.Tensor],
    sample_rate: int,
    ax: Axes,
    title: str = "",
    notes: Mapping[str, str] | None = None,
    peak: float | None = None,
) -> Axes:
    """Draw stems over time, one below the other.

    Parameters
    ----------
    stems : dict of str to Tensor (channels, samples)
        Channels are averaged.
    notes : dict of str to str, optional
        What stands beside a stem's name, such as the song it comes from.
    peak : float, optional
        The amplitude that fills half a lane; by default each stem's own peak.
    """
    samples = 0
    for row, (name, audio) in enumerate(stems.items()):
        wave = np.asarray(audio.mean(0).float())
        samples, step = len(wave), max(1, len(wave) // 900)
        wave = wave[: len(wave) // step * step].reshape(-1, step)
        half = 2.2 * (peak or float(np.abs(wave).max()) or 1.0)
        time = np.arange(len(wave)) * step / sample_rate
        ax.fill_between(
            time,
            wave.min(1) / half - row,
            wave.max(1) / half - row,
            color=colour(name),
            linewidth=0.4,
        )
    names = [f"{name}\n{notes[name]}" if notes and name in notes else name for name in stems]
    ax.set_yticks([-row for row in range(len(stems))], names)
    ax.set(
        title=title,
        xlabel="time (s)",
        xlim=(0, samples / sample_rate),
        ylim=(0.55 - len(stems), 0.55),
    )
    return ax


def strips(groups: Mapping[str, ArrayLike], ax: Axes, ylabel: str = "", title: str = "") -> Axes:
    """Draw every value as a dot, groups side by side, with the mean of each as a bar.

    Parameters
    ----------
    groups : dict of str to sequence of float
    """
    for place, values in enumerate(groups.values()):
        values, tint = np.asarray(values, dtype=float), CYCLE[place % len(CYCLE)]
        spread = np.modf(np.arange(len(values)) * 0.618)[0] - 0.5  # even, without a pattern
        ax.plot(place + 0.5 * spread, values, ".", color=tint, markersize=4, alpha=0.6)
        ax.plot([place - 0.33, place + 0.33], [np.nanmean(values)] * 2, color=tint, linewidth=2.5)
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylabel=ylabel, title=title, xlim=(-0.6, len(groups) - 0.4))
    ax.grid(True, axis="y")
    return ax


def activity(
    energies: ArrayLike,
    threshold: float,
    kept: Sequence[int],
    seconds: float,
    ax: Axes,
    title: str = "",
    silent: float = 1e-5,
) -> Axes:
    """Draw the energies of a stem's chunks in dB, the threshold, and the segments that are kept.

    Parameters
    ----------
    energies : array (chunks,)
        Sums of squares, as `sepkit.datasets.activity.chunk_energies` gives them.
    threshold : float
        In the same unit.
    kept : sequence of int
        Segments that count as active; segment n begins with chunk 5 n and has up to 10 chunks.
    seconds : float
        Of a chunk.
    """
    level = 10 * np.log10(np.where(np.asarray(energies) > 0, energies, silent))
    ax.stairs(
        level,
        np.arange(len(level) + 1) * seconds,
        baseline=None,
        color=colour("vocals"),
        linewidth=1.5,
    )
    ax.axhline(10 * np.log10(threshold), color=GREY, linestyle="--", linewidth=1)
    bottom, top = min(level.min(), 10 * np.log10(threshold)) - 4, level.max() + 4
    height = 0.055 * (top - bottom)
    for segment, first in enumerate(range(0, max(1, len(level) - 5), 5)):
        where = bottom - (1 + segment % 2) * height  # neighbours overlap by half: two rows
        chunks, tint = min(10, len(level) - first), "#009E73" if segment in set(kept) else "#d0d5dd"
        ax.broken_barh(
            [(first * seconds, chunks * seconds)],
            (where, 0.8 * height),
            facecolor=tint,
            edgecolor="white",
        )
    ax.set(
        xlabel="time (s)",
        ylabel="energy of 0.6 s (dB)",
        title=title,
        xlim=(0, len(level) * seconds),
        ylim=(bottom - 2.2 * height, top),
    )
    ax.grid(True, axis="y")
    return ax


# --- experiments ---------------------------------------------------------------------------------


def by_seed(scores: Sequence[Score], metric: str = "usdr") -> Arms:
    """Sort the Scores of an experiment into {arm: {seed: {song: value}}}.

    Parameters
    ----------
    scores : list of Score
        Of one data set and target, as an experiment writes them.
    metric : str

    Raises
    ------
    SepkitError
        If there is no such metric, or the Scores come from several data sets.
    """
    chosen = [score for score in scores if score.metric == metric]
    if len({score.dataset for score in chosen}) != 1:
        found = sorted({score.dataset for score in chosen}) or "none"
        raise SepkitError(
            f"by_seed: {metric} of one data set was expected, found {found}; choose a metric that"
            " the experiment scores"
        )
    table: Arms = {}
    for score in chosen:
        table.setdefault(score.separator, {}).setdefault(score.provenance["seed"], {})[
            score.track
        ] = score.value
    return table


def by_song(seeds: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Average one arm of `by_seed` over seeds: {song: mean}, since the song is the unit."""
    songs = next(iter(seeds.values()))
    return {song: statistics.fmean(scores[song] for scores in seeds.values()) for song in songs}


def differences(
    a: Mapping[int, Mapping[str, float]], b: Mapping[int, Mapping[str, float]]
) -> np.ndarray:
    """Subtract two arms of `by_seed` song by song: a - b in dB, array (songs, seeds)."""
    seeds = [seed for seed in a if seed in b]
    songs = [song for song in a[seeds[0]] if song in b[seeds[0]]]
    return np.array([[a[seed][song] - b[seed][song] for seed in seeds] for song in songs])


def curves(
    table: Arms,
    lines: Mapping[str, Mapping[float, str]],
    ax: Axes,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "SDR of the vocals (dB)",
) -> Axes:
    """Draw means over songs against a setting: a point per seed, a line through their means.

    Parameters
    ----------
    table : dict
        What `by_seed` returns.
    lines : dict of str to dict of float to str
        Label -> {x: name of the arm}.
    """
    for (label, arms), tint in zip(lines.items(), CYCLE, strict=False):
        means = {
            x: [np.nanmean([*songs.values()]) for songs in table[arm].values()]
            for x, arm in arms.items()
        }
        ax.plot(
            list(means),
            [statistics.fmean(values) for values in means.values()],
            color=tint,
            label=label,
            linewidth=1.8,
        )
        for x, values in means.items():
            ax.plot([x] * len(values), values, "o", color=tint, markersize=4, alpha=0.6)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(True)
    if len(lines) > 1:
        ax.legend()
    return ax


def gains(
    comparisons: Mapping[float, Comparison],
    ax: Axes,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "difference in SDR (dB)",
    tint: str = CYCLE[0],
) -> Axes:
    """Draw effects against a setting with 95 % intervals; hollow where these hold 0.

    Parameters
    ----------
    comparisons : dict of float to Comparison
        As `sepkit.metrics.statistics.compare` returns them over songs, or, over songs and seeds,
        `sepkit.metrics.crossed.crossed`.
    """
    ax.axhline(0, color="#344054", linewidth=0.9)
    ax.plot(
        list(comparisons),
        [one.effect for one in comparisons.values()],
        color=tint,
        linewidth=1,
        alpha=0.6,
    )
    for x, one in comparisons.items():
        ax.plot(
            [x, x], [one.low, one.high], color=tint, linewidth=3, solid_capstyle="round", alpha=0.6
        )
        ax.plot(
            x,
            one.effect,
            "o",
            color=tint,
            markerfacecolor="white" if one.low <= 0 <= one.high else tint,
            markersize=7,
        )
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(True)
    return ax


def by_song_and_seed(
    found: ArrayLike, ax: Axes, title: str = "", ylabel: str = "difference in SDR (dB)"
) -> Axes:
    """Draw differences per song: a mark per seed, a bar at the mean, songs ordered by mean.

    Parameters
    ----------
    found : array (songs, seeds)
        As `differences` returns it.
    """
    found = np.asarray(found)
    found = found[np.argsort(found.mean(1))]  # a song that is NaN, being silent, goes last
    for seed in range(found.shape[1]):
        own, tint = found[:, seed], CYCLE[seed % len(CYCLE)]
        ax.plot(
            range(len(own)),
            own,
            MARKS[seed % len(MARKS)],
            color=tint,
            markersize=3.5,
            label=f"seed {seed}: mean {np.nanmean(own):+.2f} dB",
        )
    for song, mean in enumerate(found.mean(1)):
        ax.plot([song - 0.35, song + 0.35], [mean, mean], color=GREY, linewidth=1.6)
    ax.axhline(0, color="#344054", linewidth=0.9)
    ax.set(xlabel="test songs, in the order of their means", ylabel=ylabel, title=title)
    ax.set_xticks([])
    ax.grid(True, axis="y")
    # below the axes: it would hide dots
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=7)
    return ax


def remixing() -> Diagram:
    """Draw how an example is made, from songs to mixture and target."""
    diagram = Diagram(
        720,
        370,
        "How a training example is made, from top to bottom. For each of the stems vocals, drums,"
        " bass and other, a song is drawn, and a place in it: an excerpt. Each excerpt is changed"
        " by itself: gain, swapped channels, polarity, sometimes silence. Then the four are added"
        " to the mixture. The vocals alone are the target. At the end, mixture and target are"
        " divided by one and the same number.",
    )
    steps = ["a song", "an excerpt", "gain, swap, ...", ""]
    for column, stem in enumerate(("vocals", "drums", "bass", "other")):
        x, tint = 100.0 + 140 * column, colour(stem)
        diagram.text((x, 20), stem, anchor="middle", colour=tint)
        for row, step in enumerate(steps[:3]):
            diagram.box((x, 55 + 65 * row), (120, 30), step, border=tint)
            end = 65 + 65 * (row + 1) - 25 if row < 2 else 235
            diagram.arrow([(x, 70 + 65 * row), (x, end)])
    diagram.box((310, 250), (540, 30), "sum: the mixture x", "#e4e7ec")
    diagram.arrow([(40, 185), (20, 185), (20, 320), (40, 320)])
    diagram.box((100, 320), (120, 30), "target", border=colour("vocals"))
    diagram.arrow([(370, 265), (370, 305)])
    diagram.box((370, 320), (240, 30), "both divided by one number", "#fde9d3")
    diagram.arrow([(160, 320), (250, 320)])
    diagram.text((598, 55), "drawn one by one", size=12, colour="#475467")
    diagram.text((600, 120), "at its own place", size=12, colour="#475467")
    diagram.text((600, 185), "each by itself", size=12, colour="#475467")
    return diagram


def songs_and_seeds() -> Diagram:
    """Draw the table of differences of a crossed design: songs in rows, seeds in columns."""
    diagram = Diagram(
        620,
        290,
        "A table of differences. Every row is a song, every column a seed; the entry d of song i"
        " and seed j is the score of one setting minus that of the other. The mean of a row is"
        " about mu plus a_i, what is special about the song. The mean of a column is about mu plus"
        " b_j, what is special about the seed. The mean of all estimates the effect mu.",
    )
    songs, seeds = ("song 1", "song 2", "...", "song n"), ("seed 1", "seed 2", "...", "seed m")
    for column, seed in enumerate(seeds):
        x = 150.0 + 92 * column
        diagram.text((x, 22), seed, anchor="middle", colour="#475467")
        for row, song in enumerate(songs):
            y, dots = 60.0 + 46 * row, "..." in (song, seed)
            i, j = song[-1], seed[-1]
            diagram.box((x, y), (80, 34), "..." if dots else f"d({i}, {j})")
        mean = seed if seed == "..." else f"≈ µ + b({seed[-1]})"
        diagram.box((x, 252), (80, 34), mean, "#d1fadf")
    for row, song in enumerate(songs):
        y = 60.0 + 46 * row
        diagram.text((90, y), song, anchor="end", colour="#475467")
        mean = song if song == "..." else f"≈ µ + a({song[-1]})"
        diagram.box((540, y), (90, 34), mean, "#dbeafe")
    diagram.text((540, 22), "mean", anchor="middle", colour="#475467")
    diagram.text((90, 252), "mean", anchor="end", colour="#475467")
    diagram.box((540, 252), (90, 34), "effect µ", "#fde9d3")
    return diagram
