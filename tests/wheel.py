"""What an installed sepkit does in an empty folder: ``python tests/wheel.py``, `make test-wheel`.

The commands work outside a checkout, and the shipped weights travel with the package.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

#: Of the package's assets.
FOLDERS = ("checkpoints", "convergence", "experiments", "reported")
#: No audio travels with the package.
SOUND = {".wav", ".flac", ".mp3", ".ogg", ".mp4", ".sf2"}


def sepkit(*arguments, cwd):
    """Run the installed command; it must succeed and say nothing of a traceback."""
    command = [sys.executable, "-I", "-m", "sepkit", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        where = [sys.executable, "-I", "-c", "import sepkit; print(sepkit.__file__)"]
        installed = Path(subprocess.check_output(where, cwd=folder, text=True).strip())
        assert Path(sys.prefix).resolve() in installed.resolve().parents, installed
        assets = installed.parent / "assets"
        there = {path.relative_to(assets).parts[0] for path in assets.rglob("*") if path.is_file()}
        assert there == {"README.md", "budgets.json", "weights.json", *FOLDERS}, there
        pages = {path.name for path in installed.parent.glob("learn/players.*")}
        assert pages == {"players.py", "players.html", "players.css", "players.js"}, pages
        sound = [path for path in installed.parent.rglob("*") if path.suffix in SOUND]
        assert sound == [], sound
        assert "open-unmix-student" in sepkit("doctor", cwd=folder)
        assert "bsrnn" in sepkit("models", cwd=folder)
        noise = 0.1 * np.random.default_rng(0).standard_normal((44100, 2))
        soundfile.write(Path(folder, "song.wav"), noise, 44100, subtype="FLOAT")
        sepkit("separate", "song.wav", "--out", "stems", "--device", "cpu", cwd=folder)
        stems = [soundfile.read(path)[0] for path in sorted(Path(folder, "stems").rglob("*.wav"))]
        assert len(stems) == 2 and all(stem.shape == noise.shape for stem in stems)
        assert all(np.isfinite(stem).all() and stem.any() for stem in stems)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
