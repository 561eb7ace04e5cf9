"""One network out of several trainings of it: the mean of their weights.

Trainings that begin at the same weights end in one valley of the loss, and its middle is flatter
than where each of them stops: on recordings unlike the training songs the mean often errs less
than any of them (Wortsman et al., "Model soups", ICML 2022; Izmailov et al., "Averaging weights
leads to wider optima and better generalization", UAI 2018). It costs no more to run than one
network, unlike an `Ensemble`, which averages estimates. Chapter 10.
"""

import copy
from collections.abc import Sequence

import torch

from ..errors import SepkitError
from .base import Model


def average(networks: Sequence[Model]) -> Model:
    """The network whose weights are the mean of those of the networks.

    Parameters
    ----------
    networks : sequence of Model
        Of one kind and one size, trained from the same weights: of trainings from different
        ones the mean is worth nothing.

    Returns
    -------
    Model
        A new network, in evaluation mode; running statistics are averaged as well.

    Raises
    ------
    SepkitError
        If there is none, or they differ in kind or settings.
    """
    if not networks:
        raise SepkitError("average: no networks are given; give two or more trainings of one")
    first, *others = networks
    for other in others:
        if (other.name, other.settings) != (first.name, first.settings):
            raise SepkitError(
                f"average: {_kind(first)} and {_kind(other)} have no weights in common; "
                "give trainings of one network"
            )
    mean, states = copy.deepcopy(first), [network.state_dict() for network in networks]
    with torch.no_grad():
        for key, value in mean.state_dict().items():
            # A counter, such as of the batches that a normalisation has seen, stays the first's.
            if value.is_floating_point():
                parts = [state[key].to(value.device, torch.float64) for state in states]
                value.copy_(torch.stack(parts).mean(0))
    return mean.eval()


def _kind(network: Model) -> str:
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{network.name} of {count / 1e6:.2f} million parameters"
