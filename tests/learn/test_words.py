"""Numbers with their noun."""

import pytest

from sepkit.learn.words import counted


@pytest.mark.parametrize(
    "number, what, said",
    [
        (0, "song", "0 songs"),
        (1, "song", "1 song"),
        (1, "test song", "1 test song"),
        (24, "test song", "24 test songs"),
    ],
)
def test_a_noun_follows_its_number(number, what, said):
    assert counted(number, what) == said
