"""A slider's move: processor time of the picture it draws, beside matplotlib's own way to a PNG.

    python tests/bench/bench_sliders.py [--moves 5]

The figure of chapter 03's angle, with 100,000 points. `savefig` is what a notebook does with a
figure; the bar for a move on an idle core is 0.3 s.
"""

import argparse
import io
import time

import torch

from sepkit.learn.ch03.figures import turned
from sepkit.learn.sliders import sliders


def seconds(job, moves):
    spent = []
    for angle in range(20, 20 + moves):
        began = time.process_time()
        job(angle)
        spent.append(time.process_time() - began)
    return min(spent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=5)
    options = parser.parse_args()
    x = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(0)).double()

    def at(angle):
        return turned(x, angle, lambda y: (y**4).mean())

    panel = sliders(
        at, hear=lambda angle: x[0] * angle / 1000, sample_rate=16000, angle=(0, 90, 1, 1)
    )
    move = seconds(lambda angle: panel.set(angle=angle), options.moves)
    plain = seconds(lambda angle: at(angle).savefig(io.BytesIO(), format="png"), options.moves)
    print(
        f"a move with sound {move:.3f} s, savefig without {plain:.3f} s: {move / plain:.2f} times"
    )


if __name__ == "__main__":
    main()
