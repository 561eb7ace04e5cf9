"""Pre-training on mixtures alone: guess the units of masked frames from the frames around them.

Chen, Wichern, Germain and Le Roux, "Pac-HuBERT: Self-Supervised Music Source Separation via
Primitive Auditory Clustering and Hidden-Unit BERT", ICASSP workshops 2023 (arXiv 2304.02160), in
miniature. As in HuBERT (Hsu et al., IEEE/ACM TASLP 29, 2021), every frame gets a unit, the number
of its cluster; a network sees the mixture with spans of frames masked, and learns to say which
units these have. No stems are needed. Of the paper, only the idea is followed: its features,
layers and numbers are not known to the kit.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from ..device import denormals_as_zero
from ..models.checkpoints import save
from ..models.open_unmix import OpenUnmix
from ..separation.blind.masking import hpss_masks

#: Band energies below this share of the mean over the mixture count as silence.
FLOOR = 1e-5
#: Frames that k-means takes at once.
_FRAMES = 4096


@dataclass(frozen=True)
class Pretraining:
    """How a network is pre-trained.

    Attributes
    ----------
    units : int
        Clusters of frames.
    bands : int
        Mel bands whose energy describes a frame, once of what lasts and once of what is sudden.
    span, masked : int, float
        Frames of a masked span, and at most which share of an example such spans cover.
    frames, batch, steps, lr
        Length of an example, examples of a step, steps of Adam, and its learning rate.
    """

    units: int = 64
    bands: int = 20
    span: int = 8
    masked: float = 0.5
    frames: int = 64
    batch: int = 8
    steps: int = 3000
    lr: float = 2e-3


@denormals_as_zero()
def pretrain(
    net: OpenUnmix,
    mixtures: Sequence[Tensor],
    path: str | Path,
    recipe: Pretraining,
    seed: int,
    device: str | torch.device = "cpu",
) -> Path:
    """Train what Open-Unmix has up to its LSTM, and write a checkpoint to begin training with.

    Parameters
    ----------
    net : OpenUnmix
        With random weights.
    mixtures : list of Tensor
        (C, T) each, at the network's sample rate, with at least `recipe.frames` frames.
    path : str or Path
        Of the checkpoint; it records the share of masked frames whose unit was guessed in the last
        tenth of the steps, and that of the commonest unit.
    recipe : Pretraining
    seed : int
        For the clusters, the excerpts and the masks.
    device : str or torch.device
    """
    torch.manual_seed(seed)
    net.fit_input(mixtures)
    magnitudes = [net.stft(mixture).abs() for mixture in mixtures]  # (C, F, N) each
    units = units_of(magnitudes, net.sample_rate, recipe, seed)  # (N,) each
    net.to(device).train()
    head = nn.Linear(net.fc2.in_features, recipe.units).to(device)
    optimiser = torch.optim.Adam([*net.parameters(), *head.parameters()], recipe.lr)
    right: list[float] = []
    for _ in range(recipe.steps):
        x, wanted = _examples(magnitudes, units, recipe)  # (B, C, F, N), (B, N)
        masked = spans(recipe)  # (B, N)
        logits = guesses(net, head, x.to(device), masked.to(device))[masked]  # (masked, units)
        loss = functional.cross_entropy(logits, wanted[masked].to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        right.append(float((logits.argmax(-1).cpu() == wanted[masked]).float().mean()))
    counts = torch.bincount(torch.cat(units))
    last = right[-max(1, len(right) // 10) :]
    about = {
        **asdict(recipe),
        "seed": seed,
        "guessed": sum(last) / len(last),
        "commonest": float(counts.max() / counts.sum()),
    }
    return save(path, net.cpu(), extra={"pretraining": about})


def guesses(net: OpenUnmix, head: nn.Module, magnitude: Tensor, masked: Tensor) -> Tensor:
    """What the network makes of units, (B, N, units), where masked frames look like the mean one.

    Parameters
    ----------
    net : OpenUnmix
    head : Module
        From the features behind its LSTM to units.
    magnitude : Tensor
        Of mixtures, (B, C, F, N).
    masked : Tensor
        (B, N), bool.
    """
    x = net.standardised(magnitude)  # (N, B, C, K)
    x = x.masked_fill(masked.T[..., None, None], 0.0)
    features, _ = net.encode(x.flatten(2))  # (N, B, 2 H)
    return head(features).transpose(0, 1)


def units_of(
    magnitudes: Sequence[Tensor], sample_rate: int, recipe: Pretraining, seed: int
) -> list[Tensor]:
    """The cluster of every frame, (N,) for each magnitude (C, F, N).

    By k-means over the logarithms of band energies, separately of the harmonic and the percussive
    part: what goes on in time and what goes across frequencies, hearing takes for different
    sounds. Relative to the mixture's mean energy, so that its level does not matter.
    """
    features = [_features(magnitude, sample_rate, recipe.bands) for magnitude in magnitudes]
    clusters = MiniBatchKMeans(recipe.units, random_state=seed, n_init=3, batch_size=_FRAMES)
    clusters.fit(np.concatenate(features))
    return [torch.from_numpy(clusters.predict(x)).long() for x in features]


def _features(magnitude, sample_rate, bands):
    """(N, 2 bands), of a magnitude (C, F, N)."""
    mean = magnitude.mean(0)  # (F, N)
    bank = melscale_fbanks(len(mean), 0.0, sample_rate / 2, bands, sample_rate)  # (F, bands)
    parts = [(mask * mean).square().T @ bank for mask in hpss_masks(mean)]  # (N, bands) each
    energy = torch.cat(parts, 1)  # (N, 2 bands)
    return torch.log10(energy / energy.mean().clamp_min(1e-20) + FLOOR).numpy()


def spans(recipe: Pretraining) -> Tensor:
    """Which frames are masked, (B, N), bool: spans that begin anywhere, and may overlap."""
    count = max(1, round(recipe.masked * recipe.frames / recipe.span))
    starts = torch.randint(recipe.frames - recipe.span + 1, (recipe.batch, count, 1))
    places = (starts + torch.arange(recipe.span)).flatten(1)  # (B, count span)
    masked = torch.zeros(recipe.batch, recipe.frames, dtype=torch.bool)
    return masked.scatter(1, places, torch.ones_like(places, dtype=torch.bool))


def _examples(magnitudes, units, recipe):
    """Excerpts of magnitudes, (B, C, F, N), and their units, (B, N)."""
    excerpts = []
    for song in torch.randint(len(magnitudes), (recipe.batch,)).tolist():
        start = int(torch.randint(len(units[song]) - recipe.frames + 1, ()))
        part = slice(start, start + recipe.frames)
        excerpts.append((magnitudes[song][..., part], units[song][part]))
    x, wanted = zip(*excerpts)
    return torch.stack(x), torch.stack(wanted)
