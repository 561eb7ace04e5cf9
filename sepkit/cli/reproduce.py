"""``sepkit reproduce``: chapters in batch, the report, and the table at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_note, print_table, progress_bars
from ..datasets import DATA_HELP
from ..runtime.interruption import resumes
from ..validation import Number
from .options import (
    PLACE,
    SEEDS,
    WORKERS,
    Array,
    Device,
    Scheduler,
    assignments,
    number,
    refuse_unused,
    several,
)

if TYPE_CHECKING:
    from ..reproduce.ledger import LedgerTable

EXAMPLES = (
    "Examples: sepkit reproduce --profile smoke | "
    "sepkit reproduce 01 04 --data band,musdb7s --seed 0..7 --plan | "
    "sepkit reproduce --merge node1 node2 --out build"
)


def reproduce(
    context: typer.Context,
    chapters: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers (01) or names (01_stft); with --merge, folders.",
            metavar="[CHAPTER]...",
            show_default="all",
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
    data: Annotated[
        str, typer.Option(help=f"{DATA_HELP} Several with commas.", metavar="NAME|FOLDER,...")
    ] = "band",
    weights: Annotated[str, typer.Option(help="shipped, published or train.")] = "shipped",
    device: Device = "auto",
    seed: Annotated[
        tuple, typer.Option(help="For everything random: 0, 0..7 or 0,2,5.", **SEEDS)
    ] = "0",  # type: ignore[assignment]
    workers: Annotated[
        int | None,
        typer.Option(help="Jobs at a time on this machine.", show_default="2", **WORKERS),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run chapters again that did not change.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run, and what it takes; run nothing.")
    ] = False,
    array: Array = None,
    scheduler: Scheduler = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Bring the folders of several calls together; run nothing."),
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
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Try a run of profile paper: few steps, a stand-in of MUSDB18, no numbers kept.",
        ),
    ] = False,
) -> None:
    """Run chapters in batch; report what they measured beside what was published.

    Chapters x data sets x seeds. What is done, from the same notebook, code, data and parameters,
    is not run again.
    """
    if not rehearse:  # of which nothing is kept
        resumes("finished chapters are kept, and the same command goes on")
    if merge:
        refuse_unused(context, "--merge", *_OF_RUNS)
        _merge(chapters or [], out)
        return
    if rehearse:
        refuse_unused(context, "--rehearse", *_NOT_REHEARSED)
        _rehearse(chapters or [], several(data), out, device, seed, workers, notebooks, timeout)
        return
    if scheduler:
        refuse_unused(context, "--scheduler", "workers")
    from ..device import resolve_device
    from ..reproduce import batch
    from ..reproduce.grid import Grid
    from ..reproduce.manifest import failures

    grid = Grid(
        chapters or (),
        profile,
        weights,
        several(data),
        device,
        seed,
        out,
        notebooks,
        assignments(parameter, "--parameter"),
        "profile" if timeout is None else timeout,
    )
    planned = batch.plan(grid, workers, force, array)
    if plan:
        print_table("what would run", planned.titles, planned.rows())
        for line in planned.lines():
            typer.echo(line)
        return
    for line in planned.lines() if planned.todo else ():
        print_note(line)
    if device != "auto" and not scheduler:
        resolve_device(device)  # say now, not in every chapter, that it is missing
    with show_jobs() as on_event:
        entries = batch.run(grid, workers, force, array, scheduler, on_event)
    if array:
        typer.echo(
            f"share {array}: {len(entries)} jobs; after all shares: the same without --array"
        )
    else:
        _report(out)
    _end(failures(entries, out))


#: Options that say what is run.
_OF_RUNS = (
    "profile",
    "data",
    "weights",
    "device",
    "seed",
    "workers",
    "force",
    "plan",
    "array",
    "scheduler",
    "notebooks",
    "parameter",
    "timeout",
    "rehearse",
)
#: Options that a rehearsal has an answer of its own to.
_NOT_REHEARSED = ("profile", "weights", "force", "plan", "array", "scheduler", "parameter")


def _rehearse(chapters, data, *options):
    from ..reproduce import rehearsal

    data = rehearsal.rehearsed(data)
    with show_jobs() as on_event:
        failed = rehearsal.run(chapters, data, *options, on_event)
    typer.echo(f"rehearsed on stand-ins of {', '.join(data)}; the numbers were thrown away")
    _end(failed)


def _end(failed):
    for line in failed:
        typer.echo(f"sepkit: error: {line}", err=True)
    if failed:
        raise typer.Exit(1)


def _merge(folders, out):
    from ..reproduce.manifest import failures
    from ..reproduce.merge import merge

    entries = merge(folders, out, print_note)
    _report(out)
    for line in failures(entries, out):
        typer.echo(f"sepkit: error: {line}", err=True)
    typer.echo(f"{out}: {sum(entry['status'] == 'done' for entry in entries.values())} jobs done")


def _report(out):
    """Write the page, and print its tables of the usual metrics."""
    from ..reproduce import ledger
    from ..reproduce.report import write_report

    page = write_report(out)
    measured = ledger.load_measured(Path(out) / "results")
    tables = [table for table in ledger.tables(ledger.load_reported(), measured) if table.measured]
    for table in tables:
        if table.standard:
            print_table(*as_text(table))
    others = sum(not table.standard for table in tables)
    more = f" (with {others} more tables, of the chapters' own metrics)" if others else ""
    typer.echo(f"report: {page}{more}")


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
                cells += (
                    _cells(table, row, target)
                    if target in joined
                    else [table.shown(row.ours.get(target))]
                )
            rows.append((*cells, row.songs, row.provenance.get("chapter", "")))
    return table.title, (*columns, "songs", "chapter"), rows


def _cells(table, row, target):
    reported, difference = row.reported.get(target), row.difference(target)
    gap = "" if difference is None else f"{difference:+.2f}"
    printed = "" if reported is None else f"{reported:.2f}"
    return [printed, table.shown(row.ours.get(target)), gap, table.verdict(row, target)]


@contextmanager
def show_jobs() -> Iterator[Callable[[str, str, dict], None]]:
    """Shows what happens to each job; yields the function that `batch.run` calls.

    On a terminal a bar for each job that runs and one for all, elsewhere a plain line per event
    that ends one.
    """
    with progress_bars() as bars:
        yield _PlainEvents() if bars is None else _MovingEvents(bars)


_ENDED = {"done": "done", "failed": "FAILED", "unchanged": "unchanged"}


def _ended_text(name, event, details):
    from ..reproduce.plan import duration

    seconds, left = details.get("seconds"), details["left"]
    took = f"  {seconds:.0f} s" if seconds and event != "unchanged" else ""
    so_far = f"  ({details['finished']} of {details['of']}" if details["of"] > 1 else ""
    more = f", about {duration(left)} left" if left and event != "unchanged" else ""
    return f"{name}  {_ENDED[event]}{took}{so_far and so_far + more + ')'}"


class _PlainEvents:
    def __call__(self, name: str, event: str, details: dict) -> None:
        if event in _ENDED:
            typer.echo(_ended_text(name, event, details), err=True)


class _MovingEvents:
    """A bar for each notebook that runs, and one for all; what has ended is a line above them."""

    def __init__(self, bars):
        self.bars, self.tasks = bars, {}
        self.all = bars.add_task("jobs", total=None)

    def __call__(self, name: str, event: str, details: dict) -> None:
        if event == "cell":
            if name not in self.tasks:
                self.tasks[name] = self.bars.add_task(name, total=details["of"])
            self.bars.update(self.tasks[name], completed=details["cell"])
        elif event in _ENDED:
            if name in self.tasks:
                self.bars.remove_task(self.tasks.pop(name))
            text = _ended_text(name, event, details)
            self.bars.console.print(text, markup=False, highlight=False)
            finished, of = details["finished"], details["of"]
            text = f"{finished} of {of} jobs"
            self.bars.update(self.all, description=text, completed=finished, total=of)
