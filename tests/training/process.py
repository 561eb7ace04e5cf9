"""Run by torchrun in tests: a small training; arguments say what happens in which process.

process.py OUT CHANGES [ACTION RANK BATCH]
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
import typer

from sepkit.cli.output import errors_in_one_line
from sepkit.cli.train import only_first_process_prints
from sepkit.training.distributed import rank_and_size

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.training import tools  # noqa: E402


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    raise ValueError("this process has had enough")


def main(out, changes, action=None, rank="0", batch="0"):
    me, out = int(os.environ.get("RANK", 0)), Path(out)
    torch.set_num_threads(1)
    options = json.loads(changes)
    kind = options.pop("model", "bands")
    tracks = tools.songs(3)
    if options.pop("broken", False):
        tracks[1] = tools.Broken(tracks[1], good=9000)
    model = {"bands": tools.bands, "tiny": tools.tiny}[kind]()
    if kind == "tiny" and me:  # the first process's weights must reach all
        torch.nn.init.zeros_(model.fc1.weight)
    if action == "nan" and me == int(rank):
        model.fc1.register_forward_hook(
            lambda module, inputs, output: output * float("nan") if module.training else output
        )
    elif action and me == int(rank):
        model = tools.stop_after(int(batch), {"die": die, "fail": fail}[action], model)
    gradients, step = [], torch.optim.Adam.step

    def watched(self, *arguments, **more):
        gradients.append(tools.gradient(self))
        return step(self, *arguments, **more)

    torch.optim.Adam.step = watched
    tools.run(out, tools.QUICK.but(**options), model, tracks)
    torch.save({"gradients": gradients, "weights": model.state_dict()}, out / f"seen-{me}.pt")


@errors_in_one_line
def command():
    with only_first_process_prints(*rank_and_size()):
        main(*sys.argv[1:])


if __name__ == "__main__":
    try:
        command()
    except typer.Exit as end:
        sys.exit(end.exit_code)
