"""Which component is which stem: a question that blind methods leave open.

PCA, ICA, IVA and NMF return components in an order of their own. To score them,
each true stem is given the component that suits it best. That choice reads the true
stems: it is for scoring only, and `describe` says so.
"""

import torch

from ...errors import SepkitError
from ..base import Separator, share_remainder

_LIMIT = 100.0  # dB: SDR is clamped to +-this


def project_back(unmixing: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """The images of components in the channels: what each contributes to the mixture.

    Component j is ``w_j x``, its image ``a_j w_j x`` with ``A = W^-1`` (or the
    pseudo-inverse). Images do not depend on the scale of w_j, and with as many
    components as channels they sum to x: the minimal distortion principle of
    Matsuoka and Nakashima, ICA 2001.

    Parameters
    ----------
    unmixing : Tensor (components, channels)
    mixture : Tensor (channels, samples)

    Returns
    -------
    Tensor (components, channels, samples), of the mixture's kind
    """
    unmixing = unmixing.double()
    mixing = torch.linalg.pinv(unmixing)  # (C, J)
    sources = unmixing @ mixture.double()  # (J, T), with the mean
    return torch.stack(
        [(mixing[:, j, None] * sources[j]).to(mixture.dtype) for j in range(len(sources))]
    )


def assign(
    components: torch.Tensor, references: dict[str, torch.Tensor], scale: bool = True
) -> dict[str, torch.Tensor]:
    """Name components after true stems, for scoring.

    As many components as stems: the one-to-one choice with the best sum of SDR.
    Fewer components than stems: each stem takes its best one, so that one component
    may serve several stems. More components than stems: first the one-to-one choice;
    with ``scale=False`` every component left over is added to the stem with which its
    inner product is largest (the least squares choice if components do not overlap);
    with ``scale=True`` it is left out, as signals of unknown scale cannot be added up.

    Parameters
    ----------
    components : Tensor (components, channels, samples)
    references : dict of str to Tensor (channels, samples)
    scale : bool
        Also give each component the sign and scale that suit its stem best, and
        compare by scale-invariant SDR. Leave it out for images, whose scale is known.

    Returns
    -------
    dict of str to Tensor (channels, samples)
        One estimate for each reference, in their order.

    Raises
    ------
    SepkitError
        If there is nothing to assign, or shapes do not fit.
    """
    if not references or len(components) == 0:
        raise SepkitError(
            f"assign: {len(components)} components and {len(references)} references; expected "
            "at least one of each"
        )
    for name, reference in references.items():
        if reference.shape != components.shape[1:]:
            raise SepkitError(
                f"assign: the reference {name!r} has shape {tuple(reference.shape)}, a "
                f"component {tuple(components.shape[1:])}; "
                "they must be equal"
            )
    truth = torch.stack([r.flatten().double() for r in references.values()])  # (R, CT)
    inner = torch.stack([truth @ c.flatten().double() for c in components])  # (J, R)
    power = torch.stack([c.double().square().sum() for c in components])  # (J,)
    groups = _groups(
        _decibels(inner, power[:, None], truth.square().sum(-1)[None], scale), inner, scale
    )
    estimates = {}
    for k, (name, group) in enumerate(zip(references, groups)):
        estimate = sum((components[j] for j in group), components.new_zeros(()))
        if scale and power[group[0]] > 0:
            estimate = estimate * float(inner[group[0], k] / power[group[0]])
        estimates[name] = estimate.clone()
    return estimates


def _decibels(inner, components, references, scale):
    """SDR of every component for every reference (J, R), from inner products and energies."""
    if scale:
        explained = inner.square() / components
        ratio = explained / (references - explained).clamp(min=0)
    else:
        ratio = references / (references - 2 * inner + components).clamp(min=0)
    return (10 * torch.log10(ratio)).nan_to_num(-_LIMIT, _LIMIT, -_LIMIT).clamp(-_LIMIT, _LIMIT)


def _groups(decibels, inner, scale):
    """For every reference, the components that make up its estimate."""
    from scipy.optimize import linear_sum_assignment

    count, references = decibels.shape
    if count < references:
        return [[int(j)] for j in decibels.argmax(0)]
    chosen, owners = linear_sum_assignment(decibels.numpy(), maximize=True)
    groups = [[] for _ in range(references)]
    for j, k in zip(chosen, owners):
        groups[k].append(int(j))
    if not scale:
        for j in sorted(set(range(count)) - set(chosen.tolist())):
            groups[int(inner[j].argmax())].append(j)
    return groups


class ComponentSeparator(Separator):
    """The base of methods whose components have no names; a method fills in `components`.

    With references the estimates carry their names: `assign` chooses, for scoring
    only. Without, they are called "component 1", "component 2", ... Components are
    images in the channels: they sum to the mixture, and no reference sets their
    scale. In a recording separated by chunks, each chunk has components of its own,
    whose order may change: give ``chunk=None`` to separate the whole at once. All of
    a silent mixture are silent.
    """

    uses_references = True

    def components(self, mixture):
        """The images (components, channels, samples) in a mixture that is not silent."""
        raise NotImplementedError

    def separate(self, mixture, references=None):
        """The components, under the names of the references that suit them best, or numbered."""
        self._check(mixture)
        silent = not mixture.any()
        components = (
            mixture.new_zeros(self._count(mixture), *mixture.shape)
            if silent
            else self.components(mixture)
        )
        if references:
            estimates = assign(
                components, {name: r.to(mixture) for name, r in references.items()}, scale=False
            )
        else:
            estimates = {
                f"component {j}": component for j, component in enumerate(components, start=1)
            }
        return share_remainder(mixture, estimates, self.residual)

    def _count(self, mixture):
        return mixture.shape[0]

    def describe(self):
        """That components are images, and that references choose their names."""
        return {
            **super().describe(),
            "scale": "images in the channels, no reference used",
            "assignment": "by the true stems, for scoring only: each takes what suits it best",
        }
