"""A share of the work, for one of several calls that know nothing of each other."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import SepkitError

Item = TypeVar("Item")


def dealt(
    items: Sequence[Item], share: str | None, cost: Callable[[Item], float] = lambda item: 1.0
) -> list[Item]:
    """The items of a share such as ``"2/8"``, in their order; all without a share.

    The shares are disjoint, together they are everything, and their costs differ as little as
    dealing the dearest items first can do. They are the same in every call with the same items
    and costs: for the tasks of a SLURM array, of Snakemake, of submitit.

    Parameters
    ----------
    items : sequence
    share : str or None
        ``N/M``, with N from 1 to M.
    cost : callable
        Of an item, such as its seconds.

    Raises
    ------
    SepkitError
        If the share is none.
    """
    if share is None:
        return list(items)
    number, of = parsed(share)
    loads, chosen = [0.0] * of, []
    for index in sorted(range(len(items)), key=lambda index: -cost(items[index])):
        lightest = min(range(of), key=loads.__getitem__)
        loads[lightest] += cost(items[index])
        if lightest == number - 1:
            chosen.append(index)
    return [items[index] for index in sorted(chosen)]


def parsed(share: str) -> tuple[int, int]:
    """``"2/8"`` as (2, 8).

    Raises
    ------
    SepkitError
        For anything else.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", share.strip())
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise SepkitError(
            f"--array {share}: expected N/M with N from 1 to M, such as 2/8; with SLURM: "
            "sbatch --array=1-8 and --array $SLURM_ARRAY_TASK_ID/8"
        )
    return number, of
