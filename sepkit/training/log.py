"""What a training run shows: log.csv, TensorBoard, a progress bar, a function that gets every row."""

import csv
import math
from contextlib import contextmanager
from importlib.util import find_spec

from ..console import on_terminal, progress_bar
from ..errors import SepkitError
from ..files import atomic_path

COLUMNS = ("epoch", "step", "train_loss", "valid_loss", "lr", "seconds", "waiting")


class Log:
    """The log of a run, which only the first of several processes writes.

    Parameters
    ----------
    out : Path
        The run's folder; TensorBoard's files lie in its ``tensorboard``.
    recipe : Recipe
        Its `log` is used.

    Raises
    ------
    SepkitError
        If TensorBoard is asked for and not installed.
    """

    def __init__(self, out, recipe):
        self.path, self._board, self._bar, self._report = out / "log.csv", None, None, None
        self._board_folder = out / "tensorboard" if "tensorboard" in recipe.log else None
        if self._board_folder and find_spec("tensorboard") is None:
            raise SepkitError(
                "log=tensorboard: TensorBoard is not installed; run: pip install tensorboard"
            )

    def write(self, rows):
        """All rows, as ``log.csv``; the last one to TensorBoard and to the function that was given as progress."""
        self.rewrite(rows)
        if self._board:
            for name in ("train_loss", "valid_loss", "lr"):
                if not math.isnan(rows[-1][name]):  # nothing has been trained before epoch 1
                    self._board.add_scalar(name, rows[-1][name], rows[-1]["step"])
            self._board.flush()
        if self._report:
            self._report(rows[-1])

    def rewrite(self, rows):
        """``log.csv`` alone."""
        with atomic_path(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    @contextmanager
    def display(self, progress, target, share, step):
        """While this lasts, show progress: a bar with the time left on a terminal only, or calls of a function.

        Parameters
        ----------
        progress : bool or callable
        target : str
        share : float
            Of the budget, used up already.
        step : int
            Steps done already: what TensorBoard has of later ones is of a run that was killed.
        """
        if self._board_folder:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(self._board_folder, purge_step=step + 1)
        self._report = progress if callable(progress) else None
        try:
            with progress_bar(target, shown=progress is True, keep=True) as bar:
                self._bar = bar if progress is True and on_terminal() else None
                bar(share, 1.0)
                yield
        finally:
            self._bar = None
            if self._board:
                self._board.close()

    @property
    def watched(self):
        """Whether somebody sees single steps."""
        return self._bar is not None

    def show(self, share, text):
        """Move the bar."""
        if self._bar:
            self._bar(share, 1.0, text)
