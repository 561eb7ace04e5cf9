"""The right answers of chapter 01 are what the package computes."""

import torch

from sepkit.learn.ch01.exercises import check
from sepkit.stft import STFT


def test_the_right_shape_is_that_of_the_transform():
    shape = tuple(STFT(2048, 512)(torch.zeros(2, 3 * 44100)).shape)
    assert check.ex_01_2((shape, 44100 / 2048, 512 / 44.1))
