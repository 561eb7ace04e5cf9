"""Which networks there are."""

import inspect
from importlib import import_module

from ..errors import SepkitError, unknown

#: name -> "file.Class" in this folder
MODELS = {
    "open-unmix": "open_unmix.OpenUnmix",
    "open-unmix-transformer": "open_unmix_variants.OpenUnmixTransformer",
    "open-unmix-waveform": "open_unmix_variants.OpenUnmixWaveform",
    "bsrnn": "bsrnn.BSRNN",
    "tfc-tdf": "tfc_tdf.TFCTDF",
    "scnet": "scnet.SCNet",
    "resunet-ismir2021": "resunet.ResUNetISMIR2021",
    "resunet-subbandtime": "resunet.ResUNetSubbandtime",
    "resunet-mobilenet": "resunet.ResUNetMobileNet",
    "wave-u-net": "wave_u_net.WaveUNet",
    "conv-tasnet": "conv_tasnet.ConvTasNet",
    "hybrid-demucs": "hybrid_demucs.HybridDemucs",
}


def model_class(name):
    """The class behind a model's name."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    file, kind = MODELS[name].split(".")
    return getattr(import_module(f"{__package__}.{file}"), kind)


def build(name, **settings):
    """A new network with random weights.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    **settings
        The arguments of its class; those left out have the paper's values.

    Returns
    -------
    torch.nn.Module
        With ``sample_rate``, ``channels``, ``targets`` and ``settings``.

    Raises
    ------
    SepkitError
        For an unknown name or setting, listing what exists.
    """
    kind = model_class(name)
    known = list(inspect.signature(kind).parameters)
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known)
    try:
        return kind(**settings)
    except (TypeError, RuntimeError) as error:
        raise SepkitError(f"{name} cannot be built with {settings}: {str(error).splitlines()[0]}") from None
