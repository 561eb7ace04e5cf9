"""The six parameters of every chapter: their defaults, and what they may be."""

import os
from pathlib import Path

from .. import validation
from ..errors import unknown
from ..files import repo_root
from ..reproduce.batch import PROFILES, WEIGHTS

#: parameter -> (environment variable, value without it)
_DEFAULTS = {
    "profile": ("SEPKIT_PROFILE", "student"),
    "weights": ("SEPKIT_WEIGHTS", "shipped"),
    "data": ("SEPKIT_DATA_NAME", "band"),
    "device": ("SEPKIT_DEVICE", "auto"),
    "seed": ("SEPKIT_SEED", "0"),
    "out_dir": ("SEPKIT_OUT", None),
}


def default(name):
    """The value of a chapter's parameter, unless papermill or the reader changes it.

    Parameters
    ----------
    name : str
        ``profile``, ``weights``, ``data``, ``device``, ``seed`` or ``out_dir``.

    Returns
    -------
    str, or int for ``seed``
        ``$SEPKIT_PROFILE``, ``$SEPKIT_WEIGHTS``, ``$SEPKIT_DATA_NAME``,
        ``$SEPKIT_DEVICE``, ``$SEPKIT_SEED`` or ``$SEPKIT_OUT`` where set. Without
        it: student, shipped, band, auto, 0, and ``build`` of the checkout (or of
        the working folder).

    Raises
    ------
    SepkitError
        For an unknown name, or a seed that is no whole number.
    """
    if name not in _DEFAULTS:
        raise unknown("parameter", name, _DEFAULTS)
    variable, otherwise = _DEFAULTS[name]
    value = os.environ.get(variable) or otherwise
    if name == "seed":
        return validation.number(variable, value, validation.SEED)
    if name == "out_dir" and value is None:
        return str((repo_root() or Path()) / "build")
    return value


def check(profile, weights, seed):
    """Refuse parameters that do not exist, listing those that do.

    Raises
    ------
    SepkitError
        For an unknown profile or weights, or a seed that is no whole number from 0 to 2^32 - 1.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if weights not in WEIGHTS:
        raise unknown("weights", weights, WEIGHTS)
    validation.number("seed", seed, validation.SEED)
