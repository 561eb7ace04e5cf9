"""The parts of ``make check-gpu``: each takes a `Machine` and returns figures by their names.

Songs and training are imported where they are used: a machine without the packages for them
can still compare networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import metrics, models
from ..console import error_text
from ..errors import SepkitError
from ..models.base import Model
from ..models.bsrnn_readable import readable_bsrnn
from ..models.precision import runner

#: Networks that are compiled: it takes tens of seconds each.
COMPILED = ("open-unmix", "bsrnn", "wave-u-net")
#: Networks that come with sepkit and estimate the vocals of stereo songs.
SCORED = ("open-unmix-student", "bsrnn-student", "resunet-subbandtime-student")
#: Examples of an epoch, as the thesis trained BSRNN.
EXAMPLES = 5200
#: The smallest sizes of networks that have no student's, for a dry run.
TINY: dict[str, dict[str, Any]] = {
    "bsrnn": {"features": 4, "hidden": 4, "layers": 1, "mlp": 4, "split": "V1"},
    "tfc-tdf": {"growth": 4, "depth": 2, "bins": 256, "n_fft": 1024, "hop": 256},
    "resunet-ismir2021": {"widths": [4] * 6},
    "resunet-subbandtime": {"widths": [4] * 6},
    "resunet-mobilenet": {"widths": [4] * 6},
}


@dataclass
class Machine:
    """A device, and how much is to be done on it.

    Attributes
    ----------
    device : torch.device
    tiny : bool
        The smallest networks, for a moment each.
    work : Path
        An empty folder.
    late : callable
        Whether the time is over.
    """

    device: torch.device
    tiny: bool
    work: Path
    late: Callable[[], bool] = field(default=lambda: False)

    @property
    def name(self) -> str:
        """What the device calls itself."""
        return torch.cuda.get_device_name(self.device) if self.cuda else str(self.device)

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU of CUDA's kind, which works while Python goes on."""
        return self.device.type == "cuda"

    @cached_property
    def songs(self) -> list:
        """Three short songs, rendered by plain DSP and decoded."""
        from .. import band
        from ..datasets import open_tracks
        from ..datasets.loader import decoded

        root = self.work / "songs"
        plain = {"voice": "dsp", "instruments": "dsp", "speech": False, "progress": False}
        band.render(root, train=2, test=1, seconds=4 if self.tiny else 8, workers=1, **plain)
        return decoded(open_tracks(root))

    def settings(self, model: str) -> dict[str, Any]:
        """A network's settings: the paper's, or those of a dry run."""
        if not self.tiny:
            return {}
        return TINY.get(model) or dict(models.card(model).sizes.get("student", {}))

    def time(self, action: Callable[[], Any], repeats: int = 3) -> float:
        """The shortest of some times, in seconds, after a first one that does not count."""
        found = []
        for _ in range(1 + (1 if self.tiny else repeats)):
            began = self.now()
            action()
            found.append(self.now() - began)
        return min(found[1:])

    def now(self) -> float:
        """Seconds, once the device has done what it was asked for."""
        if self.cuda:
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def agreement(expected: Tensor, found: Tensor) -> float:
    """Energy over that of the difference, in dB; 300 for equal outputs."""
    expected, found = expected.double().cpu(), found.double().cpu()
    energy, error = expected.square().sum(), (found - expected).square().sum()
    return round(float(10 * torch.log10(energy / error.clamp_min(1e-30 * energy))), 1)


# --- networks ------------------------------------------------------------------------------------


def compare_networks(machine: Machine) -> dict[str, Any]:
    """Each network with random weights, on the CPU and on the device, and in other precisions."""
    rows: dict[str, dict[str, Any]] = {}
    for model in models.MODELS:
        if machine.late():
            return {"networks": rows, "state": f"no time was left for {model} and those behind it"}
        rows[model] = _compare(machine, model)
    return {"networks": rows, **_failures(rows)}


@torch.no_grad()
def _compare(machine: Machine, model: str) -> dict[str, Any]:
    net = models.build(model, **machine.settings(model)).eval()
    seconds = 0.3 if machine.tiny else 2.0
    mixture = 0.1 * torch.randn(1, net.channels, int(seconds * net.sample_rate))  # (1, C, T)
    method, given = "forward", mixture
    if net.estimates_magnitude and net.stft is not None:
        method, given = "magnitude", net.stft(net.pad(mixture)).abs()  # (1, C, F, N)
    on_cpu = _output(getattr(net, method)(given))
    net, given = net.to(machine.device), given.to(machine.device)
    plain = _output(getattr(net, method)(given))
    row: dict[str, Any] = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "float32 against the CPU (dB)": agreement(on_cpu, plain),
        f"float32: seconds for {seconds:g} s": machine.time(lambda: getattr(net, method)(given)),
    }

    def run_as(way: str, **options: Any) -> dict[str, float]:
        run = runner(net, method, **options)
        close = agreement(plain, _output(run(given)))
        seconds = machine.time(lambda: run(given))
        return {f"{way} against float32 (dB)": close, f"{way}: seconds": seconds}

    return row | _in_each_way(machine, net, run_as, compiled=model in COMPILED)


def _output(estimates: Any) -> Tensor:
    return torch.stack(list(estimates.values())) if isinstance(estimates, dict) else estimates


def _in_each_way(
    machine: Machine, net: Model, measure: Callable[..., dict], compiled: bool
) -> dict[str, Any]:
    """``measure(way, **options of runner)`` in bfloat16 and, if asked for, compiled."""
    ways: dict[str, dict[str, Any]] = {"bfloat16": {"precision": "bfloat16"}}
    if compiled and not machine.tiny:  # it takes minutes on a CPU
        ways["compiled"] = {"compile": True}
    found: dict[str, Any] = {}
    for way, options in ways.items():
        try:
            found |= measure(way, **options)
        except SepkitError as refusal:
            found[way] = f"refused: {refusal}"
        except RuntimeError as error:  # of torch.compile, too
            found[way] = f"failed: {error_text(error)}"
        if net.precisions:
            net.set_precision("float32")
    return found


def _failures(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The state of a part in which something failed; nothing otherwise."""
    failed = [
        f"{name}, {way}"
        for name, row in rows.items()
        for way, value in row.items()
        if str(value).startswith("failed")
    ]
    return {"state": f"failed: {'; '.join(failed)}"} if failed else {}


def compare_scores(machine: Machine) -> dict[str, Any]:
    """What bfloat16 and compiling cost the shipped networks, in dB of SDR on a song."""
    from ..separation import ModelSeparator

    song = machine.songs[-1]
    rows: dict[str, dict[str, Any]] = {}
    mixture, stems = song.mixture(), song.references()
    for name in SCORED[:1] if machine.tiny else SCORED:
        if machine.late():
            return {"SDR (dB)": rows, "state": f"no time was left for {name}"}
        networks: Any = models.load(name)  # one a target
        net = networks["vocals"].eval()

        def sdr(way: str, device: Any = machine.device, net: Any = net, **options: Any) -> dict:
            estimate = ModelSeparator(net, device=device, **options).separate(mixture)["vocals"]
            return {way: round(float(metrics.sdr(stems["vocals"], estimate)), 4)}

        rows[name] = sdr("float32, CPU", device="cpu") | sdr("float32")
        rows[name] |= _in_each_way(machine, net, sdr, compiled=True)
    return {"SDR (dB)": rows, **_failures(rows)}


# --- training ------------------------------------------------------------------------------------


def training_steps(machine: Machine) -> dict[str, Any]:
    """Forward and backward of BSRNN beside the version band by band, with the same shapes."""
    sizes = {"student": models.card("bsrnn").sizes["student"], "paper": machine.settings("bsrnn")}
    figures: dict[str, float] = {}
    for size, settings in sizes.items():
        ours: Any = models.build("bsrnn", **settings).to(machine.device)
        plain: Any = readable_bsrnn(ours).to(machine.device)
        batch, seconds = (1, 0.3) if machine.tiny else (4, 3.0)
        mixture = 0.1 * torch.randn(batch, 2, int(seconds * ours.sample_rate))
        spectrum = ours.stft(mixture.to(machine.device))  # (B, C, F, N), complex

        def step(network: Callable, spectrum: Tensor = spectrum) -> Callable[[], None]:
            return lambda: (network(spectrum) * spectrum).abs().mean().backward()

        taken = {
            name: machine.time(step(network))
            for name, network in {"sepkit": ours.mask, "band by band": plain}.items()
        }
        figures |= {f"bsrnn {size}: {name} (s)": value for name, value in taken.items()}
        ratio = taken["sepkit"] / taken["band by band"]
        figures[f"bsrnn {size}: sepkit / band by band"] = round(ratio, 3)
    return figures


def loader(machine: Machine) -> dict[str, Any]:
    """Which share of the time BSRNN is at work, and does not wait for examples."""
    from ..datasets.loader import throughput

    net = models.build("bsrnn", **machine.settings("bsrnn")).to(machine.device)

    def step(stems: Tensor) -> None:  # (B, S, C, T)
        stems = stems.to(machine.device)
        net.zero_grad()
        with torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.cuda):
            net.loss(stems.sum(1), stems[:, 0]).backward()
        machine.now()

    sizes = (0,) if machine.tiny else (0, 8)
    rows = throughput(
        machine.songs,
        workers=sizes,
        batches=(1 if machine.tiny else 16,),
        seconds=0.5 if machine.tiny else 3.0,
        step=step,
        lasting=0.1 if machine.tiny else 10.0,
    )
    return {"busy": max(row["busy"] for row in rows), "loaders": rows}


def epoch(machine: Machine) -> dict[str, Any]:
    """An epoch of BSRNN in the authors' size by the training loop, from the second of two shorter.

    The first one waits for the loader's processes to start.
    """
    from .. import training
    from ..training.presets import recipe_for

    recipe, _ = recipe_for("bsrnn", "paper")
    if machine.tiny:
        recipe = recipe.but(batch=2, chunk_seconds=1.0, cut_seconds=0.5)
    steps, train_songs = 1 if machine.tiny else 20, machine.songs[:2]
    examples = recipe.batch * steps
    recipe = recipe.but(
        samples_per_track=examples // len(train_songs), epochs=2, workers=0 if machine.tiny else 8
    )
    figures: dict[str, Any] = {"batch": recipe.batch, "measured examples": examples}
    for precision in ("32-true", "bf16-mixed"):
        rows: list[dict[str, float]] = []
        training.train(
            models.build("bsrnn", **machine.settings("bsrnn")),
            train_songs,
            machine.songs[2:],
            machine.work / f"epoch-{precision}",
            recipe.but(precision=precision),
            device=str(machine.device),
            progress=rows.append,
        )
        seconds = rows[1]["seconds"] - rows[0]["seconds"]  # waiting is counted by epoch
        whole = round(seconds / examples * EXAMPLES, 1)
        figures[f"{precision}: seconds for {EXAMPLES} examples"] = whole
        figures[f"{precision}: share spent waiting"] = round(rows[1]["waiting"] / seconds, 3)
    return figures


def processes(machine: Machine) -> dict[str, Any]:
    """One process that trains as several do: NCCL (gloo on a CPU) joins gradients with itself."""
    import torch.distributed as dist

    backend = "nccl" if machine.cuda else "gloo"
    store = f"file://{machine.work / 'processes'}"
    dist.init_process_group(backend, init_method=store, rank=0, world_size=1)
    try:
        ones = torch.ones(1024, device=machine.device)
        dist.all_reduce(ones)
        student = {**models.card("open-unmix").sizes["student"], "dropout": 0.0}
        net = models.build("open-unmix", **student).to(machine.device).train()
        x = 0.1 * torch.randn(2, 2, 22050, device=machine.device)  # (B, C, T)

        def gradients(network: Callable) -> Tensor:
            net.zero_grad()
            (network(x) - x / 2).square().mean().backward()
            return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])

        joined = torch.nn.parallel.DistributedDataParallel(net)
        same = agreement(gradients(net), gradients(joined))
    finally:
        dist.destroy_process_group()
    return {"backend": backend, "sum of ones": float(ones.mean()), "gradients alike (dB)": same}


def shortage(machine: Machine) -> dict[str, Any]:
    """What training says when memory runs out: on a GPU by a limit, on a CPU by a pretence."""
    from .. import training

    net: Any = models.build("open-unmix", **dict(models.card("open-unmix").sizes["student"]))
    recipe = training.Recipe(batch=64 if machine.cuda else 4, chunk_seconds=1.0, max_steps=1)
    if machine.cuda:
        share = 1e9 / torch.cuda.get_device_properties(machine.device).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(share, machine.device)
        recipe = recipe.but(chunk_seconds=6.0)
    else:
        whole = net.loss

        def loss(mixture: Tensor, target: Tensor) -> Tensor:
            if len(mixture) > 1:
                raise torch.OutOfMemoryError("pretended")
            return whole(mixture, target)

        net.loss = loss
    try:
        training.train(
            net,
            machine.songs[:2],
            machine.songs[2:],
            machine.work / "shortage",
            recipe,
            device=str(machine.device),
            progress=False,
        )
    except SepkitError as advice:
        if "--batch" not in str(advice):
            raise
        return {"advice": str(advice)}
    finally:
        if machine.cuda:
            torch.cuda.set_per_process_memory_fraction(1.0, machine.device)
    raise SepkitError("memory for one GB was enough for everything; ask for more")


# --- scores --------------------------------------------------------------------------------------


def bss_eval(machine: Machine) -> dict[str, Any]:
    """BSSEval of several sources on the device and on the CPU: the same numbers, and how fast."""
    sources, seconds = (2, 1) if machine.tiny else (4, 30)
    references = torch.randn(sources, 2, seconds * 44100)
    estimates = references + 0.3 * references.roll(1, 0) + 0.1 * torch.randn_like(references)
    began = time.perf_counter()
    expected = metrics.bss_eval(references, estimates, 44100)
    on_cpu = time.perf_counter() - began
    references, estimates = references.to(machine.device), estimates.to(machine.device)
    began = machine.now()
    found = metrics.bss_eval(references, estimates, 44100)
    taken = machine.now() - began
    largest = max(float(abs(one - other).max()) for one, other in zip(expected, found))
    return {"largest difference (dB)": largest, "CPU (s)": on_cpu, "device (s)": taken}


#: Part -> what does it, in this order.
PARTS: dict[str, Callable[[Machine], dict[str, Any]]] = {
    "networks": compare_networks,
    "BSSEval": bss_eval,
    "training steps": training_steps,
    "processes": processes,
    "scores": compare_scores,
    "loader": loader,
    "epoch": epoch,
    "out of memory": shortage,
}
