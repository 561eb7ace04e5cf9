"""Names that come from files and become paths: a check before they do."""

import unicodedata
from pathlib import Path
from typing import Any

from .errors import SepkitError

#: Bytes in UTF-8, so that prefixes and suffixes still fit into the 255 that file systems allow.
LONGEST = 180
#: What some system reads as more than a part of a name.
SPECIAL = frozenset('/\\:*?"<>|')
#: Devices on Windows, with any suffix.
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{d}{n}" for d in ("com", "lpt") for n in "0123456789¹²³"
}


def plain_name(name: Any, what: str, source: str | Path) -> str:
    """A name, if it may become the name of one file or folder on every system.

    Parameters
    ----------
    name : object
        As it was read.
    what : str
        What it names, such as ``"target"``.
    source : str or Path
        The file that holds it.

    Returns
    -------
    str
        `name`, unchanged.

    Raises
    ------
    SepkitError
        If it is not a string, or empty, hidden, too long, part of a longer path, a device
        of Windows, or holds characters that are not printed.
    """
    if wrong := fault(name):
        shown = ascii(name) if len(ascii(name)) <= 60 else f"{ascii(name)[:57]}..."
        raise SepkitError(
            f"{source}: the {what} {shown} {wrong}; expected a plain name such as 'vocals', "
            "without folders"
        )
    return name


def plain_path(path: Any, what: str, source: str | Path) -> str:
    """A path below a folder, such as ``train/a song``, if each part is a plain name.

    Returns
    -------
    str
        `path`, unchanged.
    """
    for part in path.split("/") if isinstance(path, str) else [path]:
        plain_name(part, what, source)
    return path


def fault(name: object) -> str | None:
    """What keeps a name from being plain, in words; None if nothing does."""
    if not isinstance(name, str):
        return "is no text"
    if not name:
        return "is empty"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name):
        return "holds characters that are not printed"
    if special := sorted(SPECIAL.intersection(name)):
        return f"holds {' '.join(special)}"
    if name != name.strip().strip("."):
        return "begins or ends with a space or a dot"
    if name.split(".")[0].strip().lower() in DEVICES:
        return "is a device of Windows"
    if len(name.encode()) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    return None
