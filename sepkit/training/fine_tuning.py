"""Fine-tuning: a new run that begins with the weights of a checkpoint.

Resuming continues a run with its optimiser, its place in the epoch and its random numbers, on the
same songs with the same settings. Fine-tuning begins another run: other songs or another recipe,
a fresh optimiser, epoch 0; only the weights come from elsewhere.
"""

from pathlib import Path

from .. import models
from ..errors import SepkitError
from ..models.base import Model
from ..models.checkpoints import hash_weights
from ..validation import place

#: Settings that say how a network is trained or run, not what its weights mean.
FREE = ("target", "targets", "loss", "dropout", "momentum", "precision", "segment", "window_hop")


def network_of(init: str | Path, target: str) -> Model:
    """The network that a checkpoint holds for a target.

    Parameters
    ----------
    init : str or Path
        Whatever `sepkit.models.load` takes: a file, a folder with one file a target, a model's
        name for its shipped checkpoints, the name of published weights.
    target : str
        Chooses among several; a single file may be another target's.

    Returns
    -------
    Module

    Raises
    ------
    SepkitError
        As loading; if there is none for the target, or a network of several targets.
    """
    loaded = models.load(str(place("init", init)))  # as text, for it may be a name
    if isinstance(loaded, dict) and target not in loaded:
        raise SepkitError(
            f"{init}: has no network for {target}; choose one of {', '.join(loaded)}, or give a "
            f"single checkpoint file"
        )
    network = loaded[target] if isinstance(loaded, dict) else loaded
    if len(network.targets) > 1:
        raise SepkitError(
            f"{init}: one network for {', '.join(network.targets)}; training takes networks of "
            f"one target"
        )
    return network


def take_weights(model: Model, init: str | Path, target: str) -> dict[str, str]:
    """Give a model the weights of a checkpoint.

    Parameters
    ----------
    model : Module
        Of the same kind and settings, but for `FREE` ones.
    init, target
        As in `network_of`.

    Returns
    -------
    dict
        For the record: "checkpoint" as it was given, and the "sha256" of all weights.

    Raises
    ------
    SepkitError
        If model, settings or shapes differ, naming the first difference.
    """
    network = network_of(init, target)
    if network.name != model.name:
        raise SepkitError(
            f"{init}: holds {network.name}, not {model.name}; choose that model, or another "
            f"checkpoint"
        )
    free = (*FREE, *model.run_settings)
    for name, value in model.settings.items():
        if name not in free and network.settings.get(name, value) != value:
            there = network.settings[name]
            raise SepkitError(
                f"{init}: has {name}={there}, but the network to train {name}={value}; build it "
                f"with the same settings"
            )
    state = network.state_dict()
    models.fill(model, state, init)
    entries = (
        (f"{name} {value.dtype} {tuple(value.shape)}\n", value)
        for name, value in sorted(state.items())
    )
    return {"checkpoint": str(init), "sha256": hash_weights(entries)}
