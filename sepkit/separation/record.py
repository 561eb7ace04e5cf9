"""``separation.json``: what made the stems in a folder, so that two separations never mix in one.

A folder belongs to one separation: one recording (by the hash of its bytes), one separator with
its weights, and one set of options. The same separation may write there again; any other is
refused, or replaces what the record lists when the caller says so.
"""

import json
import os
from datetime import datetime, timezone
from pathlib import Path

from .. import __version__, audio
from ..errors import SepkitError
from ..files import identity, read_json, sha256, write_json
from ..names import fault
from .inputs import RECORD

REMEDY = "choose another --out or --name, or pass --overwrite to replace them"


def describe(recording, separator, options):
    """What a separation is, as JSON holds it.

    Parameters
    ----------
    recording : Recording
    separator : Separator
    options : dict
        All that decides the files beside the two.
    """
    source = {
        "name": os.fsencode(recording.path.name).decode("utf-8", "replace"),
        "sha256": identity(recording.path),
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
    }
    made = {"input": source, "separator": separator.describe(), "options": options}
    return json.loads(json.dumps(made, default=str))


def write_record(folder, made, files, device):
    """Write the record of a separation beside its stems.

    Parameters
    ----------
    folder : Path
    made : dict
        From `describe`.
    files : sequence of Path
        The stems, complete.
    device : str
    """
    stems = {file.name: sha256(file) for file in files}
    date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"format": 1, "sepkit": __version__, "device": str(device), "date": date}
    write_json(folder / RECORD, {**about, **made, "stems": stems})


def earlier_stems(folder, made, names, overwrite=False):
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
    record = _read(folder, overwrite)
    if record is None:
        return _of_unknown_origin(folder, names, overwrite)
    if not overwrite and (told := differences(record, made)):
        raise SepkitError(f"{folder}: holds the stems of another separation ({told}); {REMEDY}")
    return [folder / name for name in record["stems"]]


def finished(folder, made):
    """The stems in a folder, if this very separation has made them and they are as it left them."""
    record = _read(folder, damaged_is_none=True)
    if record is None or record["sepkit"] != __version__ or differences(record, made):
        return None
    stems = {folder / name: known for name, known in record["stems"].items()}
    if all(path.is_file() and identity(path) == known for path, known in stems.items()):
        return {path.stem: path for path in stems}
    return None


def differences(record, made):
    """What tells two separations apart, in words; empty where nothing does."""
    told = []
    if record["input"].get("sha256") != made["input"]["sha256"]:
        other = record["input"].get("name", "another file")
        told.append(f"of {other}, which is not this {made['input']['name']}")
    told += _separators(record["separator"], made["separator"])
    before, now = record["options"], made["options"]
    changed = [key for key in {**now, **before} if before.get(key) != now.get(key)]
    if "suffix" in changed and "subtype" in changed:
        changed.remove("subtype")  # goes with it
    told += [
        f"with {key.replace('_', ' ')} {before.get(key)}, not {now.get(key)}" for key in changed
    ]
    return "; ".join(told)


def _separators(before, now):
    """What tells two separators apart: their names, or else what is behind the name."""
    if before.get("name") != now.get("name"):
        return [f"by {before.get('name')}, not {now.get('name')}"]
    changed = [key for key in {**now, **before} if before.get(key) != now.get(key)]
    return [f"by {now.get('name')} with {k} {before.get(k)}, not {now.get(k)}" for k in changed]


def _of_unknown_origin(folder, names, overwrite):
    present = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in audio.FORMATS)
    present = [name for name in present if not name.startswith(".")]
    left = [name for name in present if name not in names]
    if present and not overwrite:
        raise SepkitError(
            f"{folder}: holds {_some(present)}, and no {RECORD} that says what made it; {REMEDY}"
        )
    if left:
        raise SepkitError(
            f"{folder}: holds {_some(left)}, which this separation would not replace, and no "
            f"{RECORD} that says what made it; move it away, or choose another --out or --name"
        )
    return []


def _some(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _read(folder, damaged_is_none=False):
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
