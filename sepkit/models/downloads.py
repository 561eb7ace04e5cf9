"""Published weights: downloaded once, checked, and kept.

``data/weights.json`` lists the authors' files: address, licence, and what they
can be checked against (``verified``). That is the SHA-256, or its start, where
somebody vouches for it; and the size, where it is known. For the other files
trust starts with the first use: when their weights have fitted the network, name
by name and shape by shape, their SHA-256 is written beside them, and from then on
the file must have it.
"""

import os
import pickle
import shutil
import warnings
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import torch

from ..errors import SepkitError, unknown
from ..files import atomic_path, data_root, read_json, sha256, shipped
from .registry import build

MIRROR = "SEPKIT_WEIGHTS_MIRROR"
ATTEMPTS = 3
TIMEOUT = 20  # seconds without an answer


class Caution(UserWarning):
    """Weights that make some scores meaningless, such as those that have seen the test set."""


def manifest():
    """The published sets of weights.

    Returns
    -------
    dict
        {name: {model, settings, trained_on, licence, record, default, verified, caution,
        files: {target: {url, mirror, size, sha256}}}}, without caution where there is none.
        A file for several targets lists them as ``targets``; a file whose address does not
        end in its name has a ``name``. Size and hash are null where they are not known.
    """
    return read_json(shipped("weights.json"))


def default(model):
    """The published set that stands for a model's name, such as umxhq for open-unmix."""
    for name, entry in manifest().items():
        if entry["model"] == model and entry["default"]:
            return name
    raise SepkitError(f"{model}: no published weights are known; use weights='shipped' or weights='train'")


def load_published(name, targets=None, cache=None, base_url=None):
    """Networks with the authors' weights, in evaluation mode.

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
    dict of str to Module
        By target; those of a network of several are joined by "+". Their ``caution`` is
        what speaks against scores with them, or None.

    Raises
    ------
    SepkitError
        As `fetch`; also when a file holds anything but weights, or those of
        another network.
    """
    entry = _entry(name)
    if entry.get("caution"):
        warnings.warn(f"{name}: {entry['caution']}", Caution, stacklevel=2)
    bundle = {}
    for key in dict.fromkeys(_file(name, target) for target in targets or entry["files"]):
        file = entry["files"][key]
        path = fetch(name, key, cache, base_url)
        stems = {"targets": file["targets"]} if "targets" in file else {"target": key}
        model = build(entry["model"], **stems, **entry["settings"])
        try:
            model.load_published(read_weights(path))
        except SepkitError as error:
            again = "" if file["sha256"] else "; delete it to have it downloaded again"
            raise SepkitError(f"{path}: {error}{again}") from None
        if not file["sha256"]:
            _record(path)
        model.caution = entry.get("caution")
        bundle["+".join(model.targets)] = model.eval()
    return bundle


def read_weights(path):
    """A foreign state dict; a pickle that would run code is refused.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    SepkitError
        If the file holds code, is damaged, or is not a state dict.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle versions, on the way to a refusal
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("Please file")[0].strip().splitlines()[0][:100]
        raise SepkitError(f"{path}: refused, it holds more than weights or is damaged ({reason})") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise SepkitError(f"{path}: cannot be read ({str(error).splitlines()[0][:100]})") from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]  # the layout of many training scripts
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise SepkitError(f"{path}: a state dict (names and tensors) was expected")
    return state


def fetch(name, target, cache=None, base_url=None):
    """The local copy of a published file, downloaded when it is not there yet.

    A download that breaks off is resumed, by this call or the next. The file
    takes its name only after its size and hash have been checked.

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
    file = _entry(name)["files"][_file(name, target)]
    file_name = file.get("name") or file["url"].rsplit("/", 1)[-1]
    path = Path(cache or data_root() / "weights") / name / file_name
    if path.is_file() and not _fault(path, file, path):
        return path
    base = base_url or os.environ.get(MIRROR)
    sources = [f"{str(base).rstrip('/')}/{file_name}"] if base else [url for url in (file["url"], file["mirror"]) if url]
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download_any(sources, part, f"{name}/{target}", path)
    except OSError as error:
        raise SepkitError(f"{part}: cannot be written ({error.strerror or error}); choose another cache") from None
    fault = _fault(part, file, path)
    if fault:
        part.unlink()
        raise SepkitError(f"{sources[0]}: {fault}; nothing was kept. Try again, or another mirror")
    os.replace(part, path)
    return path


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
    raise unknown(f"target of {name}", target, [target for key, file in files.items() for target in file.get("targets", [key])])


def _fault(path, file, final):
    """What is wrong with a finished file that is or will be called `final`, or None."""
    size = path.stat().st_size
    if file["size"] is not None and size != file["size"]:
        return f"{size} bytes instead of {file['size']}"
    record = _record_of(final)
    expected = file["sha256"] or (record.read_text().split()[0] if record.is_file() else "")
    digest = sha256(path)
    if digest.startswith(expected):
        return None
    told = f"its SHA-256 starts with {digest[:8]} instead of {expected[:8]}"
    if file["sha256"]:
        return f"{told} (damaged, or another file; {size} bytes)"
    return f"{told}, which it had when it was first used (damaged, or replaced; if you trust it, delete {record})"


def _record_of(path):
    return path.with_name(path.name + ".sha256")


def _record(path):
    """Remember the SHA-256 of a file that nobody publishes one for, in the format of sha256sum."""
    if not _record_of(path).exists():
        with atomic_path(_record_of(path)) as temporary:
            temporary.write_text(f"{sha256(path)}  {path.name}\n")


class _Failure(Exception):
    """A source gave nothing, or broke off."""


def _download_any(sources, part, label, path):
    failures = []
    for source in sources:
        for _ in range(ATTEMPTS):
            try:
                _download(source, part, label)
                return
            except _Failure as failure:
                failures.append(f"{source}: {failure}")
                if not getattr(failure, "again", False):
                    break
    raise SepkitError(
        f"{label}: the published weights could not be fetched ({failures[-1]}). Without a network use weights='shipped' "
        f"or weights='train', put the file at {path}, or name a folder that has it in ${MIRROR}"
    )


def _download(source, part, label):
    """Complete `part` from `source`; raises `_Failure` when that breaks off, keeping what has come."""
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https"):
        local = Path(unquote(parts.path) if parts.scheme == "file" else source)
        if not local.is_file():
            raise _Failure("no such file")
        shutil.copyfile(local, part)
        return
    have = part.stat().st_size if part.exists() else 0
    request = Request(source, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206  # otherwise the server sends the file from its start
            length = answer.headers.get("Content-Length")
            expected = (have if resumed else 0) + int(length) if length else None
            with open(part, "ab" if resumed else "wb") as file:
                _copy(answer, file, expected, label)
    except HTTPError as error:
        if error.code == 416:  # nothing left to send: the part is whole, or not a part of this file
            return
        raise _Failure(f"HTTP {error.code}") from None
    except URLError as error:
        raise _Failure(str(error.reason)) from None
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise _broken_off(part, error) from None
    if expected is not None and part.stat().st_size < expected:
        raise _broken_off(part, f"of {expected}")


def _broken_off(part, why):
    failure = _Failure(f"broke off after {part.stat().st_size if part.exists() else 0} bytes, {why}")
    failure.again = True
    return failure


def _copy(answer, file, total, label):
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total, completed=file.tell())
        while block := answer.read(1 << 18):
            file.write(block)
            bar.update(task, advance=len(block))
