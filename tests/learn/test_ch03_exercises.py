"""The right answers of chapter 03 are what other libraries compute."""

import math

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA

from sepkit.learn.ch03.exercises import MIXING, check


def test_the_angle_silences_the_speaker_in_the_mixing_matrix():
    angle = math.radians(180 - math.degrees(math.atan(2)))
    heard = np.array([math.cos(angle), math.sin(angle)]) @ np.array(MIXING)
    assert abs(heard[0]) < 1e-12 and abs(heard[1]) > 0.3


def test_kurtoses_by_hand_are_those_of_scipy():
    coin = np.array([-1.0, 1.0])
    rare = np.array([-1.0, 1.0] + 18 * [0.0])
    two = np.array([-2.0, 0.0, 0.0, 2.0])
    assert check.ex_03_2([stats.kurtosis(y) for y in (coin, rare, 10 * coin, two)])


def test_whitening_by_hand_is_that_of_scikit_learn():
    draw = np.random.default_rng(0).standard_normal((100_000, 2))
    cloud = draw @ np.linalg.cholesky([[5.0, 4.0], [4.0, 5.0]]).T
    found = PCA(whiten=True).fit(cloud)
    after = np.corrcoef(found.transform(cloud).T)[0, 1]
    longest, shortest = found.explained_variance_
    assert check.ex_03_3((longest, shortest, longest**-0.5, after))
