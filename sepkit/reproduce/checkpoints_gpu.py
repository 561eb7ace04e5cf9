"""Train larger checkpoints on one GPU within nine minutes: ``make checkpoints-gpu``.

Renders the band's songs on all cores, trains the networks of `NETWORKS` two at a time in mixed
precision, scores them on the band's test songs, and leaves one file per network and a manifest.
Every part has the seconds of `BUDGET` and is ended after them: songs that are rendered by then
are used, a network that is not finished is kept as its last validation left it, one that fails
is named in the manifest and does not stop the others.

Rendering and training are the kit's own commands, each in a process of its own. Nothing is
downloaded. A machine with torch, scipy, typer, rich, filelock, safetensors and
lightning-utilities, but without a network, needs wheels of lightning-fabric, soundfile, cffi,
pycparser and soxr, and for sung words and sampled instruments of espeakng-loader,
pyworld-prebuilt and pretty_midi: 18 MB in all. Without the program ``flite`` the singers are
espeak-ng's alone. ``--tiny --device cpu`` runs the same code within two minutes.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from .. import band, evaluation, files, models, separation
from ..band import flite
from ..console import error_text, print_error, print_line
from ..datasets import open_tracks
from ..device import resolve_device
from ..errors import SepkitError
from ..metrics.scores import aggregate
from ..models.base import Model
from .checkpoints_plan import BUDGET, NETWORKS, SEED, SONGS, TINY_SONGS, Network, tiny

Clock = Callable[[], float]
#: Seconds that a process has to save its state, once it is told to stop.
PATIENCE = 3
METRICS = {"usdr": "mean", "si_sdr": "mean"}
NO_TIME = "not begun: no time was left"
LICENCE = "MIT; learnt from rendered music alone, see data"


class Run:
    """One run: where it works, and until when.

    Parameters
    ----------
    out : Path
        Receives ``MODEL/TARGET.safetensors`` for each network, and ``manifest.json``.
    work : Path
        An empty folder for songs and trainings.
    device : str
    networks : sequence of Network
    songs : mapping
        As `SONGS`.
    budget : mapping of str to float
        As `BUDGET`.
    clock : callable
        Seconds that never run backwards.
    commit : str, optional
        The commit of the code, where it is no checkout.
    """

    def __init__(
        self,
        out: Path,
        work: Path,
        device: str = "cuda",
        networks: Sequence[Network] = NETWORKS,
        songs: Mapping[str, int] = SONGS,
        budget: Mapping[str, float] = BUDGET,
        clock: Clock = time.monotonic,
        commit: str | None = None,
    ):
        self.out, self.work, self.device = out, work, device
        self.networks, self.songs, self.clock = networks, songs, clock
        self.begun, self.ends, end = clock(), {}, 0.0
        for part, seconds in budget.items():
            end += seconds
            self.ends[part] = self.begun + end
        self.workers = 0 if device == "cpu" else max(1, (os.cpu_count() or 1) // 2 - 2)
        self.results: dict[str, dict[str, Any]] = {
            network.name: {"state": "not begun", "good": False} for network in networks
        }
        self.manifest: dict[str, Any] = {
            "licence": LICENCE,
            "device": device_name(device),
            "provenance": files.provenance("make checkpoints-gpu", device=device, seed=SEED),
            "budget (s)": dict(budget),
            "seconds": {},
            "data": {},
            "networks": self.results,
            "test scores (dB)": {},
        }
        if commit:
            self.manifest["provenance"]["commit"] = commit

    def all(self) -> bool:
        """Render, train, score, and write the manifest; whether every network is as planned."""
        self.out.mkdir(parents=True, exist_ok=True)
        for network in self.networks:  # of an earlier run
            (self.out / f"{network.name}.safetensors").unlink(missing_ok=True)
        steps = {
            "test songs": self.render_test,
            "songs": self.render_train,
            "training": self.train,
            "scores": self.score,
        }
        for part, step in steps.items():
            begun = self.clock()
            try:
                step()
            except (SepkitError, OSError, RuntimeError) as error:
                self.note(part, error)
            self.manifest["seconds"][part] = round(self.clock() - begun, 1)
            self.manifest["complete"] = self.complete()
            files.write_json(self.out / "manifest.json", self.manifest)  # whatever comes next
        return self.manifest["complete"]

    def note(self, part: str, error: Exception) -> None:
        """Say what went wrong, here and in the manifest."""
        print_error(error)
        self.manifest.setdefault("errors", []).append(f"{part}: {self.plain(error_text(error))}")

    def complete(self) -> bool:
        """Whether every network was trained for its time, is good, and has been scored."""
        scored = self.manifest["test scores (dB)"]
        return all(
            result["state"] == "finished" and result["good"] and name in scored
            for name, result in self.results.items()
        )

    # --- songs ----------------------------------------------------------------------------------

    def render_test(self) -> None:
        """The band's test songs, as every data set of the band has them."""
        self.render("test", "test songs", self.songs["test_seed"], {})

    def render_train(self) -> None:
        """The training songs: as many as there is time for."""
        voices = "natural" if flite.available() else "mixed"
        self.render("train", "songs", self.songs["seed"], {"voices": voices})
        self.manifest["data"]["voices"] = (
            "half of the singers from flite" if voices == "natural" else "no flite on the machine"
        )

    def render(self, split: str, part: str, seed: int, knobs: dict[str, str]) -> None:
        """The songs of one split, until the end of its part; and what the manifest says of them."""
        counts = {name: self.songs[split] if name == split else 0 for name in ("train", "test")}
        wanted = {**counts, "seconds": self.songs["seconds"], "seed": seed, **knobs}
        values = "".join(f", {name}={value!r}" for name, value in wanted.items())
        code = f"band.render({split!r}, speech=False{values})"
        python = ["-c", f"from sepkit import band; {code}"]
        state = self.run_python(python, self.ends[part], f"render-{split}", at_once=True)
        there = sorted((self.work / split / split).glob("[!.]*"))
        facts = self.work / split / band.MANIFEST
        if not facts.is_file():
            raise SepkitError(f"{split} songs: {state}; none was rendered")
        self.manifest["data"][split] = {
            "command": code,
            "songs": len(there),
            "state": state,
            "settings": files.read_json(facts)["settings"],
            "songs' hash": files.digest(*(files.sha256(p / "mixture.wav") for p in there)),
        }
        print_line(f"{split} songs: {len(there)} ({state})")

    # --- training -------------------------------------------------------------------------------

    def train(self) -> None:
        """All networks, the lanes side by side."""
        lanes = sorted({network.lane for network in self.networks})
        with ThreadPoolExecutor(len(lanes)) as pool:
            for done in [pool.submit(self.train_lane, lane) for lane in lanes]:
                done.result()

    def train_lane(self, lane: int) -> None:
        """The networks of one lane, one after another; a failure is noted and ends only itself."""
        for network in (network for network in self.networks if network.lane == lane):
            result = self.results[network.name]
            try:
                result.update(self.train_one(network))
            except (SepkitError, OSError, RuntimeError) as error:
                result.update(state=f"failed: {self.plain(error_text(error))}", good=False)
                (self.out / f"{network.name}.safetensors").unlink(missing_ok=True)
            print_line(f"{network.name}: {result['state']}, {result.get('step', 0)} steps")

    def train_one(self, network: Network) -> dict[str, Any]:
        """One training; what the manifest says of it."""
        end = min(self.clock() + network.seconds, self.ends["training"])
        songs = self.manifest["data"].get("train", {}).get("songs", 0)
        seconds = end - self.clock() - network.overhead(songs)
        if seconds <= 0:
            return {"state": NO_TIME}
        words = network.train_command("train", seconds, self.device, self.workers)
        log = network.name.replace("/", "-")
        state = self.run_python(["-m", "sepkit", *words], end, log)
        result: dict[str, Any] = {"state": state, "command": shlex.join(["sepkit", *words])}
        trained = self.work / "runs" / network.name / f"{network.target}.safetensors"
        if not trained.is_file():  # it has not been validated yet
            return {**result, "good": False}
        return {**result, **self.keep(network, trained)}

    def keep(self, network: Network, trained: Path) -> dict[str, Any]:
        """Store a network in half precision and read it back; what the manifest says of it."""
        model, made = models.load(trained), models.read_header(trained)["extra"]
        assert not isinstance(model, dict)  # a training has one network
        path = self.out / f"{network.name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        models.save(path, model, extra=made, half=True)
        check_stored(path, model, network.settings)
        log = trained.parent / "log.csv"
        kept = ("settings", "recipe", "epoch", "step", "seconds", "valid_loss")
        return {
            **{name: made[name] for name in kept},
            "songs": {part: len(made[f"{part} tracks"]) for part in ("train", "valid")},
            "learning curve": log.read_text().splitlines() if log.is_file() else [],
            "file": {"bytes": path.stat().st_size, "sha256": files.sha256(path)},
            "good": True,
        }

    # --- scores ---------------------------------------------------------------------------------

    def score(self) -> None:
        """Score the networks of each model together, song by song, while there is time."""
        tracks = open_tracks(self.work / "test", "test")
        self.manifest["data"]["test"]["names"] = [track.name for track in tracks]
        for model in (*dict.fromkeys(network.model for network in self.networks), "mixture"):
            stored = self.out / model
            if model != "mixture" and not any(stored.glob("*.safetensors")):
                continue
            try:
                name = "mixture" if model == "mixture" else stored
                self.score_one(separation.get(name, device=self.device), tracks, model)
            except (SepkitError, RuntimeError) as error:
                self.note(f"scores of {model}", error)

    def score_one(self, separator, tracks, model: str) -> None:
        """Means of one separator over the songs that are scored in time."""
        scores, songs = [], 0
        for track in tracks:
            if self.clock() >= self.ends["scores"]:
                break
            scores += evaluation.evaluate(
                separator, [track], metrics=tuple(METRICS), dataset="band", notice=None
            )
            songs += 1
        for target in dict.fromkeys(score.target for score in scores):
            means = {
                metric: round(aggregate(own, how), 2)
                for metric, how in METRICS.items()
                if (own := [s for s in scores if (s.target, s.metric) == (target, metric)])
            }
            table = self.manifest["test scores (dB)"]
            table[f"{model}/{target}"] = {"songs": songs, "over songs": "mean", **means}
            print_line(f"{model}/{target}: {means} over {songs} songs")

    # --- processes ------------------------------------------------------------------------------

    def run_python(self, words: list[str], end: float, log: str, at_once: bool = False) -> str:
        """Run Python with these arguments until it ends, or until the clock says `end`.

        Returns
        -------
        str
            "finished", "stopped at the deadline", or "failed: " and its last line on stderr.
        """
        if self.clock() >= end:
            return NO_TIME
        said = self.work / f"{log}.txt"
        package = Path(__file__).resolve().parents[2]
        path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        with said.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.work,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # a group of its own, to end all of it
            )
            try:
                while process.poll() is None and self.clock() < end:
                    time.sleep(0.1)
                stopped = process.poll() is None
                if stopped and not at_once:
                    process.send_signal(signal.SIGINT)
                    wait(process, PATIENCE)
            finally:
                end_group(process)
        if stopped:
            return "stopped at the deadline"
        if process.returncode:
            lines = said.read_text(errors="replace").strip().splitlines()
            last = self.plain(lines[-1]) if lines else f"exit code {process.returncode}"
            return f"failed: {last.removeprefix('sepkit: error: ')}"
        return "finished"

    def plain(self, text: str) -> str:
        """A message without the machine's folders."""
        for folder in (self.work, self.out):
            text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), folder.name)
        return text


def wait(process: subprocess.Popen, seconds: float) -> None:
    """Wait for the end of a process, but not for longer than this."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def end_group(process: subprocess.Popen) -> None:
    """End a process and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def check_stored(path: Path, model: Model, settings: Mapping[str, Any]) -> None:
    """Read a stored network back, strictly by names, and compare it with the one in memory.

    Raises
    ------
    SepkitError
        If its settings are not those that were planned, or a weight differs by more than half
        precision makes it.
    """
    stored = models.load(path)
    assert not isinstance(stored, dict)
    for name, value in settings.items():
        if stored.settings[name] != value:
            raise SepkitError(
                f"{path.name}: holds {name}={stored.settings[name]!r}, not {value!r}; train again"
            )
    for name, weight in model.state_dict().items():
        again = stored.state_dict()[name]
        if not torch.allclose(again.double(), weight.double(), rtol=1e-3, atol=1e-6):
            raise SepkitError(f"{path.name}: {name} is not what was trained; train again")


def device_name(device: str) -> str:
    """What the device calls itself."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return device


def main() -> None:
    """What ``make checkpoints-gpu`` runs; the exit code is 1 unless all went as planned."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/checkpoints-gpu"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a dry run of a few steps")
    parser.add_argument("--commit", help="of the code, where it is no checkout")
    arguments = parser.parse_args()
    try:
        device = str(resolve_device(arguments.device))
    except SepkitError as error:
        print_error(error)
        sys.exit(1)
    networks = tuple(map(tiny, NETWORKS)) if arguments.tiny else NETWORKS
    songs = TINY_SONGS if arguments.tiny else SONGS
    with tempfile.TemporaryDirectory(prefix="sepkit-", ignore_cleanup_errors=True) as work:
        run = Run(arguments.out, Path(work), device, networks, songs, commit=arguments.commit)
        good = run.all()
    print_line(f"{arguments.out}: {'complete' if good else 'not complete, see manifest.json'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
