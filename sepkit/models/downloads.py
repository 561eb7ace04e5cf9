"""Published weights: downloaded once, checked, and kept.

``sepkit/assets/weights.json`` lists the authors' files: address, licence, and what they
can be checked against (``verified``): the SHA-256, or its start, where somebody vouches
for it; and the size, where it is known. Other files are trusted at their first use: before
such a file gets its name, its weights must fit the network, name by name and shape by shape;
then their SHA-256 is written beside them, and from then on the file must have it.
"""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from ..console import print_note
from ..errors import SepkitError, unknown
from ..files import atomic_path, data_root, read_json, sha256, shipped, transfers
from ..names import plain_name
from .base import Model
from .published_files import read_weights
from .registry import build

MIRROR = "SEPKIT_WEIGHTS_MIRROR"


class Caution(UserWarning):
    """Weights that make some scores meaningless, such as those that have seen the test set."""


def manifest() -> dict[str, dict]:
    """The published sets of weights.

    Returns
    -------
    dict
        {name: {model, settings, trained_on, licence, record, default, verified, unverified,
        caution, files: {target: {url, mirror, size, sha256}}}}, without caution where there is
        none. ``unverified`` is what nobody here has looked at.
        A file for several targets lists them as ``targets``; a file whose address does not
        end in its name has a ``name``. Size and hash are null where they are not known.
    """
    return read_json(shipped("weights.json"))


def known(model: str) -> list[str]:
    """The published sets of weights for a model, the one that stands for its name first."""
    entries = {name: entry for name, entry in manifest().items() if entry["model"] == model}
    return sorted(entries, key=lambda name: not entries[name]["default"])


def default(model: str) -> str:
    """The published set that stands for a model's name, such as umxhq for open-unmix."""
    for name in known(model):
        return name
    raise SepkitError(
        f"{model}: no published weights are known; use weights='shipped' or weights='train'"
    )


def load_published(
    name: str,
    targets: Sequence[str] | None = None,
    cache: str | Path | None = None,
    base_url: str | Path | None = None,
) -> dict[str, Model]:
    """Networks with the authors' weights, in evaluation mode; a note on stderr says their licence.

    Parameters
    ----------
    name : str
        A key of `manifest`.
    targets : sequence of str, optional
        By default all. Networks of several targets come whole.
    cache, base_url
        As in `fetch`.

    Returns
    -------
    dict of str to Model
        By target; those of a network of several are joined by "+". Their ``caution`` is
        what speaks against scores with them, or None.

    Raises
    ------
    SepkitError
        As `fetch`; also when a file holds anything but weights, or those of
        another network.
    """
    entry = _entry(name)
    print_note(f"{name}: the authors' weights; their licence: {entry.get('licence')}")
    if entry.get("caution"):
        warnings.warn(f"{name}: {entry['caution']}", Caution, stacklevel=2)
    bundle = {}
    for key in dict.fromkeys(_file(name, target) for target in targets or entry["files"]):
        file = entry["files"][key]
        path = fetch(name, key, cache, base_url)
        try:
            model = _network(entry, key, path)
        except SepkitError as error:
            again = "" if file["sha256"] else "; delete it to have it downloaded again"
            raise SepkitError(f"{error}{again}") from None
        if not file["sha256"]:
            _record(path)  # of a copy that somebody put there
        model.caution = entry.get("caution")
        bundle["+".join(model.targets)] = model.eval()
    return bundle


def _network(entry, key, path):
    """The network of one file of the manifest."""
    file = entry["files"][key]
    stems = {"targets": file["targets"]} if "targets" in file else {"target": key}
    model = build(entry["model"], **stems, **entry["settings"])
    state = read_weights(path)
    try:
        model.load_published(state)
    except SepkitError as error:
        raise SepkitError(f"{path}: {error}") from None
    return model


def fetch(
    name: str, target: str, cache: str | Path | None = None, base_url: str | Path | None = None
) -> Path:
    """The local copy of a published file, downloaded when it is not there yet.

    A download that breaks off is resumed, by this call or the next. The file takes its
    name only after its size and hash have been checked; without a published hash, only
    after its weights have fitted the network.

    Parameters
    ----------
    name, target : str
        As in `manifest`.
    cache : str or Path, optional
        Where copies are kept; ``weights`` in the data root by default.
    base_url : str or Path, optional
        Take the file from here: a folder, or a ``file://`` or ``http(s)://``
        address of one. Default: ``$SEPKIT_WEIGHTS_MIRROR``, else the
        addresses of the manifest.

    Returns
    -------
    Path

    Raises
    ------
    SepkitError
        Without a network, naming the other choices; when size or hash are wrong.
    """
    entry, key = _entry(name), _file(name, target)
    file, path = entry["files"][key], local_copy(name, target, cache)
    file_name = path.name
    if path.is_file():
        fault = _fault(path, file, path)
        if not fault:
            return path
        print_note(f"{path}: {fault}; it is fetched again")
    base = base_url or os.environ.get(MIRROR)
    sources = (
        [f"{str(base).rstrip('/')}/{file_name}"]
        if base
        else [url for url in (file["url"], file["mirror"]) if url]
    )

    def check(part):
        try:
            if fault := _fault(part, file, path):
                raise SepkitError(fault)
            if not file["sha256"]:
                _network(entry, key, part)
        except SepkitError as error:
            fault = str(error).removeprefix(f"{part}: ")
            raise SepkitError(
                f"{sources[0]}: {fault}; nothing was kept. Try again, or another mirror"
            ) from None

    try:
        transfers.download(sources, path, check, file["size"], label=f"{name}/{target}")
    except transfers.Failure as failure:
        raise SepkitError(
            f"{name}/{target}: the published weights could not be fetched ({failure}). Without a "
            f"network use weights='shipped' or weights='train', put the file at {path}, or name a "
            f"folder that has it in ${MIRROR}"
        ) from None
    if not file["sha256"]:
        _record(path)
    return path


def local_copy(name: str, target: str, cache: str | Path | None = None) -> Path:
    """Where the copy of a published file lies or will lie; the parameters are those of `fetch`."""
    file = _entry(name)["files"][_file(name, target)]
    file_name = file.get("name") or file["url"].rsplit("/", 1)[-1]
    folder = Path(cache or data_root() / "weights") / name
    return folder / plain_name(file_name, "file", "weights.json")


def _entry(name):
    known = manifest()
    if name not in known:
        raise unknown("set of published weights", name, known)
    return known[name]


def _file(name, target):
    """Under which key the manifest has the file for a target."""
    files = _entry(name)["files"]
    for key, file in files.items():
        if target == key or target in file.get("targets", ()):
            return key
    raise unknown(
        f"target of {name}",
        target,
        [target for key, file in files.items() for target in file.get("targets", [key])],
    )


def _fault(path, file, final):
    """What is wrong with a finished file that is or will be called `final`, or None."""
    size = path.stat().st_size
    if file["size"] is not None and size != file["size"]:
        return f"{size} bytes instead of {file['size']}"
    record = _record_of(final)
    expected = file["sha256"] or _recorded(record)
    digest = sha256(path)
    if digest.startswith(expected):
        return None
    reason = f"its SHA-256 starts with {digest[:8]} instead of {expected[:8]}"
    if file["sha256"]:
        return f"{reason} (damaged, or another file; {size} bytes)"
    return (
        f"{reason}, which it had when it was first used (damaged, or replaced; if you trust it, "
        f"delete {record})"
    )


def _recorded(record):
    """The SHA-256 in the file beside a file; empty where there is none."""
    if not record.is_file():
        return ""
    digest = record.read_text(encoding="utf-8", errors="replace")[:64]
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise SepkitError(
            f"{record}: holds no SHA-256; delete it, and the file beside it unless you trust that"
        )
    return digest


def _record_of(path):
    return path.with_name(path.name + ".sha256")


def _record(path):
    """Remember the SHA-256 of a file that nobody publishes one for, in the format of sha256sum."""
    if not _record_of(path).exists():
        with atomic_path(_record_of(path)) as temporary:
            temporary.write_text(f"{sha256(path)}  {path.name}\n")
