"""The layout of LibriMix: which mixtures a folder holds.

``Libri2Mix/wav16k/min/<subset>/<part>/<mixture>.wav``: the rate (``wav8k``, ``wav16k``), the
mode (``min``, ``max``), the subset (``train-100``, ``dev``, ...), and the part: a type of
mixture, a speaker (``s1``, ``s2``, ...) or ``noise``. A mixture and its parts have one name.
"""

import re
from pathlib import Path

from ...errors import SepkitError, first_few, warn
from ...formats import SUFFIXES

RATES = {"8k": 8000, "16k": 16000}
MODES = ("min", "max")
#: Type of mixture -> which of speakers and noise are in it. The first that is found is read.
TYPES = ("mix_both", "mix_clean", "mix_single")
#: Split of a data set -> its subsets: LibriMix's own, then those of the band's speakers.
SUBSETS = {"train": ("train-360", "train-100", "train"), "valid": ("dev",), "test": ("test",)}
_SUBSET_NAMES = tuple(name for names in SUBSETS.values() for name in names)
#: Where mixtures lie below a folder that was given, as patterns.
_BELOW = ("m[ia][nx]", "wav*/m[ia][nx]", "*Mix/wav*/m[ia][nx]")
_SPEAKERS = re.compile(r"(?:Libri|Band)(\d)Mix")


def parts_of(kind: str, speakers: int) -> tuple[str, ...]:
    """What is summed in a type of mixture: ``("s1", "s2", "noise")`` in mix_both of two."""
    voices = tuple(f"s{number}" for number in range(1, speakers + 1))
    return {"mix_both": (*voices, "noise"), "mix_clean": voices, "mix_single": ("s1", "noise")}[
        kind
    ]


def sets_below(folder: Path) -> list[Path]:
    """The folders (``.../wav16k/min``) that hold subsets of mixtures, in a folder or below it."""
    places = [folder, *(path for pattern in _BELOW for path in folder.glob(pattern))]
    return sorted(path for path in places if _subsets(path))


def mixtures_by_split(folder: Path) -> dict[str, list[Path]] | None:
    """The mixtures of a folder in LibriMix's layout.

    Parameters
    ----------
    folder : Path
        On any level: what holds ``Libri2Mix/``, down to ``dev/`` or ``dev/mix_clean/``.

    Returns
    -------
    dict of str to list of Path, or None
        Files of mixtures by split, or by ``""`` for a folder of one subset, sorted by name.
        None for a folder that holds something else.

    Raises
    ------
    SepkitError
        If there are mixtures of several rates, modes or numbers of speakers.

    Warns
    -----
    Notice
        If there are several types of mixtures, of which one is read.
    """
    if folder.name in TYPES and _is_subset(folder.parent):
        return {"": _mixtures(folder.parent, folder.name)}
    if _is_subset(folder):
        return {"": _mixtures(folder, _type_of([folder]))}
    sets = sets_below(folder)
    if not sets:
        return None
    if len(sets) > 1:
        names = first_few(path.relative_to(folder).as_posix() for path in sets)
        raise SepkitError(
            f"{folder}: holds several sets of mixtures ({names}); give the folder of one, such "
            f"as {sets[0]}"
        )
    kind = _type_of(_subsets(sets[0]))
    return {
        split: [path for name in names for path in _mixtures(sets[0] / name, kind)]
        for split, names in SUBSETS.items()
        if any(_is_subset(sets[0] / name) for name in names)
    }


def counts_by_split(folder: Path) -> dict[str, int]:
    """How many mixtures lie in a folder or below it, of all rates and modes: {split: count}."""
    counts: dict[str, int] = {}
    for place in sets_below(folder):
        kind = _types(_subsets(place))[0]
        for split, names in SUBSETS.items():
            count = sum(len(_mixtures(place / name, kind)) for name in names)
            if count:
                counts[split] = counts.get(split, 0) + count
    return counts


def is_mixture(path: Path) -> bool:
    """Whether a path is that of a mixture in this layout."""
    return path.parent.name in TYPES and _is_subset(path.parent.parent)


def _is_subset(folder):
    return any((folder / kind).is_dir() for kind in TYPES) and (folder / "s1").is_dir()


def _subsets(folder):
    return [folder / name for name in _SUBSET_NAMES if _is_subset(folder / name)]


def _types(subsets):
    return [kind for kind in TYPES if any((subset / kind).is_dir() for subset in subsets)]


def _type_of(subsets):
    """The type that is read, of those that are there."""
    there = _types(subsets)
    if len(there) > 1:
        warn(
            f"{subsets[0].parent}: holds {' and '.join(there)}; {there[0]} is read (for another, "
            f"give the folder of one subset and type, such as {subsets[0] / there[1]})"
        )
    return there[0]


def _mixtures(subset, kind):
    """Files of mixtures, those that are missing although a part of them is there among them."""
    if not subset.is_dir():
        return []
    names = {
        path.name
        for part in (kind, *parts_of(kind, speakers_of(subset)))
        if (subset / part).is_dir()
        for path in (subset / part).iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }
    return [subset / kind / name for name in sorted(names)]


def speakers_of(subset: Path) -> int:
    """How many speak: by the name of the data set, else by the folders that are there."""
    named = _SPEAKERS.findall(str(subset.absolute()))
    return int(named[-1]) if named else len(list(subset.glob("s[1-9]")))
