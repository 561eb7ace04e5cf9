"""How a batch grows with its workers: by simulation, from what one job was measured to take.

    python tests/bench/bench_scaling.py [--songs 50 --systems 30 --seeds 8] [--jobs 200]

50 songs x 30 systems x 8 seeds are 12,000 jobs: one song, separated by one system and scored. A
scheduler hands them out one after the other, which takes `overhead` seconds each, and a worker
asks for the next when it is done. `overhead` is measured on a Dask cluster of two local processes,
with jobs that do nothing. Shares of an array are dealt beforehand, by estimates.
"""

import argparse
import heapq
import random
import tempfile
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from sepkit.reproduce import batch
from sepkit.reproduce.grid import Grid
from sepkit.runtime import cluster
from sepkit.runtime.shares import dealt

WORKERS = (1, 2, 4, 8, 16, 32, 64)
#: Seconds of a job, by how much a system costs: from a mask to an ensemble, on one core, for a
#: song of four minutes. Assumed, not measured.
SECONDS = (20.0, 200.0)


def simulate(seconds, workers, overhead):
    """Seconds until all jobs are done, each by the first worker that is free.

    The scheduler is one more worker that all jobs pass: it hands out one at a time.
    """
    free, hands = [0.0] * workers, 0.0
    for need in sorted(seconds, reverse=True):
        begun = max(heapq.heappop(free), hands)
        hands = begun + overhead
        heapq.heappush(free, hands + need)
    return max(free)


def jobs_of(songs, systems, seeds, rng):
    """Seconds of every job: a song's length times a system's cost."""
    lengths = [rng.uniform(0.6, 1.6) for _ in range(songs)]
    low, high = SECONDS
    costs = [low * (high / low) ** rng.random() for _ in range(systems)]
    return [length * cost for length in lengths for cost in costs for _ in range(seeds)]


def nothing():
    """A job that takes no time."""


def measured_overhead(jobs):
    """Seconds a job by which a Dask cluster of two local processes is slower than no work."""
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        address = local.scheduler_address
        list(cluster.run_jobs([nothing] * 4, address, str))
        began = time.perf_counter()
        list(cluster.run_jobs([nothing] * 4, address, str))
        start = time.perf_counter() - began
        began = time.perf_counter()
        list(cluster.run_jobs([nothing] * jobs, address, str))
        return (time.perf_counter() - began - start) / (jobs - 4)


def empty_chapter():
    """Seconds that a chapter without content takes in a batch."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        parameters = "profile = weights = data = device = seed = out_dir = None"
        cell = new_code_cell(parameters, metadata={"tags": ["parameters"]})
        nbformat.write(new_notebook(cells=[cell]), root / "01_empty.ipynb")
        (root / "songs").mkdir()
        given = dict(data=[folder], device="cpu", seeds=range(2), profile="smoke")
        grid = Grid(**given, out=root / "out", notebooks=root)
        began = time.perf_counter()
        batch.run(grid, workers=1)
        return (time.perf_counter() - began) / 2


def shared(seconds, workers, rng, spread=0.3):
    """Seconds until the last of as many shares ends, dealt by estimates that are off by 30 %."""
    jobs = [(need, need * rng.lognormvariate(0.0, spread)) for need in seconds]
    shares = (dealt(jobs, f"{n}/{workers}", lambda job: job[1]) for n in range(1, workers + 1))
    return max(sum(need for need, _ in share) for share in shares)


def show(what, seconds, end_of):
    """Print time, speed-up and how busy the workers are."""
    print(f"\n{what}\n{'workers':>8s}{'hours':>9s}{'speed-up':>10s}{'busy':>7s}")
    for workers in WORKERS:
        end = end_of(workers)
        speed = sum(seconds) / end
        print(f"{workers:8d}{end / 3600:9.2f}{speed:10.1f}{speed / workers:7.0%}")


def main():
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("songs", 50), ("systems", 30), ("seeds", 8), ("jobs", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    rng = random.Random(0)
    songs = jobs_of(options.songs, options.systems, options.seeds, rng)
    excerpts = [need * 7 / 240 for need in songs]
    overhead = measured_overhead(options.jobs)
    print(f"{len(songs)} jobs; Dask takes {overhead * 1000:.1f} ms a job, as measured here;")
    print(f"a chapter without content takes {empty_chapter():.1f} s in a batch")
    for what, jobs in (("songs", songs), ("excerpts of 7 s", excerpts)):
        mean = sum(jobs) / len(jobs)
        show(
            f"{what}, {mean:.1f} s a job, on a cluster; it stops growing at "
            f"{mean / overhead:,.0f} workers",
            jobs,
            lambda workers, jobs=jobs: simulate(jobs, workers, overhead),
        )
    show("songs, in shares of an array", songs, lambda workers: shared(songs, workers, rng))


if __name__ == "__main__":
    main()
