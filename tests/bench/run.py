"""Run the benchmarks: every ``bench_*.py`` of this folder, or those named.

    python tests/bench/run.py [stft metrics ...]

A benchmark is a script that prints one table: medians over repetitions, and
ratios to peers that are installed, measured in one run on one machine.
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names):
    """Run them one after another (they share the cores); the number of those that failed."""
    scripts = sorted(HERE.glob("bench_*.py"))
    known = {script.stem.removeprefix("bench_"): script for script in scripts}
    for name in names:
        if name not in known:
            sys.exit(
                f"bench: unknown benchmark {name!r}: choose from {', '.join(known) or 'none yet'}"
            )
    failed = 0
    for name, script in known.items():
        if names and name not in names:
            continue
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        code = subprocess.run([sys.executable, str(script)], cwd=HERE.parent.parent).returncode
        failed += code != 0
        print(
            f"   {time.perf_counter() - began:.0f} s"
            f"{'' if code == 0 else f', FAILED with exit code {code}'}\n",
            flush=True,
        )
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
