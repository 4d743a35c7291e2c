"""Running other programs, with a limit on every wait and the output in every complaint."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class LabError(Exception):
    """The lab could not do what was asked; the text says what and, where known, what to try."""


class OverdueError(LabError):
    """A program did not end in its time."""


def run(
    argv: Sequence[str], text: str = "", *, check: bool = True, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run `argv` with `text` on its standard input, both outputs captured."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise OverdueError(f"no end within {seconds:.0f} s: {' '.join(argv)}") from error
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error}") from error
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"exit {done.returncode}: {' '.join(argv)}\n{said}")
    return done


def until(true: Callable[[], bool], what: str, seconds: float = 30.0, every: float = 0.1) -> None:
    """Wait until `true()`; LabError that names `what` when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(every)


@contextmanager
def choosing() -> Iterator[None]:
    """Be the only lab of the machine that takes a subnet or gives one back. The name vanishes with its process."""
    with socket.socket(socket.AF_UNIX) as mutex:
        deadline = time.monotonic() + 30
        while True:
            try:
                mutex.bind("\0runner-preflight-lab-subnet")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise LabError("another lab has been choosing its subnet for 30 s") from None
                time.sleep(0.05)
        yield
