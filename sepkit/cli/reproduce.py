"""``sepkit reproduce``: chapters in batch, the report, and the table at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_table, progress_bars
from ..runtime.interruption import resumes
from ..validation import Number
from .options import PLACE, SEED, WORKERS, Data, Device, assignments, number

if TYPE_CHECKING:
    from ..reproduce.ledger import LedgerTable

EXAMPLES = (
    "Examples: sepkit reproduce --profile smoke | "
    "sepkit reproduce 01 04_open_unmix --seed 1 --out build/seed1"
)


def reproduce(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers (01) or names (01_stft).", metavar="[CHAPTER]...", show_default="all"
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="smoke (seconds per chapter), student (minutes) or paper (GPU hours).",
            envvar="SEPKIT_PROFILE",
        ),
    ] = "student",
    out: Annotated[
        Path, typer.Option(help="Folder for executed notebooks, results and report.html.", **PLACE)
    ] = Path("build"),
    data: Data = "band",
    weights: Annotated[str, typer.Option(help="shipped, published or train.")] = "shipped",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="For everything random.", **SEED)] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Chapters at a time.", show_default="2", **WORKERS)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run chapters again that did not change.")
    ] = False,
    notebooks: Annotated[
        Path | None,
        typer.Option(help="Folder of the chapters.", show_default="notebooks/", **PLACE),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            help="Any other parameter of the chapters, NAME=VALUE; may be repeated.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds a cell may take.",
            show_default="by profile",
            **number(Number(0.001, 10**9, whole=False)),
        ),
    ] = None,
) -> None:
    """Run chapters in batch; report what they measured beside what was published.

    Chapters whose notebook, code, data and parameters are unchanged are not run again.
    """
    resumes("finished chapters are kept, and the same command goes on")
    from ..device import resolve_device
    from ..reproduce import batch, ledger
    from ..reproduce.report import write_report

    if device != "auto":
        resolve_device(device)  # say now, not in every chapter, that it is missing
    with show_chapters() as on_event:
        entries = batch.run(
            chapters or (),
            profile,
            out,
            weights,
            data,
            device,
            seed,
            workers,
            force,
            notebooks,
            assignments(parameter, "--parameter"),
            "profile" if timeout is None else timeout,
            on_event,
        )
    page = write_report(out)
    measured = ledger.load_measured(Path(out) / "results")
    tables = [table for table in ledger.tables(ledger.load_reported(), measured) if table.measured]
    for table in tables:
        if table.standard:
            print_table(*as_text(table))
    others = sum(not table.standard for table in tables)
    more = f" (with {others} more tables, of the chapters' own metrics)" if others else ""
    typer.echo(f"report: {page}{more}")
    failed = batch.failures(entries, out)
    for line in failed:
        typer.echo(f"sepkit: error: {line}", err=True)
    if failed:
        raise typer.Exit(1)


def as_text(table: "LedgerTable") -> tuple[str, tuple[str, ...], list[tuple]]:
    """A table of the ledger as (title, columns, rows) of strings.

    A target has four columns, reported, ours, difference and verdict, where both numbers exist.
    """
    joined = {
        target
        for target in table.targets
        if any(row.difference(target) is not None for row in table.rows)
    }
    columns = ["system"]
    for target in table.targets:
        names = ("reported", "ours", "difference", "verdict")
        columns += [f"{target} {name}" for name in names] if target in joined else [target]
    rows = []
    for row in table.rows:
        if row.ours:
            cells = [row.system]
            for target in table.targets:
                cells += _cells(table, row, target) if target in joined else [_ours(row, target)]
            rows.append((*cells, row.songs, row.provenance.get("chapter", "")))
    return table.title, (*columns, "songs", "chapter"), rows


def _cells(table, row, target):
    reported = _two_digits(row.reported.get(target))
    difference = row.difference(target)
    gap = "" if difference is None else f"{difference:+.2f}"
    return [reported, _ours(row, target), gap, table.verdict(row, target)]


def _ours(row, target):
    return _two_digits(row.ours.get(target))


def _two_digits(value):
    return "" if value is None else f"{value:.2f}"


@contextmanager
def show_chapters() -> Iterator[Callable[[str, str, dict], None]]:
    """Shows what happens to each chapter; yields the function that `batch.run` calls.

    On a terminal a line per chapter that moves, elsewhere a plain line per event that ends one.
    """
    with progress_bars("cells") as bars:
        yield _PlainEvents() if bars is None else _MovingEvents(bars)


_ENDED = {"done": "done", "failed": "FAILED", "unchanged": "unchanged"}


def _ended_text(name, event, details):
    seconds = details.get("seconds")
    took = f"  {seconds:.0f} s" if seconds and event != "unchanged" else ""
    return f"{name}  {_ENDED[event]}{took}"


class _PlainEvents:
    def __call__(self, name: str, event: str, details: dict) -> None:
        if event in _ENDED:
            typer.echo(_ended_text(name, event, details), err=True)


class _MovingEvents:
    def __init__(self, bars):
        self.bars, self.tasks = bars, {}

    def __call__(self, name: str, event: str, details: dict) -> None:
        task = self.tasks.get(name)
        if event == "waiting":
            self.tasks[name] = self.bars.add_task(name, total=None, start=False)
        elif event == "cell":
            if details["cell"] == 0:
                self.bars.start_task(task)
            self.bars.update(task, completed=details["cell"], total=details["of"])
        elif task is None:  # unchanged: it was never waiting
            self.bars.console.print(_ended_text(name, event, details), markup=False)
        else:
            self.bars.stop_task(task)
            self.bars.update(task, description=_ended_text(name, event, details))
