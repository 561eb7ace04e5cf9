"""What the tests of the band share."""

import itertools

import pytest

from .tools import build


@pytest.fixture
def font(tmp_path):
    """Write a font, return its path."""
    numbers = itertools.count()

    def write(*args, suffix=".sf2", **settings):
        data = args[0] if isinstance(args[0], bytes) else build(*args, **settings)
        path = tmp_path / f"font{next(numbers)}{suffix}"
        path.write_bytes(data)
        return str(path)

    return write
