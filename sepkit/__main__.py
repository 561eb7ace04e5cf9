"""``python -m sepkit`` is the command ``sepkit``."""

from .cli import main

if __name__ == "__main__":
    main()
