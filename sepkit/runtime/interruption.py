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

#: Seconds from the first signal to the end.
PATIENCE = 4.0
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class _State:
    watching = working = heard = told = False
    resumes = ""


def watch():
    """Begin to listen, in a process that is a command and nothing else."""
    if _State.watching or threading.current_thread() is not threading.main_thread():
        return
    _State.watching = True
    for number in _numbers():
        if signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
        ):  # nohup has its reasons
            signal.signal(number, _heard)
    ears, mouth = os.pipe()
    os.set_blocking(mouth, False)
    signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(ears,), daemon=True).start()
    sys.unraisablehook = _unraisable
    atexit.register(_at_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_deafen)


@contextlib.contextmanager
def work():
    """In here a command is at work: the first signal is a `KeyboardInterrupt`."""
    _State.working, _State.resumes, _State.told = True, "", _State.told and _State.heard
    try:
        yield
    finally:
        _State.working = False


def resumes(text):
    """What to say from now on if the command is interrupted: what is kept, and how to go on."""
    _State.resumes = text


@contextlib.contextmanager
def ending():
    """Around the whole command: what was interrupted ends without Python's own end, which takes its time."""
    try:
        yield
    finally:
        if _State.heard or _State.told:  # training hears signals itself, and tells
            leave()


def tell(text=""):
    """One line on stderr, once: `text`, or what `resumes` was given."""
    if _State.told:
        return
    _State.told = True
    why = " ".join(text.split()) or _State.resumes
    with contextlib.suppress(Exception):
        sys.stderr.write("sepkit: interrupted" + (f"; {why}" if why else "") + "\n")
        sys.stderr.flush()


def leave(code=130):
    """End this process now, and those that it has started."""
    with contextlib.suppress(Exception):
        threading.Timer(
            0.5, os._exit, (code,)
        ).start()  # nobody may be reading what is written here
    with contextlib.suppress(Exception):
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    if not _State.told:
        with contextlib.suppress(Exception):
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h\n")  # a progress bar has hidden the cursor
    tell()
    os._exit(code)


def _numbers():
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def _heard(number, frame):
    if not _State.working:
        leave()
    if not _State.heard:  # later ones must not disturb what tidies up; `_listen` ends it
        _State.heard = True
        raise KeyboardInterrupt


def _listen(ears):
    """In a thread, which hears signals also while the main one computes."""
    count, numbers = 0, _numbers()
    while byte := os.read(ears, 1):
        if byte[0] not in numbers:
            continue
        count += 1
        if count == 1:
            timer = threading.Timer(PATIENCE, leave)
            timer.daemon = True
            timer.start()
        elif (
            "TORCHELASTIC_RUN_ID" not in os.environ
        ):  # torchrun passes on what we have heard ourselves
            leave()


def _unraisable(unraisable):
    """Python cannot raise here and would print pages: in a destructor, or in the middle of an import."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        leave()
    sys.__unraisablehook__(unraisable)


def _at_end():
    """The command has done its work: a signal while Python takes itself apart must not change how it ended."""
    for number in _numbers():
        if signal.getsignal(number) is _heard:
            signal.signal(number, signal.SIG_IGN)


def _deafen():
    """A forked process leaves signals to its parent."""
    signal.set_wakeup_fd(-1)
    for number in _numbers():
        if signal.getsignal(number) is _heard:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
