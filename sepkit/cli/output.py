"""What every command does alike: errors in one line with an exit code, and JSON for programs."""

import functools
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from ..console import print_error, print_line, print_note
from ..files import jsonable
from ..runtime import interruption


def errors_in_one_line(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a command raises into one line on stderr and an exit code.

    1 for errors, 130 for Ctrl-C. With ``--debug`` (or ``SEPKIT_DEBUG=1``) the
    exception goes through, with its traceback.
    """

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            with interruption.work(), warnings.catch_warnings():
                warnings.showwarning = _print_warning
                return command(*args, **kwargs)
        except KeyboardInterrupt as stop:
            interruption.tell(str(stop))
            raise typer.Exit(130) from None
        except typer.Exit:
            raise
        except BrokenPipeError:  # the reader, such as head, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except Exception as error:
            if interruption.signalled():  # Ctrl-C amid an import: compiled modules raise their own
                interruption.tell()
                raise typer.Exit(130) from None
            debug = os.environ.get("SEPKIT_DEBUG", "0") not in ("", "0")
            if debug or type(error).__module__.startswith("typer"):
                raise
            print_error(error)
            raise typer.Exit(1) from None

    return wrapped


def _print_warning(message, category, filename, lineno, file=None, line=None):
    """A warning of ours in one line; those of others as Python shows them."""
    if category.__module__.startswith("sepkit"):
        print_note(message)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        typer.echo(text, err=True, nl=False)


def print_json(value: object) -> None:
    """JSON on stdout, NaN as null, for other programs to read."""
    print_line(json.dumps(jsonable(value), indent=1, ensure_ascii=False))
