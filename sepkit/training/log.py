"""What a training run shows: log.csv, TensorBoard, a progress bar, or calls of a function."""

import csv
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..console import on_terminal, progress_bar
from ..errors import SepkitError
from ..files import atomic_path
from .progress import Progress
from .recipe import Recipe

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

    def __init__(self, out: Path, recipe: Recipe):
        self.path, self._recipe = out / "log.csv", recipe
        self._board: Any = None  # TensorBoard's writer, while it is displayed
        self._bar: Callable[..., None] | None = None
        self._report: Callable[[dict], Any] | None = None
        self._board_folder = out / "tensorboard" if "tensorboard" in recipe.log else None
        if self._board_folder and find_spec("tensorboard") is None:
            raise SepkitError(
                "log=tensorboard: TensorBoard is not installed; run: pip install tensorboard"
            )

    def write(self, rows: list[dict]) -> None:
        """Write all rows to ``log.csv``, the last one to TensorBoard and the progress function."""
        self.rewrite(rows)
        if self._board:
            for name in ("train_loss", "valid_loss", "lr"):
                if not math.isnan(rows[-1][name]):  # nothing has been trained before epoch 1
                    self._board.add_scalar(name, rows[-1][name], rows[-1]["step"])
            self._board.flush()
        if self._report:
            self._report(rows[-1])

    def rewrite(self, rows: list[dict]) -> None:
        """Write ``log.csv`` alone."""
        with atomic_path(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    @contextmanager
    def display(
        self, shown: bool | Callable[[dict], Any], target: str, progress: Progress
    ) -> Iterator[None]:
        """Show progress meanwhile: as a bar, on a terminal only, or by calls of a function.

        Parameters
        ----------
        shown : bool or callable
            Whether there is a bar, or what is called with each row.
        target : str
        progress : Progress
            So far; TensorBoard's later events stem from a killed run and are purged.
        """
        if self._board_folder:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(self._board_folder, purge_step=progress.step + 1)
        self._report = shown if callable(shown) else None
        try:
            with progress_bar(target, shown=shown is True, keep=True) as bar:
                self._bar = bar if shown is True and on_terminal() else None
                bar(progress.budget_used(self._recipe), 1.0)
                yield
        finally:
            self._bar = None
            if self._board:
                self._board.close()

    def show(self, target: str, progress: Progress, loss: float) -> None:
        """Move the progress bar, where one is shown.

        Parameters
        ----------
        target : str
        progress : Progress
        loss : float
            Of the last batch that it is known of.
        """
        if self._bar:
            best = f", best {progress.best:.4g}" if progress.rows else ""
            place = f"epoch {progress.epoch + 1}, step {progress.step}"
            used = progress.budget_used(self._recipe)
            self._bar(used, 1.0, f"{target}: {place}, loss {loss:.4g}{best}")
