"""Which recordings are meant by files, folders and patterns, and where the stems of each go."""

import glob
import os
import string
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import audio
from ..errors import SepkitError, unknown

#: What a template of output folders may hold.
FIELDS = ("stem", "parent", "ext", "model", "index")
#: The file in a folder of stems that says what made them.
RECORD = "separation.json"


def find_recordings(inputs: Iterable[str | Path]) -> list[Path]:
    """The audio files meant by files, folders and patterns such as ``*.flac``.

    Parameters
    ----------
    inputs : iterable of str or Path
        A folder stands for all readable audio files in it and in its folders, but of
        a song's folder only ``mixture.*``, and nothing that `separate_file` has
        written. Hidden files and folders are left out. A pattern is one only where no
        file has that very name; ``**`` stands for folders of any depth.

    Returns
    -------
    list of Path
        In the order given, those of a folder or pattern sorted; each once.

    Raises
    ------
    SepkitError
        If a folder holds no audio, a pattern matches nothing, or a folder cannot be read.
    """
    found: dict[str, Path] = {}
    for given in map(Path, inputs):
        for path in _matches(given):
            for recording in _recordings_below(path) if path.is_dir() else [path]:
                found.setdefault(os.path.abspath(recording), recording)
    return list(found.values())


def _matches(path):
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True))
    if not matches:
        raise SepkitError(f"{path}: no file matches this pattern")
    return map(Path, matches)


def _recordings_below(folder):
    found = list(_walk(folder, set()))
    if not found:
        raise SepkitError(
            f"{folder}: no audio in this folder or below (readable: {audio.READABLE})"
        )
    return found


def _walk(folder, seen):
    """Recordings in a folder and below it; links are followed, but nowhere twice."""
    if (here := folder.resolve()) in seen:
        return
    seen.add(here)
    try:
        visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SepkitError(f"{folder}: cannot be read ({error.strerror})") from None
    if any(path.name == RECORD for path in visible):
        return
    files = [p for p in visible if p.suffix.lower() in audio.SUFFIXES and not p.is_dir()]
    yield from [path for path in files if path.stem == "mixture"] or files
    for path in visible:
        if path.is_dir():
            yield from _walk(path, seen)


def output_folders(
    paths: Sequence[str | Path], out_dir: str | Path, name: str = "{stem}", model: str = "model"
) -> dict[Path, Path]:
    """Where the stems of each recording go: {path: folder}; a file given twice counts once.

    Parameters
    ----------
    paths : sequence of str or Path
    out_dir : str or Path
    name : str
        A template: ``{stem}`` is the name of the file without suffix, or of its folder
        if that is ``mixture``, as data sets have it; ``{parent}`` the folder that it
        lies in; ``{ext}`` its suffix; ``{model}`` what separates it; ``{index}`` its
        number. ``/`` makes folders in folders.
    model : str
        What ``{model}`` stands for.

    Raises
    ------
    SepkitError
        If the template is not understood or leaves `out_dir`, or if two files would
        be written to one folder: ``a/song.mp3`` and ``b/song.wav``.
    """
    folders: dict[Path, Path] = {}
    taken: dict[tuple[str, ...], Path] = {}
    paths = list(paths)
    digits = len(str(len(paths)))
    for number, path in enumerate(map(Path, paths), 1):
        parts = _folder_parts(name, path, model, f"{number:0{digits}}")
        folder = Path(out_dir).joinpath(*parts)
        # The same for names that some file systems take for one.
        key = tuple(unicodedata.normalize("NFC", part).casefold().rstrip(". ") for part in parts)
        if key not in taken:
            taken[key], folders[path] = path, folder
        elif taken[key].resolve() != path.resolve():
            other = taken[key]
            keep = (
                "{parent}/{stem}"
                if _fields(path)["parent"] != _fields(other)["parent"]
                else "{stem} ({ext})"
            )
            raise SepkitError(
                f"{path}: its stems would be written to {folder}, like those of {other}; "
                f"rename one, or tell them apart, as by --name '{keep}'"
            )
    return folders


def _fields(path):
    stem = path.stem if path.stem.strip(".") else path.name
    folder = Path(os.path.abspath(path)).parent
    if stem == "mixture" and folder.resolve().name:
        stem, folder = folder.resolve().name, folder.resolve().parent
    return {"stem": stem, "parent": folder.name, "ext": path.suffix.lstrip(".").lower()}


def _folder_parts(template, path, model, index):
    """The parts of a folder's path below the output folder."""
    values = {**_fields(path), "model": model, "index": index}
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SepkitError(
            f"--name {template!r}: {error}; expected such as '{{parent}}/{{stem}}'"
        ) from None
    text = ""
    for literal, field, spec, conversion in pieces:
        text += literal
        if field is None:
            continue
        if field not in values or spec or conversion:
            raise unknown("field of --name", f"{field}{':' if spec else ''}{spec}", FIELDS)
        separators = str.maketrans(
            {character: "_" for character in (os.sep, os.altsep) if character}
        )
        text += values[field].translate(separators)
    parts = text.replace(os.altsep or "/", "/").split("/")
    if os.name == "nt":  # which would leave them away, and find the folder under no name
        parts = [part.rstrip(". ") for part in parts]
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise SepkitError(
            f"--name {template!r}: gives {text!r} for {path}; "
            "expected a folder below the output folder"
        )
    return parts
