"""Speech in place of the singing voice."""

import torch

from ...errors import SepkitError
from .objects import _probability
from .plan import peaks


class SpeechRemix:
    """Replace the vocals of some examples by speech at a random level.

    Algorithm 1 of Svystun (2024), a bachelor's thesis, section 4.4.2: utterances
    are drawn with replacement until they fill the example, each normalised;
    the rest is cut off; they are mixed with the accompaniment (the mixture
    minus the target) at an SNR that is uniform in dB; the mixture is
    normalised. Meaningful only when the target is the vocals, and the speech
    the only voice: the accompaniment must not hold vocals. Chapter 07 hears it.

    Parameters
    ----------
    speech : Speech
        ``len(speech)``, ``speech.utterance(i)`` -> (1, T) at the songs' rate.
    prob : float
        How often; the thesis tries 0, .1, .2, .3, .5 and 1.
    snr : (float, float)
        In dB, speech against accompaniment, energies over the whole example.
    as_published : bool
        Return the speech unscaled as the target, as the algorithm is printed.

    Notes
    -----
    The printed algorithm leaves three things open. They are read as follows.

    - ``normalize`` divides by the absolute maximum, for an utterance as for
      the mixture.
    - ``mix(speech, accompaniment, SNR)`` scales the accompaniment and leaves
      the speech, as `torchaudio.functional.add_noise` does. Scaling the speech
      instead gives the same mixture: only the ratio of the two survives its
      normalisation.
    - It normalises the mixture and returns it with the speech as it was
      *before*: mixture and target no longer fit, by a factor that depends on
      the peak of the mixture and cannot be told from the mixture. Here both
      are divided by that one peak, so that the target is in the mixture as it
      is heard; `as_published` leaves the target, and changes nothing else.

    The speech is mono and goes to all channels alike. Where the speech or the
    accompaniment is silent, there is no SNR: they are added as they are. An
    accompaniment that is merely faint is raised to the SNR like any other.
    """

    def __init__(self, speech, prob, snr=(-5, 15), as_published=False):
        self.speech, self.prob, self.as_published = (
            speech,
            _probability("SpeechRemix", prob),
            as_published,
        )
        self.low, self.high = snr
        if not self.low <= self.high:
            raise SepkitError(f"SpeechRemix: snr={snr}: a pair (low, high) in dB was expected")

    @torch.no_grad()
    def __call__(self, mixture, target, draws, in_place=False):
        """Mixture and target, (B, C, T) each, some of them with speech.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T)
        draws : Draws
            Of the same B examples.
        in_place : bool
            Overwrite the tensors that were given.
        """
        chance, where = draws.uniform("speech", 2).unbind(-1)  # (B,) each
        chosen = (chance < self.prob).tolist()
        if not any(chosen):
            return mixture, target
        if not in_place:
            mixture, target = mixture.clone(), target.clone()
        snr = (self.low + (self.high - self.low) * where).tolist()
        for example, rng in enumerate(draws.generators("utterances")):
            if chosen[example]:
                self._replace(mixture[example], target[example], snr[example], rng)
        return mixture, target

    def _replace(self, mixture, target, snr, rng):
        """One example, (C, T), in place."""
        accompaniment = mixture.sub_(target)
        speech = self.utterances(mixture.shape[-1], rng).to(mixture)  # (1, T)
        levels = (
            torch.linalg.vector_norm(speech) * len(mixture) ** 0.5,
            torch.linalg.vector_norm(accompaniment),
        )
        scale = levels[0] / levels[1] * 10 ** (-snr / 20)
        scale = torch.where((levels[0] > 0) & (levels[1] > 0), scale, 1.0)
        mixture = accompaniment.mul_(scale).add_(speech)
        peak = peaks(mixture)
        mixture.div_(peak)
        target.copy_(speech if self.as_published else speech / peak)

    def utterances(self, frames, rng):
        """Utterances drawn with replacement, each with the peak 1, one after the other: (1, frames)."""
        parts, total = [], 0
        while total < frames:
            utterance = self.speech.utterance(int(rng.integers(len(self.speech))))
            parts.append(utterance / peaks(utterance))
            total += utterance.shape[-1]
        return torch.cat(parts, -1)[..., :frames]
