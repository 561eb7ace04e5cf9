"""``separation.json``: what made the stems in a folder, so that two separations never mix in one.

A folder belongs to one separation: one recording (by the hash of its bytes), one separator with
its weights, and one set of options. The same separation may write there again; any other is
refused, or replaces what the record lists when the caller says so.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from .. import __version__, audio
from ..errors import SepkitError, first_few
from ..files import identity, read_json, sha256, write_json
from ..names import fault
from .base import Separator
from .inputs import RECORD

REMEDY = "choose another --out or --name, or pass --overwrite to replace them"


def describe(recording, separator: Separator, options: dict) -> dict:
    """All that identifies a separation, as JSON holds it.

    Parameters
    ----------
    recording : Recording
    separator : Separator
    options : dict
        Whatever else decides the files.
    """
    source = {
        "name": os.fsencode(recording.path.name).decode("utf-8", "replace"),
        "sha256": identity(recording.path),
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
    }
    made = {"input": source, "separator": separator.describe(), "options": options}
    return json.loads(json.dumps(made, default=str))


def write_record(folder: Path, made: dict, files: Sequence[Path], device) -> None:
    """Write the record of a separation beside its stems.

    Parameters
    ----------
    folder : Path
    made : dict
        From `describe`.
    files : sequence of Path
        The stems, complete.
    device : torch.device
    """
    stems = {file.name: sha256(file) for file in files}
    date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"format": 1, "sepkit": __version__, "device": str(device), "date": date}
    write_json(folder / RECORD, {**about, **made, "stems": stems})


def earlier_stems(
    folder: Path, made: dict, names: Sequence[str], overwrite: bool = False
) -> list[Path]:
    """The files of an earlier separation in a folder, which the one described may replace.

    Parameters
    ----------
    folder : Path
    made : dict
        From `describe`.
    names : sequence of str
        Of the files to be written.
    overwrite : bool
        Replace what another separation has made.

    Raises
    ------
    SepkitError
        If another separation has made them, or nobody knows what has.
    """
    if not folder.exists():
        return []
    record = _read_record(folder, overwrite)
    if record is None:
        return _check_unrecorded(folder, names, overwrite)
    if not overwrite and (found := differences(record, made)):
        raise SepkitError(f"{folder}: holds the stems of another separation ({found}); {REMEDY}")
    return [folder / name for name in record["stems"]]


def finished(folder: Path, made: dict) -> dict[str, Path] | None:
    """The stems in a folder, if this very separation has made them and they are as it left them."""
    record = _read_record(folder, damaged_is_none=True)
    if record is None or record["sepkit"] != __version__ or differences(record, made):
        return None
    stems = {folder / name: known for name, known in record["stems"].items()}
    if all(path.is_file() and identity(path) == known for path, known in stems.items()):
        return {path.stem: path for path in stems}
    return None


def differences(record: dict, made: dict) -> str:
    """How two separations differ, in words; empty where they do not."""
    found = []
    if record["input"].get("sha256") != made["input"]["sha256"]:
        other = record["input"].get("name", "another file")
        found.append(f"of {other}, which is not this {made['input']['name']}")
    found += _separator_differences(record["separator"], made["separator"])
    before, now = record["options"], made["options"]
    changed = _changed(before, now)
    if "suffix" in changed and "subtype" in changed:
        changed.remove("subtype")  # goes with it
    found += [
        f"with {key.replace('_', ' ')} {before.get(key)}, not {now.get(key)}" for key in changed
    ]
    return "; ".join(found)


def _separator_differences(before, now):
    """How two separators differ: in their names, or else in what is behind the name."""
    if before.get("name") != now.get("name"):
        return [f"by {before.get('name')}, not {now.get('name')}"]
    return [
        f"by {now.get('name')} with {key} {before.get(key)}, not {now.get(key)}"
        for key in _changed(before, now)
    ]


def _changed(before, now):
    return [key for key in {**now, **before} if before.get(key) != now.get(key)]


def _check_unrecorded(folder, names, overwrite):
    """Refuse a folder with audio that no record explains; [] where there is nothing to replace."""
    present = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in audio.FORMATS)
    present = [name for name in present if not name.startswith(".")]
    left = [name for name in present if name not in names]
    if present and not overwrite:
        raise SepkitError(
            f"{folder}: holds {first_few(present)}, and no {RECORD} that says what made it; "
            f"{REMEDY}"
        )
    if left:
        raise SepkitError(
            f"{folder}: holds {first_few(left)}, which this separation would not replace, and no "
            f"{RECORD} that says what made it; move it away, or choose another --out or --name"
        )
    return []


def _read_record(folder, damaged_is_none=False):
    """The record of a folder, checked: it may come from anybody. None where there is none."""
    path = Path(folder) / RECORD
    if not os.path.lexists(path):
        return None
    try:
        record = read_json(path)
        if not _is_record(record):
            raise SepkitError(f"{path}: not a record of a separation; {REMEDY}")
        return record
    except SepkitError:
        if damaged_is_none:
            return None
        raise


def _is_record(record):
    if not isinstance(record, dict) or record.get("format") != 1:
        return False
    sections = ("input", "separator", "options", "stems")
    if not all(isinstance(record.get(section), dict) for section in sections):
        return False
    stems = record["stems"]
    plain = all(fault(name) is None and Path(name).suffix in audio.FORMATS for name in stems)
    return plain and isinstance(record.get("sepkit"), str)
