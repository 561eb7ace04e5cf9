"""The command ``sepkit``. `commands` holds what can be typed; the other files, what they share."""

from .commands import app, main

__all__ = ["app", "main"]
