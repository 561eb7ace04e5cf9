"""Chapter 04: counting the LSTM, bins and frames, losses by hand, the Wiener gain by level."""

import numpy as np
import torch

LSTM = 3 * 4 * (512 * 512 + 512 * 512 + 2 * 512)


def gain(level):
    return 1 / (1 + 10 ** (-level / 10))


ANSWERS = {
    1: {
        "right": [LSTM, float(LSTM), np.int64(LSTM), torch.tensor([LSTM]), 6_303_744.0],
        "wrong": [
            (4_730_880, "that is the BLSTM"),
            (2_365_440, "one direction of the BLSTM"),
            (2 * LSTM, "reads forwards only"),
            (LSTM - 12 * 512, "two bias vectors"),
            (LSTM - 12 * 1024, "the biases are missing"),
            (LSTM // 3, "that is one layer; there are three"),
            (LSTM // 4, "three gates and the new content are four"),
            (LSTM // 4 * 3, "the new content has weights too"),
            (10_466_212, "that is the whole network"),
            (4_000_000, "4000000 is not it"),
            ("six million", "not text"),
            (lambda: LSTM, "not a function"),
        ],
    },
    2: {
        "right": [
            (int(16000 * 4096 / 44100) + 1, 1 + (6 * 44100 - 4096) // 1024),
            [1487, 255],
            np.array([1487.0, 255.0]),
            {"bins": torch.tensor(1487), "frames": 255},
        ],
        "wrong": [
            ((1486, 255), "bin 0 counts too", 1 / 2),
            ((1488, 255), "one too many"),
            ((2049, 255), "all bins up to 22.05 kHz"),
            ((743, 255), "not 22050 / 1024"),
            ((1500, 255), "10.77 Hz apart"),
            ((1487, 259), "padded ends give"),
            ((1487, 258), "beyond its end"),
            ((1487, 254), "the first window counts"),
            ((1487, 64), "a new one begins"),
            ((1487, 300), "needs 1024 samples more"),
            (1487, "2 answers were expected"),
            ((1487, ...), "frames: not attempted", 1 / 2),
        ],
    },
    3: {
        "right": [
            (0.26, 0.1, 0.38, 0.25),
            [1.3 / 5, np.median([0, 0.05, 0.1, 0.25, 0.9]), 0.5 - 0.25 * 0.48, 0.25 + 5e-9],
            np.array([0.26, 0.1, 0.38, 0.25], dtype=np.float32),
            torch.tensor([0.26, 0.1, 0.38, 0.25]),
            {"MSE": 0.26, "L1": torch.tensor(0.1), "plain step": [0.38], "Adam": np.float64(0.25)},
        ],
        "wrong": [
            ((0.1, 0.26, 0.38, 0.25), "4 lie below 0.26 and 1 above", 1 / 2),
            ((0.1, 0.1, 0.38, 0.25), "which the other loss asks for", 3 / 4),
            ((0.45, 0.1, 0.38, 0.25), "halfway between the smallest and the largest"),
            ((1.3, 0.1, 0.38, 0.25), "the sum of the five values"),
            ((0.325, 0.1, 0.38, 0.25), "the 0 counts too"),
            ((0.177**0.5, 0.1, 0.38, 0.25), "the root of the mean square"),
            ((0.3, 0.1, 0.38, 0.25), "do not cancel"),
            ((0.26, 0.05, 0.38, 0.25), "1 lie below 0.05 and 3 above"),
            ((0.26, 0, 0.38, 0.25), "0 lie below 0 and 4 above"),
            ((0.26, 0.1, 0.62, 0.25), "against the gradient"),
            ((0.26, 0.1, 0.44, 0.25), "a factor of 2"),
            ((0.26, 0.1, -0.1, 0.25), "adds up five gradients"),
            ((0.26, 0.1, 0.12, 0.25), "how far the step goes"),
            ((0.26, 0.1, 0.48, 0.25), "that is the gradient"),
            ((0.26, 0.1, 0.02, 0.25), "before it is taken away"),
            ((0.26, 0.1, 0.35, 0.25), "a step with the mean absolute error"),
            ((0.26, 0.1, 0.26, 0.25), "one step at this rate does not get there"),
            ((0.26, 0.1, 0.4, 0.25), "the mean of the five derivatives"),
            ((0.26, 0.1, 0.38, 0.38), "that is the plain step"),
            ((0.26, 0.1, 0.38, 0.75), "the answer falls"),
            ((0.26, 0.1, 0.38, 0.5 - 0.25 * 10**0.5), "are missing"),
            ((0.26, 0.1, 0.38, 0.475), "undoes that"),
            ((0.26, 0.1, 0.38, 0.5), "it does move"),
            ((0.26, 0.1, 0.38, 0.488), "m alone"),
            ((0.26, 0.1, 0.38, 0.3), "put n = 1"),
            ((0.26, 0.1, 0.38, ...), "Adam: not attempted", 3 / 4),
            ((0.26, 0.1), "4 answers were expected, not 2"),
        ],
    },
    4: {
        "right": [
            gain,
            lambda level: torch.sigmoid(level * np.log(10) / 10),
            lambda level: gain(np.asarray(level, dtype=np.float32)),
            lambda level: [gain(float(one)) for one in level],
            lambda level: (10 ** (level / 10)) / (10 ** (level / 10) + 1),
        ],
        "wrong": [
            (lambda level: gain(level / 2), "a ratio of magnitudes (IRM1)"),
            (lambda level: gain(-level), "the gain of the other source"),
            (lambda level: 10 ** (level / 10), "never above 1"),
            (lambda level: gain(level) ** 0.5, "no root is needed"),
            (lambda level: gain(level) ** 2, "v1 is a power already"),
            (torch.sigmoid, "a sigmoid it is"),
            (lambda level: level > 0, "that is a binary mask"),
            (lambda level: level / (level + 1), "turn them into a ratio first"),
            (lambda level: 0.36, "(5,) was expected"),
            (lambda level: gain(2 * level), "it gives 0.500, at 25 dB 1.000"),
            (0.36, "a function was expected"),
            (lambda level: gain(level) * (1 + 1j), "a gain is a real number"),
        ],
    },
}
