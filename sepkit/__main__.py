"""The command ``sepkit``, also as ``python -m sepkit``."""

from . import interruption


def main():
    """Run the command; Ctrl-C is heard before anything heavy is imported."""
    interruption.watch()
    from .cli import main as run

    with interruption.ending():
        run()


if __name__ == "__main__":
    main()
