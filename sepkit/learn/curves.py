"""Loss and learning-rate curves of a training run, live or from its log (chapters 04 and 07)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ..errors import SepkitError
from . import plots


def curves(rows: Sequence[Mapping[str, float]], title: str = "") -> Figure:
    """Draw training loss, validation loss and learning rate over the steps.

    Parameters
    ----------
    rows : list of dict
        Rows of a run's log, each with step, train_loss, valid_loss and lr.
    title : str
    """
    steps = [row["step"] for row in rows]
    fig, (left, right) = plots.figure(1, 2, height=2.5, width_ratios=[3, 1.4])
    left.plot(steps, [row["train_loss"] for row in rows], ".-", label="training: chunks")
    left.plot(steps, [row["valid_loss"] for row in rows], ".-", label="validation: whole songs")
    best = min(rows, key=lambda row: row["valid_loss"])
    left.plot(
        best["step"],
        best["valid_loss"],
        "o",
        markersize=8,
        fillstyle="none",
        color=plots.CYCLE[1],
        label=f"best: {best['valid_loss']:.3g}",
    )
    left.set(
        xlabel="step", ylabel="loss", title=title or f"after {steps[-1]} steps", xlim=(0, None)
    )
    if not any(row[name] <= 0 for row in rows for name in ("train_loss", "valid_loss")):
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        left.yaxis.set_major_formatter(lambda loss, _: f"{loss:g}")
        left.yaxis.set_minor_locator(NullLocator())
    left.grid(True)
    left.legend()
    right.plot(steps, [row["lr"] for row in rows], ".-", color=plots.CYCLE[2])
    right.set(xlabel="step", title="learning rate", xlim=(0, None), ylim=(0, None))
    right.grid(True)
    return fig


class LiveCurves:
    """The curves of a run while it goes on: give it to `sepkit.training.train` as `progress`.

    One figure is displayed and replaced as rows come. Without a notebook
    nothing is shown, and the rows are kept.

    Parameters
    ----------
    title : str
    caption : str
        Shown once, below the figure.

    Attributes
    ----------
    rows : list of dict
        The log so far.
    """

    def __init__(self, title: str = "", caption: str = ""):
        self.title, self.caption, self._handle = title, caption, None
        self.rows: list[Mapping[str, float]] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        """Add a row of the log, and redraw the figure."""
        from IPython import get_ipython
        from IPython.display import display

        self.rows.append(row)
        if get_ipython() is None:
            return
        alt = (
            f"step {row['step']}: training loss {row['train_loss']:.4g}, validation loss"
            f" {row['valid_loss']:.4g}"
        )
        image = plots.Picture(curves(self.rows, self.title), alt, densities=(plots.PAGE,))
        if self._handle is None:
            self._handle = display(image, display_id=True)
            plots.show_caption(self.caption)
        else:
            self._handle.update(image)


def read_log(folder: str | Path) -> list[dict[str, float]]:
    """Read the rows of a run's ``log.csv``, as numbers.

    Raises
    ------
    SepkitError
        If there is none, or no epoch is finished.
    """
    path = Path(folder) / "log.csv"
    try:
        with open(path, newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        raise SepkitError(
            f"{path}: no such file; the folder of a run was expected, after its first epoch"
        ) from None
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise SepkitError(
            f"{path}: not the log of a run ({str(error)[:80]}); expected a table of numbers"
        ) from None
    if not rows:
        raise SepkitError(f"{path}: no epoch is finished yet")
    return rows
