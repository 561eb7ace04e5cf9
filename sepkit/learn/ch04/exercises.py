"""Exercises of chapter 04: an LSTM counted, a training step, when to stop, losses, a gain."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from ...models import build
from ...stft import STFT
from .. import tones
from ..exercises import Exercises, as_tensor, attempt, expect, judge_parts, need, number

exercises = Exercises("04")
check, hint = exercises.check, exercises.hint

_LAYERS, _H = 3, 512  # of the forward-only LSTM, which reads as many numbers as it has units


@exercises.add(
    "Start with one layer. How many numbers has one gate?",
    "A gate has `h * i + h * h + 2 * h`, and the new content has as many: four times that is a"
    " layer. Every layer reads 512 numbers: the first from fc1, the others from the layer before.",
    "`3 * 4 * (512 * 512 + 512 * 512 + 2 * 512)`",
)
def ex_04_1(answer: Any) -> None:
    """6 303 744: a third more than the BLSTM has; `build("open-unmix", unidirectional=True)` has
    as many in its `lstm`.
    """
    matrix = _H * _H  # i = h
    gate = 2 * matrix + 2 * _H
    half = _H // 2
    slips = {
        4 * gate: "that is one layer; there are three",
        _LAYERS * gate: "three gates and the new content are four, each with weights of its own",
        _LAYERS * 3 * gate: "the new content has weights too, as many as a gate",
        2 * _LAYERS * 4 * gate: "it reads forwards only: one direction",
        _LAYERS * 4 * (gate - _H): "PyTorch keeps two bias vectors for each gate, one for the input"
        " and one for the state",
        _LAYERS * 4 * 2 * matrix: "the biases are missing: two vectors of h for each of the four",
        6 * 4 * (half * _H + half * half + 2 * half): "that is the BLSTM, in Table 1: here one"
        " direction has 512 units",
        3 * 4 * (half * _H + half * half + 2 * half): "that is one direction of the BLSTM, with 256"
        " units; here it has 512",
        10_466_212: "that is the whole network; only its LSTM was asked for",
    }
    otherwise = f"{{got:.10g}} is not it; count one layer first, which has {4 * gate}"
    expect(answer, _LAYERS * 4 * gate, slips, otherwise, rel=0)


@cache
def _counted():
    """Count bins and frames of a chunk of 5 s in a network of half the window."""
    network: Any = build("open-unmix", n_fft=2048, hop=512, bandwidth=15000)
    return network.bins_seen, network.training_stft(torch.zeros(2, 5 * 44100)).shape[-1]


@exercises.add(
    "(a) Bin k stands for k * 44100 / 2048 Hz. Which is the last one at or below 15 kHz? (b) Which"
    " samples does the last window cover?",
    "(a) Then count from bin 0. (b) The first window needs 2048 samples; every further one needs"
    " 512 more. The chunk has `5 * 44100` samples.",
    "`int(15000 * 2048 / 44100) + 1` and `1 + (5 * 44100 - 2048) // 512`",
)
def ex_04_2(answer: Any) -> None:
    """697 bins and 427 frames, counted in the network. Half the window has half the bins in each
    kHz and, with half the hop, twice the frames in each second.
    """
    seen, counted = _counted()

    def bins(value):
        slips = {
            696: "696 is the number of the last bin; bin 0 counts too",
            698: "one too many: the last of these lies above 15 kHz",
            1025: "1025 are all bins up to 22.05 kHz; this network sees those up to 15 kHz",
            348: "the bins are 44100 / 2048 Hz apart, not 44100 / 1024",
            1487: "that is the published network; this one has another window and another limit",
            1394: "that is a window of 4096 samples; this one has 2048",
            744: "that is the limit of 16 kHz; here it is 15 kHz",
        }
        otherwise = "{got:g} is not it: neighbouring bins are 44100 / 2048 = 21.53 Hz apart"
        expect(value, seen, slips, otherwise, rel=0)

    def frames(value):
        slips = {
            431: "431 is what centred windows with padded ends give; here no window leaves the"
            " chunk",
            430: "430 hops fit into the chunk, but the last windows would reach beyond its end",
            426: "the first window counts too",
            107: "windows overlap: a new one begins every 512 samples",
            255: "that is the published network with its chunk of 6 s",
        }
        otherwise = "{got:g} is not it: after the first window, each needs 512 samples more"
        expect(value, counted, slips, otherwise, rel=0)

    judge_parts(answer, {"bins": bins, "frames": frames})


_STEP = 0.1  # the optimiser's learning rate


class _ThreeWeights(torch.nn.Module):
    """The smallest network with a loss; it remembers how many examples it was given at once, and
    for how many losses at once it had to keep what `backward` needs.
    """

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.5, -0.25, 0.0], dtype=torch.float64))
        self.most = self.open = self.held = 0

    def loss(self, mixtures, targets):
        self.most = max(self.most, len(mixtures))
        self.open += 1
        self.held = max(self.held, self.open)
        loss = (mixtures @ self.weight - targets).square().mean()
        loss.register_hook(self._done)
        return loss

    def _done(self, _):
        self.open -= 1


def _pieces(number):
    """Make a batch of eight examples, in four pieces."""
    generator = torch.Generator().manual_seed(number)
    heard = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    wanted = heard @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + 0.3
    return list(zip(heard.split(2), wanted.split(2)))


def _slopes(weight, parts):
    """The loss of each piece (4,) and its gradient (4, 3)."""
    errors = [heard @ weight - wanted for heard, wanted in parts]
    losses = torch.stack([error.square().mean() for error in errors])
    pairs = zip(parts, errors)
    return losses, torch.stack([2 * heard.T @ e / len(e) for (heard, _), e in pairs])


def _one_by_one(weight, parts, share):
    """How far, in learning rates, the weights go if each piece has a step of its own."""
    there = weight.clone()
    for part in parts:
        there -= _STEP * share * _slopes(there, [part])[1][0]
    return (weight - there) / _STEP


@exercises.add(
    "Three things happen in a step: the old gradients are cleared, new ones are computed, the"
    " weights move. Which of them must happen once for each piece, and which once for the batch?",
    "`loss.backward()` *adds* to the gradients that are there. So clear them before the first"
    " piece and move the weights after the last one. How large is the mean over the batch, if you"
    " have the means over its pieces?",
    "`optimiser.zero_grad()`, then for each piece `loss = network.loss(*part) / len(parts)` and"
    " `loss.backward()`, then `optimiser.step()`; add up `loss.item()`.",
)
def ex_04_3(answer: Any) -> None:
    """The three weights go where the whole batch sends them, twice, and the loss falls: gradients
    were added up inside a step, and not from one step to the next.
    """
    network = _ThreeWeights()
    optimiser = torch.optim.SGD(network.parameters(), lr=_STEP)
    old = torch.zeros(3, dtype=torch.float64)  # the gradient of the step before
    for batch in (1, 2):
        parts = _pieces(batch)
        before = network.weight.detach().clone()
        losses, slopes = _slopes(before, parts)
        returned = attempt(answer, network, optimiser, parts)
        moved = (before - network.weight.detach()) / _STEP
        _judge_move(moved, network, before, parts, old)
        told = {
            float(losses.sum()): "the loss is the sum over the pieces; the batch's loss is their"
            " mean",
            float(losses[-1]): "the loss is that of the last piece alone",
            float(losses[-1] / len(parts)): "the loss is a share of the last piece's; add up all"
            " shares",
        }
        otherwise = (
            f"the weights are right, but the loss is {float(losses.mean()):.4g}, not {{got:.4g}}"
        )
        expect(returned, float(losses.mean()), told, otherwise, rel=1e-4)
        old = slopes.mean(0)


def _judge_move(moved, network, before, parts, old):
    slopes, n = _slopes(before, parts)[1], len(parts)
    right = slopes.mean(0)

    def is_(other):
        return torch.allclose(moved, other, atol=1e-6)

    need(
        network.most <= len(parts[0][0]),
        f"{network.most} examples went through the network at once; only a piece of"
        f" {len(parts[0][0])} fits",
    )
    need(
        network.held <= 1 or not is_(right),
        "the pieces went in one by one, but what `backward` needs was kept of all of them until the"
        " end: that is as much memory as the whole batch takes. Call `backward` after each piece",
    )
    found = network.weight.grad is not None and bool(network.weight.grad.any())
    still = is_(torch.zeros_like(moved))
    need(
        not (still and found),
        "no weight has moved, though there are gradients: `optimiser.step()` is missing, or it"
        " comes before `backward`",
    )
    need(
        not still,
        "no weight has moved, and there are no gradients: `backward` is missing, or `zero_grad`"
        " comes between it and the step",
    )
    need(
        not is_(slopes.sum(0)),
        f"the step is {n} times too long: `backward` added up {n} means, and the batch's mean is a"
        f" share of 1 / {n} of that",
    )
    for share in (1, 1 / n):
        need(
            not is_(share * slopes[-1]),
            "only the last piece counts: `zero_grad` for each piece throws away what the pieces"
            " before it gave",
        )
        need(not is_(share * slopes[0]), "only the first piece counts: go through all `parts`")
        need(
            not is_(_one_by_one(before, parts, share)),
            f"the weights moved {n} times, once after each piece: take one step after the last",
        )
    need(is_(right) or not is_(right + old), "the gradients of the step before are still there")
    need(is_(-right) is False, "the weights go uphill: the optimiser takes gradients as they are")
    need(
        is_(right),
        f"the first weight moves by {-_STEP * float(moved[0]):+.4g}; the whole batch at once moves"
        f" it by {-_STEP * float(right[0]):+.4g}",
    )


#: Losses of a training that was not stopped, epoch by epoch from 1 on; drawn above the exercise.
TRAINING = (0.90, 0.68, 0.56, 0.48, 0.42, 0.38, 0.35, 0.32, 0.30, 0.28, 0.26, 0.24)
VALIDATION = (0.88, 0.66, 0.55, 0.51, 0.53, 0.52, 0.49, 0.54, 0.52, 0.56, 0.48, 0.60)


def early_stopping(losses: Sequence[float], patience: int) -> tuple[int, int]:
    """Epoch after which training stops, and the one whose network is kept, both from 1 on."""
    best = 0
    for epoch, loss in enumerate(losses):
        best = epoch if loss < losses[best] else best
        if epoch - best >= patience:
            return epoch + 1, best + 1
    return len(losses), best + 1


@exercises.add(
    "Walk along the validation curve with a finger, and beside it count the epochs since the last"
    " new lowest value. A new lowest value sets the count back to 0.",
    "The count goes 0, 0, 0, 0, 1, 2 for epochs 1 to 6, and epoch 7 sets it back. (a) When is it 3"
    " for the first time? (c) And 2? (d) Do the same walk along the other curve.",
    "(b) is the lowest point up to the epoch of (a), (c) the lowest one up to the epoch where the"
    " count is 2; the training loss has a new lowest value in every epoch.",
)
def ex_04_4(answer: Any) -> None:
    """10, 7, 4 and 12: patience finds epoch 7 behind the hump, epoch 11 is never seen, and the
    training loss would never have stopped anything.
    """
    (stop, kept), (early, first) = (early_stopping(VALIDATION, p) for p in (3, 2))
    last = early_stopping(TRAINING, 3)[1]

    def epoch(right, slips):
        def judge(value):
            got = number(value)
            need(got == int(got), f"epochs are whole numbers from 1 to 12, not {got:.4g}")
            need(1 <= got <= 12, f"there are twelve epochs, the first is 1; {got:.0f} is none")
            expect(value, right, slips, "epoch {got:g} is not it: count again from epoch 1", rel=0)

        return judge

    judge_parts(
        answer,
        {
            "stops": epoch(
                stop,
                {
                    7: "that is the epoch that is kept; training goes on until the count is 3",
                    9: "by then only two epochs in a row, 8 and 9, were without a new lowest loss",
                    6: "epochs 5 and 6 are two in a row; the seventh is better than all before",
                    8: "epochs 5, 6 and 8 are not in a row: the seventh sets the count back to 0",
                    11: "one too many: after epoch 10 the count is 3, and epoch 11 is not begun",
                    12: "the count reaches 3 before the end",
                    4: "that is the first dip; the loop has to wait before it knows",
                },
            ),
            "kept": epoch(
                kept,
                {
                    stop: "that is where training stops; its network is worse than an earlier one",
                    11: "its loss is lowest of all, but training has stopped before",
                    4: "0.51 was the best until a later epoch had less, before training stopped",
                    12: "that is the last epoch drawn, and the worst since the third",
                },
            ),
            "patience 2": epoch(
                first,
                {
                    early: "that is where a patience of 2 stops; the best one so far is kept",
                    7: "a patience of 2 stops before: epochs 5 and 6 bring nothing new",
                    11: "it never gets that far: epochs 5 and 6 bring nothing new",
                    5: "epoch 5 is worse than the one before",
                    9: "that is where the second pause would end; the first one ends it already",
                },
            ),
            "mistake": epoch(
                last,
                {
                    7: "that is what the validation songs choose; here the training loss does",
                    11: "that is lowest on the validation songs; here nobody looks at them",
                    10: "the training loss falls in every epoch, so the count stays 0: no stop",
                    4: "the training loss has no dip there: it falls all the way",
                    1: "the training loss is highest there",
                },
            ),
        },
    )


_ALIKE, _NOW, _RATE = (0.0, 0.05, 0.1, 0.25, 0.9), 0.5, 0.25


@exercises.add(
    "(a) and (b): move a guess up a little, and ask which errors grow and which shrink. (c) What"
    " is the slope of the MSE at 0.5? (d) What are m and v after the first gradient, and what do"
    " the two divisions make of them?",
    "(c) The slope is the mean of five slopes, one for each value. (d) Put n = 1 into Adam's three"
    " formulas, with m and v 0 before: how much of the gradient's size is left in the ratio?",
    "(a) and (b): one is the mean, the other the median. (c) The mean of `2 * (0.5 - value)` over"
    " the five values, times 0.25, taken away from 0.5. (d) `g / sqrt(g ** 2)` is 1 or -1.",
)
def ex_04_5(answer: Any) -> None:
    """0.26 and 0.1: the loud value pulls the mean up, and the median stays. The plain step has
    half the distance to the mean, 0.12; Adam's first one has the learning rate, 0.25.
    """
    mean = sum(_ALIKE) / len(_ALIKE)
    slope = 2 * (_NOW - mean)

    def for_mse(value):
        slips = {
            0.1: "that is the value in the middle, which the other loss asks for",
            0.45: "halfway between the smallest and the largest: the other three count as well",
            1.3: "that is the sum of the five values, above every one of them",
            0.325: "that is the mean of four of them; the 0 counts too",
            0.4207: "that is the root of the mean square: it is not where the five errors cancel",
        }
        otherwise = "at {got:g} the errors of the five values do not cancel: their sum is not 0"
        expect(value, mean, slips, otherwise, tolerance=1e-4)

    def for_l1(value):
        got = number(value)
        below, above = (sum(one < got for one in _ALIKE), sum(one > got for one in _ALIKE))
        way = "down" if below > above else "up"
        otherwise = (
            f"of the five values {below} lie below {got:.4g} and {above} above: a small move {way}"
            " makes more errors smaller than larger"
        )
        expect(value, 0.1, {}, otherwise, tolerance=1e-4)

    def after_plain(value):
        slips = {
            0.62: "that goes uphill: the step goes against the gradient",
            0.44: "the derivative of a square has a factor of 2",
            -0.1: "that adds up five gradients; the loss is the mean over the five",
            0.12: "that is how far the step goes; it begins at 0.5",
            slope: "that is the gradient; the step is the learning rate times it",
            0.02: "the gradient is multiplied by the learning rate before it is taken away",
            0.35: "that is a step with the mean absolute error",
            mean: "that is where the loss is smallest; one step at this rate does not get there",
        }
        otherwise = "{got:g} is not it: find the mean of the five derivatives at 0.5 first"
        expect(value, _NOW - _RATE * slope, slips, otherwise, tolerance=1e-4)

    def after_adam(value):
        slips = {
            0.38: "that is the plain step; Adam divides by the gradient's own size",
            0.75: "that goes uphill: the gradient at 0.5 is positive, so the number falls",
            _NOW - _RATE * 0.1 / 0.001**0.5: "the divisions by 1 - 0.9 and 1 - 0.999 are missing",
            0.475: "m is a tenth of the gradient at first, but the division by 1 - 0.9 undoes that",
            0.5: "it does move: m and v are 0 before the first step, not after it",
            0.488: "that is the learning rate times m alone, without the divisions",
        }
        otherwise = "{got:g} is not it: put n = 1 into Adam's formulas, with m and v 0 before"
        expect(value, _NOW - _RATE, slips, otherwise, tolerance=1e-4)

    judge_parts(
        answer, {"MSE": for_mse, "L1": for_l1, "plain step": after_plain, "Adam": after_adam}
    )


def _hear_gain(answer):
    """The answer's gain, bin by bin, on a voice in noise."""
    voice = tones.voice()
    noise = 0.05 * torch.randn(voice.shape, generator=torch.Generator().manual_seed(4)).double()
    transform = STFT(1024, 256)
    S, N = (transform(sound[None].float()) for sound in (voice, noise))
    level = 20 * torch.log10(S.abs().clamp_min(1e-9) / N.abs().clamp_min(1e-9))
    gain = as_tensor(attempt(answer, level.double()), S.shape).float()
    sounds = {
        "a voice in noise": voice + noise,
        "with your gain in every bin": transform.inverse(gain * (S + N), len(voice)),
    }
    return tones.row(sounds, "the noise between the syllables, and how the rest of it flutters.")


@exercises.add(
    "How many times as much *power* has the voice, at that level? Then the gain follows from the"
    " formula above.",
    "`ratio = 10 ** (level / 10)` is v1 / v2. Divide v1 / (v1 + v2) by v2, above and below.",
    "`ratio / (ratio + 1)`, or `1 / (1 + 10 ** (-level / 10))`",
    hear=_hear_gain,
)
def ex_04_6(answer: Any) -> None:
    """A half at 0 dB, a tenth near -9.5 dB: a soft switch, the sigmoid of the level. A mask
    network that ends in a sigmoid has this curve to begin with.
    """
    level = torch.tensor([-20.0, -6.0, 0.0, 3.0, 25.0], dtype=torch.float64)
    given = as_tensor(attempt(answer, level.clone()), level.shape)
    ratio = 10 ** (level / 10)
    right = ratio / (1 + ratio)

    def is_(other):
        return torch.allclose(given, other, atol=1e-4)

    need(not given.is_complex(), "a gain is a real number")
    amplitudes = ratio.sqrt() / (1 + ratio.sqrt())
    need(
        not is_(amplitudes),
        "that is a ratio of magnitudes (IRM1); the Wiener gain is a ratio of powers",
    )
    need(not is_(1 - right), "that is the gain of the other source; check the sign of the level")
    need(not is_(ratio), "that is v1 / v2; the gain is v1 / (v1 + v2), never above 1")
    need(not is_(right.sqrt()), "that is the square root of the gain: no root is needed")
    need(not is_(right**2), "that is the square of the gain: v1 is a power already")
    need(
        not is_(torch.sigmoid(level)),
        "a sigmoid it is, but of the natural logarithm of the power ratio: the level in dB is 10"
        " log10",
    )
    need(not is_((level > 0).double()), "that is a binary mask: it jumps, the gain slides")
    need(not is_(level / (level + 1)), "decibels are logarithms: turn them into a ratio first")
    need(
        is_(right),
        f"at 0 dB, where both are equally strong, it gives {float(given[2]):.3f}, at 25 dB"
        f" {float(given[4]):.3f}",
    )
