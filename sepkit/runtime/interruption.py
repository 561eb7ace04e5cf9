"""Ctrl-C, SIGTERM and SIGHUP end a command soon, once, and in one line.

The first signal is a `KeyboardInterrupt` where a command is at work, so that it can tidy up.
If it has not ended `PATIENCE` seconds later, or at a second signal, it is ended as it stands:
no file has its final name before it is whole. So it is where there is nothing to tidy up,
and where Python could only print the exception: in destructors, in the middle of an import.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

#: Seconds from the first signal to the end.
PATIENCE = 4.0
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class _State:
    watching = working = signalled = announced = postponed = False
    resumes = ""


def watch() -> None:
    """Begin to handle signals, in a process that is a command and nothing else."""
    if _State.watching or threading.current_thread() is not threading.main_thread():
        return
    _State.watching = True
    for number in _numbers():
        # What nohup or a caller has set to be ignored stays ignored.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _on_signal)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(read_end,), daemon=True).start()
    sys.unraisablehook = _unraisable
    atexit.register(_at_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_reset_in_child)


@contextlib.contextmanager
def work() -> Iterator[None]:
    """In here a command is at work: the first signal is a `KeyboardInterrupt`."""
    _State.working, _State.resumes, _State.announced = (
        True,
        "",
        _State.announced and _State.signalled,
    )
    try:
        yield
    finally:
        _State.working = False


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """In here the first signal waits until the end, where it is a `KeyboardInterrupt`.

    Blocking signals in the main thread is not enough: another thread takes them, and Python runs
    their handler in the main one. Elsewhere than in the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _State.postponed = _State.signalled, True
    try:
        yield
    finally:
        _State.postponed = False
    if _State.signalled and not before:
        raise KeyboardInterrupt


def resumes(text: str) -> None:
    """Set what an interruption says from now on: what is kept, and how to resume."""
    _State.resumes = text


def signalled() -> bool:
    """Whether the command that is at work was told to stop."""
    return _State.signalled


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Around the whole command: after an interruption it ends without Python's slow shutdown."""
    try:
        yield
    finally:
        if (
            _State.signalled or _State.announced
        ):  # training handles signals itself, and announces them
            leave()


def tell(text: str = "") -> None:
    """One line on stderr, once: `text`, or what `resumes` was given."""
    if _State.announced:
        return
    _State.announced = True
    why = " ".join(text.split()) or _State.resumes
    with contextlib.suppress(Exception):
        sys.stderr.write("sepkit: interrupted" + (f"; {why}" if why else "") + "\n")
        sys.stderr.flush()


def leave(code: int = 130) -> NoReturn:
    """End this process now, and those that it has started."""
    with contextlib.suppress(Exception):
        # Writing to stderr may block, where nobody reads it.
        threading.Timer(0.5, os._exit, (code,)).start()
    with contextlib.suppress(Exception):
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    if not _State.announced:
        with contextlib.suppress(Exception):
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h\n")  # a progress bar has hidden the cursor
    tell()
    os._exit(code)


def _numbers():
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def _on_signal(number, frame):
    if not _State.working:
        leave()
    if not _State.signalled:  # later ones must not disturb what tidies up; `_listen` ends it
        _State.signalled = True
        if not _State.postponed:
            raise KeyboardInterrupt


def _listen(read_end):
    """In a thread, which gets signals also while the main one computes."""
    count, numbers = 0, _numbers()
    while byte := os.read(read_end, 1):
        if byte[0] not in numbers:
            continue
        count += 1
        if count == 1:
            timer = threading.Timer(PATIENCE, leave)
            timer.daemon = True
            timer.start()
        elif "TORCHELASTIC_RUN_ID" not in os.environ:  # torchrun repeats what we got ourselves
            leave()


def _unraisable(unraisable):
    """Python cannot raise in a destructor or amid an import, and would print pages of traces."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        leave()
    sys.__unraisablehook__(unraisable)


def _at_end():
    """The work is done: a signal during Python's shutdown must not change the exit code."""
    for number in _numbers():
        if signal.getsignal(number) is _on_signal:
            signal.signal(number, signal.SIG_IGN)


def _reset_in_child():
    """A forked process leaves signals to its parent."""
    signal.set_wakeup_fd(-1)
    for number in _numbers():
        if signal.getsignal(number) is _on_signal:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
