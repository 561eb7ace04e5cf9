"""Separation without training: from statistics, from repetition, from the look of a spectrogram.

Every method is a Separator, offered by name through `sepkit.separation.get`; its
building blocks take plain tensors. Chapter 03 goes through them.

>>> from sepkit import separation
>>> estimates = separation.get("hpss").separate(mixture)    # doctest: +SKIP
"""

from .assignment import ComponentSeparator, assign, project_back
from .components import ICASeparator, PCASeparator, fast_ica, non_gaussianity, rotate, whiten
from .factorisation import (
    NMFSeparator,
    SupervisedNMFSeparator,
    activations,
    factorise,
    learn_dictionaries,
)
from .iva import IVASeparator, iva
from .masking import (
    CentreSeparator,
    HPSSSeparator,
    MaskSeparator,
    centre_mask,
    hpss_masks,
    loudness,
    wiener_masks,
)
from .repetition import (
    REPETSeparator,
    REPETSIMSeparator,
    beat_spectrum,
    repeating_period,
    repet_mask,
    repet_sim_mask,
    similar_frames,
)

__all__ = [
    "METHODS",
    "CentreSeparator",
    "ComponentSeparator",
    "HPSSSeparator",
    "ICASeparator",
    "IVASeparator",
    "MaskSeparator",
    "NMFSeparator",
    "PCASeparator",
    "REPETSIMSeparator",
    "REPETSeparator",
    "SupervisedNMFSeparator",
    "activations",
    "assign",
    "beat_spectrum",
    "centre_mask",
    "factorise",
    "fast_ica",
    "hpss_masks",
    "iva",
    "learn_dictionaries",
    "loudness",
    "non_gaussianity",
    "project_back",
    "repeating_period",
    "repet_mask",
    "repet_sim_mask",
    "rotate",
    "similar_frames",
    "whiten",
    "wiener_masks",
]

#: name -> class, part of `sepkit.separation.METHODS`
METHODS = {
    "pca": PCASeparator,
    "ica": ICASeparator,
    "iva": IVASeparator,
    "nmf": NMFSeparator,
    "nmf-supervised": SupervisedNMFSeparator,
    "hpss": HPSSSeparator,
    "repet": REPETSeparator,
    "repet-sim": REPETSIMSeparator,
    "centre": CentreSeparator,
}
