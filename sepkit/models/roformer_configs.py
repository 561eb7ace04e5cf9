"""Settings of public RoFormers: the yaml files of the program that they are trained with.

That is github.com/ZFTurbo/Music-Source-Separation-Training: ``model`` has the arguments of its
network, ``audio`` the length of a piece, ``training`` the names of the stems.
"""

from pathlib import Path
from typing import Any

from ..errors import SepkitError
from .yaml_files import read_yaml

#: Arguments that are settings of ours: theirs -> ours.
_SETTINGS = {
    "dim": "width",
    "depth": "depth",
    "heads": "heads",
    "dim_head": "head_width",
    "attn_dropout": "dropout",
    "mlp_expansion_factor": "mask_growth",
    "stft_n_fft": "n_fft",
    "stft_hop_length": "hop",
    "zero_dc": "zero_dc",
}
#: Their values where a config is silent.
_DEFAULTS = {"heads": 8, "head_width": 64, "mask_growth": 4, "n_fft": 2048, "hop": 512}
#: Arguments that must have one value, for sepkit has no other network.
_FIXED: dict[str, tuple[Any, ...]] = {
    "time_transformer_depth": (1,),
    "freq_transformer_depth": (1,),
    "linear_transformer_depth": (0,),
    "stft_normalized": (False,),
    "skip_connection": (False,),
    "num_residual_streams": (1,),
    "add_value_residual": (False,),
}
#: Arguments that change nothing of what the network computes in evaluation.
_WITHOUT_EFFECT = {
    "ff_dropout",
    "flash_attn",
    "dim_freqs_in",
    "stft_win_length",
    "sample_rate",
    "multi_stft_resolution_loss_weight",
    "multi_stft_resolutions_window_sizes",
    "multi_stft_hop_size",
    "multi_stft_normalized",
    "match_input_audio_length",
    "use_torch_checkpoint",
    "mlp_expansion_factor",
}
#: Of samples, which no config comes near.
_MOST = 10**9
_OTHERS = {"freqs_per_bands", "num_bands", "mask_estimator_depth", "num_stems", "stereo"}


def read_config(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Name and settings of the network that a config describes.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (str, dict)
        For `sepkit.models.build`.

    Raises
    ------
    SepkitError
        If the file is no config, of another network, or asks for what sepkit does not have.
    """
    content = read_yaml(path)
    model, audio, training = (_part(content, name) for name in ("model", "audio", "training"))
    if "freqs_per_bands" not in model and "num_bands" not in model or "dim" not in model:
        raise SepkitError(
            f"{path}: the config of a BS-RoFormer or Mel-Band RoFormer was expected (model: dim, "
            "and freqs_per_bands or num_bands); it is another network's"
        )
    known = {*_SETTINGS, *_FIXED, *_WITHOUT_EFFECT, *_OTHERS}
    for name, value in model.items():
        if name not in known or name in _FIXED and value not in _FIXED[name]:
            raise SepkitError(
                f"{path}: model has {str(name)[:40]}={str(value)[:40]}, which sepkit's RoFormer "
                "does not know"
            )
    mel = "num_bands" in model
    hidden = _number(path, model, "mask_estimator_depth", 1 if mel else 2) - (0 if mel else 1)
    settings = {
        **_DEFAULTS,
        **{ours: model[theirs] for theirs, ours in _SETTINGS.items() if theirs in model},
        "bands": model["num_bands"] if mel else model["freqs_per_bands"],
        "mask_layers": hidden,
        "gates": True,
        "channels": 2 if model.get("stereo", False) else 1,
        "targets": _targets(path, model, training),
        "sample_rate": audio.get("sample_rate", model.get("sample_rate", 44100)),
    }
    settings.setdefault("zero_dc", True)  # which that program does unless told otherwise
    if "chunk_size" in audio:
        chunk = _number(path, audio, "chunk_size", 0)
        settings["segment"] = chunk / _number(path, settings, "sample_rate", 44100)
    return ("mel-roformer" if mel else "bs-roformer"), settings


def _part(content, name):
    part = content.get(name, {})
    return part if isinstance(part, dict) else {}


def _number(path, part, name, default):
    value = part.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise SepkitError(
            f"{path}: {name}={str(value)[:40]}: a whole number from 1 to {_MOST} was expected"
        )
    return value


def _targets(path, model, training):
    """The stems that the network's outputs are for."""
    count = _number(path, model, "num_stems", 1)
    target, instruments = training.get("target_instrument"), training.get("instruments")
    targets = [target] if target else instruments
    if not isinstance(targets, list) or len(targets) != count:
        raise SepkitError(
            f"{path}: training names {str(targets)[:60]} as stems; num_stems={count} were expected"
        )
    return targets
