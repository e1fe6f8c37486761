"""The command as it is installed: what happens before its own code is there."""

import subprocess
import sys
import tomllib
from pathlib import Path

INTERRUPTED = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "mirnet.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
"""


def test_an_interrupt_while_the_command_loads_is_one_line() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    module, _, function = project["project"]["scripts"]["mirnet"].partition(":")
    script = f"{INTERRUPTED}\nfrom {module} import {function}\nsys.exit({function}())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "mirnet: interrupted\n")
