"""The data sets that are opened by a name: what they are, where they lie, how to get them.

Help texts and errors are made of `DATASETS`; a new data set is one entry of it. It is cheap to
import, for the command line's help.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import SepkitError
from ..files import data_root
from ..validation import place

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class DataSet:
    """A data set with a name.

    Attributes
    ----------
    what : str
        What it is, in a few words.
    remedy : str
        How to get it.
    make : callable or None
        ``make(preset, root)`` makes it, if need be, and returns its folder; None where it
        has to lie in the data root, in a folder of its name.
    download : int or None
        Bytes of the archive that is downloaded, where there is one.
    """

    what: str
    remedy: str
    make: Callable | None = None
    download: int | None = None


def _band(preset, root):
    from ..band import ensure

    return ensure("student" if preset is None else preset, root)


DATASETS = {
    "band": DataSet("the embedded band, rendered on this machine", "run: sepkit data band", _band),
    "musdb7s": DataSet(
        "MUSDB18's free 7-second excerpts", "run: sepkit data musdb7s", download=140_000_000
    ),
    "musdb18": DataSet(
        "MUSDB18, .stem.mp4",
        "ask for it at https://zenodo.org/records/1117372 and unpack it there",
        download=4_684_228_845,
    ),
    "musdb18hq": DataSet(
        "MUSDB18-HQ, WAV",
        "ask for it at https://zenodo.org/records/3338373 and unpack it there",
        download=22_656_664_047,
    ),
    "librimix": DataSet("speakers and noise, in LibriMix's layout", "run: sepkit data librimix"),
}
#: What may be given as data, for help texts.
DATA_HELP = f"{', '.join(DATASETS)} or a folder of songs."


def data_set_name(data: str | Path) -> str:
    """The name under which scores on `data` are kept: one of `DATASETS`, or ``folder:NAME``."""
    return data if data in DATASETS else f"folder:{Path(data).resolve().name}"


def known_data(data: str | Path) -> str:
    """The name of a data set, or the path of a folder that exists, ``~`` spelled out; as text.

    Raises
    ------
    SepkitError
        For anything else, listing the data sets.
    """
    if isinstance(data, str) and data in DATASETS:
        return data
    folder = place("data", data)
    if not folder.is_dir():
        raise SepkitError(
            f"{data}: neither a folder nor one of the data sets {', '.join(DATASETS)}"
        )
    return str(folder)


def data_folder(
    data: str | Path, root: str | Path | None = None, preset: str | None = None
) -> Path:
    """The folder of a data set or of songs; the band is rendered if it is missing.

    Parameters
    ----------
    data : str or Path
        A key of `DATASETS`, or a folder.
    root : str or Path, optional
        Where the named data sets lie; see `sepkit.files.data_root`.
    preset : str, optional
        Which size of the band.

    Raises
    ------
    SepkitError
        If there is none, saying how to get it.
    """
    if data not in DATASETS:
        return Path(known_data(data))
    found = DATASETS[data]
    if found.make:
        return found.make(preset, root)
    folder = data_root(root) / data
    if not folder.is_dir():
        raise SepkitError(
            f"{folder}: {found.what} expected here; {found.remedy}, or use another data set"
        )
    return folder
