"""Few colours: our own exactly, every other one near."""

import numpy as np
from PIL import Image

from sepkit.learn.palette import few_colours


def test_white_stays_white_beside_near_doubles():
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[:50] = (250, 251, 252)  # a large area of its own
    few = np.asarray(few_colours(Image.fromarray(pixels), [[255, 255, 255]]).convert("RGB"))
    assert (few == pixels).all()


def test_a_colour_map_is_kept_in_even_steps():
    ramp = np.stack([np.arange(256)] * 3, -1).astype(np.uint8)
    shades = np.rint(np.linspace(0, 255, 64))[:, None].repeat(3, 1)
    image = Image.fromarray(np.tile(ramp, (8, 1, 1)))
    few = np.asarray(few_colours(image, [[255, 255, 255]], [shades]).convert("RGB")).astype(int)
    assert np.abs(few - np.asarray(image).astype(int)).max() <= 3


def test_a_rare_colour_is_kept():
    pixels = np.full((200, 200, 3), 255, np.uint8)
    pixels[3, 5] = (200, 10, 90)
    few = np.asarray(few_colours(Image.fromarray(pixels), [[255, 255, 255]]).convert("RGB"))
    assert np.abs(few[3, 5].astype(int) - (200, 10, 90)).max() <= 8
