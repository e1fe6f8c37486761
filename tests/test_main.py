"""The command as it is installed: what happens before its own code is there, and after it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

INTERRUPTED = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "mirnet.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
"""
ENDING = """
import atexit, sys, types

class Large:
    def __del__(self):
        print("taken apart")

def run():
    kept.append(Large())
    atexit.register(print, "last words", end="")
    print("said", end=" ")
    return {}

kept = []
app = sys.modules["mirnet.cli.app"] = types.ModuleType("mirnet.cli.app")
app.main = run
"""


def test_an_interrupt_while_the_command_loads_is_one_line() -> None:
    done = ended_after(INTERRUPTED)
    assert (done.returncode, done.stderr) == (130, "mirnet: interrupted\n")


@pytest.mark.parametrize("status", [0, 2])
def test_it_ends_with_its_status_and_last_words_and_without_taking_python_apart(
    status: int,
) -> None:
    done = ended_after(ENDING.format(status))
    assert (done.returncode, done.stdout, done.stderr) == (status, "said last words", "")


def test_a_failure_with_a_traceback_ends_as_usual() -> None:
    done = ended_after(ENDING.format("1 / 0"))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "said last words" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_is_lost_at_the_end_is_no_success() -> None:
    done = ended_after("import sys\nsys.stdout = open('/dev/full', 'w')" + ENDING.format(0))
    assert done.returncode == 120
    assert "No space left on device" in done.stderr


def ended_after(script: str) -> subprocess.CompletedProcess[str]:
    """What became of the command, as it is installed, after such a beginning."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    module, _, function = project["project"]["scripts"]["mirnet"].partition(":")
    script = f"{script}\nfrom {module} import {function}\nsys.exit({function}())"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
