"""``last.pt``: the state of a training run, followed by a digest of all bytes before it."""

import hashlib
import os
import zipfile

import torch

from ..errors import SepkitError
from ..files import atomic_path

#: What stands before the digest at the end of the file; `torch.load` does not read that far.
MARK = b"\nsepkit sha256 "
_LENGTH = len(MARK) + 64
#: In the state itself, so that one that has lost its digest is known to be damaged.
_VERSION = 2


def write_state(path, state):
    """Write a state atomically; one that cannot be written leaves the one before.

    Parameters
    ----------
    path : str or Path
    state : dict
        Tensors, numbers, strings, lists and dicts.

    Raises
    ------
    SepkitError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save({**state, "version": _VERSION}, temporary)
        except RuntimeError as error:  # torch's own name for a full disk
            kept = " The state saved before is kept" if os.path.exists(path) else ""
            raise SepkitError(
                f"{path}: cannot be written ({_line(error)}); is the disk full?{kept}"
            ) from None
        digest = _sha256(temporary, os.path.getsize(temporary))
        with open(temporary, "ab") as file:
            file.write(MARK + digest)


def read_state(path):
    """What `write_state` wrote, bit for bit.

    States of earlier versions have no digest; for those, the checksums of the archive speak.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    SepkitError
        If the file is damaged, incomplete or no state.
    """
    try:
        size = os.path.getsize(path) - _LENGTH
        with open(path, "rb") as file:
            file.seek(max(0, size))
            end = file.read()
        marked = end.startswith(MARK)
        whole = (
            _sha256(path, size) == end[len(MARK) :]
            if marked
            else zipfile.ZipFile(path).testzip() is None
        )
        state = torch.load(path, map_location="cpu", weights_only=True) if whole else None
        version = state.pop("version", 1) if whole else None
    except Exception as error:  # torch.load raises whatever a damaged file makes it stumble over
        raise _refusal(path, _line(error)) from None
    if whole and isinstance(version, int) and version > _VERSION:
        raise _refusal(path, "written by a newer sepkit")
    if not whole or marked != (version == _VERSION):
        raise _refusal(path, "damaged, its contents are not those that were saved")
    return state


def _refusal(path, reason):
    return SepkitError(
        f"{path}: cannot be resumed from ({reason}); delete the folder to start again"
    )


def _sha256(path, count):
    """Of the first so many bytes of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while count > 0 and (block := file.read(min(count, 1 << 20))):
            digest.update(block)
            count -= len(block)
    return digest.hexdigest().encode()


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
