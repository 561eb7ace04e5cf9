"""Several networks as one: the weighted mean of their estimates, target by target.

The bags of Demucs are such (Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX
Workshop 2021, section 4.3): networks of different errors, whose mean errs less. Chapter 10.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from .base import Model


class Ensemble(Model):
    """The weighted mean of several networks.

    Parameters
    ----------
    networks : sequence of Model
        Of one sample rate and number of channels.
    weights : sequence of dict of str to float
        For each network, what its estimate of a target counts, above 0; a target that is left out
        does not count. Those of a target need not add up to 1.

    Raises
    ------
    SepkitError
        If the networks do not fit together, or one has no estimate of a target it has a weight for.
    """

    name = "ensemble"

    def __init__(self, networks: Sequence[Model], weights: Sequence[Mapping[str, float]]):
        for network, row in zip(networks, weights):
            _check_member(network, networks[0], row)
        targets = dict.fromkeys(target for row in weights for target in row)
        totals = {target: sum(row.get(target, 0.0) for row in weights) for target in targets}
        shares = [{target: w / totals[target] for target, w in row.items()} for row in weights]
        super().__init__(
            {
                "networks": [{"model": net.name, **net.settings} for net in networks],
                "shares": shares,
                "targets": list(targets),
                "sample_rate": networks[0].sample_rate,
                "channels": networks[0].channels,
                "loss": "l1",
            }
        )
        self.networks, self.shares = nn.ModuleList(networks), shares
        self.min_samples = max(net.min_samples for net in networks)
        self.step = math.lcm(*(net.step for net in networks))
        self.caution = "; ".join(sorted({net.caution for net in networks if net.caution})) or None

    def forward(self, mixture: Tensor) -> Tensor | dict[str, Tensor]:
        """Separate, see `Model.forward`."""
        self.check(mixture)
        means = {target: torch.zeros_like(mixture) for target in self.targets}
        for network, shares in zip(self.networks, self.shares):
            estimates = network(mixture)  # {target: (B, C, T)}, or the one target's
            for target, share in shares.items():
                estimate = estimates[target] if isinstance(estimates, dict) else estimates
                means[target] += share * estimate
        return means if len(means) > 1 else means[self.targets[0]]


def _check_member(network, first, weights):
    for attribute in ("sample_rate", "channels"):
        own, expected = getattr(network, attribute), getattr(first, attribute)
        if own != expected:
            raise SepkitError(
                f"an ensemble of networks of different {attribute.replace('_', ' ')} ({expected}, "
                f"{own}); use networks of one kind"
            )
    for target, weight in weights.items():
        if target not in network.targets:
            raise SepkitError(
                f"an ensemble has a weight for {target} of a network for "
                f"{', '.join(network.targets)}; leave it out"
            )
        if not 0 < weight < math.inf:
            raise SepkitError(f"an ensemble's weight of {target}, {weight}: above 0 was expected")
