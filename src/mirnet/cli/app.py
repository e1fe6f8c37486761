"""The ``mirnet`` command."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from cyclopts import App, CycloptsError

import mirnet
from mirnet.cli.ablate import ablate
from mirnet.cli.check_data import check_data
from mirnet.cli.convert import convert
from mirnet.cli.doctor import doctor
from mirnet.cli.evaluate import evaluate
from mirnet.cli.export import export
from mirnet.cli.prepare import prepare
from mirnet.cli.profile import profile
from mirnet.cli.restore import restore
from mirnet.cli.serve import serve
from mirnet.cli.train import train
from mirnet.cli.watch import watch
from mirnet.cli.weights import weights
from mirnet.environment import cores
from mirnet.errors import MirnetError, one_line

app = App(
    name="mirnet",
    help="Restore noisy photos of any size with MIRNet-v2, and train it.",
    help_epilogue="Every command has its own --help. --debug shows where an error comes from.",
    version=mirnet.__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
COMMANDS = (
    restore, watch, serve, train, evaluate, ablate, check_data, prepare, profile, convert, export,
    weights, doctor,
)  # fmt: skip
for command in COMMANDS:
    app.command(command)


class _TerminatedError(BaseException):
    """A signal asked this process to end; unwinding removes temporary files."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 for a failure, 2 for wrong usage.

    An error is one line on stderr; with ``--debug`` its traceback is shown too.
    """
    if cores() < (os.cpu_count() or 1):
        # Before PyTorch is loaded: it counts the machine's cores, not those of a container's share.
        os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    tokens = [token for token in tokens if token != "--debug"]
    if debug:
        logging.basicConfig()
        logging.getLogger("mirnet").setLevel(logging.DEBUG)
    try:
        with _unwinding():
            status = app(tokens, exit_on_error=False, print_error=False)
            if sys.stdout is not None:  # it was closed by whoever called
                sys.stdout.flush()  # a full disk is told here, and not when Python ends
    except CycloptsError as error:
        return _fail(f"{one_line(error)} See `mirnet --help`.", 2)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MirnetError, OSError) as error:
        if debug:
            raise
        return _fail(_one_line(error), 1)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on", 130)
    except _TerminatedError as error:
        return _fail("terminated; run the same command again to go on", error.status)
    return status if isinstance(status, int) else 0


@contextmanager
def _unwinding() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, by an exception, and not at once.

    PyTorch may put an error of its own in the place of what a handler raised: it is taken back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
    raised: list[BaseException] = []

    def end(number: int, _: object) -> NoReturn:
        raised.append(_TerminatedError(number) if number in ends else KeyboardInterrupt())
        raise raised[-1]

    # Not over what somebody else has set: nohup wants SIGHUP to be ignored.
    before = {
        number: handler
        for number in (*ends, signal.SIGINT)
        if (handler := signal.getsignal(number)) in (signal.SIG_DFL, signal.default_int_handler)
    }
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except Exception as error:
        if raised:
            raise raised[-1] from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _one_line(error: MirnetError | OSError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; check the name, or choose another"
    if isinstance(error, OSError) and error.strerror:  # of a file that is open: the output, mostly
        return f"can't write: {error.strerror}; make room, or write to another place"
    return str(error)


def _fail(message: str, status: int) -> int:
    print(f"mirnet: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
