"""The right answers of chapter 10 are what the package does."""

import math

import torch
from torch.nn import functional

from sepkit.learn.ch10.exercises import CONFIG, check
from sepkit.models import roformer
from sepkit.models.roformer_layers import rotation_rates
from sepkit.stft import STFT


def test_turns_are_those_of_the_network_and_tokens_those_of_its_grid():
    turns = 2 * math.pi / rotation_rates(64) * 441 / 44100
    assert check.ex_10_3((turns[0], turns[-1]))
    frames = STFT(2048, CONFIG["hop"]).frames(CONFIG["chunk_size"])
    assert check.ex_10_5((CONFIG["chunk_size"] / 44100, len(roformer.BANDS) * frames, 4))


def test_the_predicted_weights_are_those_of_attention():
    query, keys = torch.zeros(1, 4), torch.zeros(6, 4)
    query[0, 0], keys[1, 0] = 8, 1
    another = torch.cat([keys, keys[1:2]])

    def of_singer(q, k, values=1.0):
        marks = torch.zeros(len(k), 1)
        marks[1] = values
        return functional.scaled_dot_product_attention(q, k, marks) / values

    assert check.ex_10_2(
        (
            of_singer(2 * query, keys),
            of_singer(query, another),
            of_singer(0 * query, keys),
            of_singer(query, keys, 2.0),
        )
    )


def test_the_gain_of_two_opinions_is_that_of_averaged_noise():
    first, second = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0))

    def measured(rho):
        other = rho * first + (1 - rho**2) ** 0.5 * second
        gain = -10 * torch.log10(((first + other) / 2).square().mean())
        return round(float(gain), 2)  # to what the check is exact to

    for rho in (0.0, 0.3, 0.8):
        assert abs(measured(rho) + 10 * math.log10((1 + rho) / 2)) < 0.03
