"""How long `import mirnet` and `mirnet --help` take: medians over new processes.

python benchmarks/startup.py --runs 21
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

TIMED_IMPORT = "import time; t = time.perf_counter(); import mirnet; print(time.perf_counter() - t)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    runs = parser.parse_args().runs
    imports = [import_seconds() for _ in range(runs)]
    helps = [seconds_of("-m", "mirnet.cli.app", "--help") for _ in range(runs)]
    bare = [seconds_of("-c", "") for _ in range(runs)]
    print(f"import mirnet        {statistics.median(imports):.3f} s")
    print(f"mirnet --help        {statistics.median(helps):.3f} s")
    print(f"of which Python's own start {statistics.median(bare):.3f} s")


def import_seconds() -> float:
    """What the statement takes in a process that has imported nothing yet."""
    command = [sys.executable, "-c", TIMED_IMPORT]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds_of(*arguments: str) -> float:
    """From the start of a new Python process to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
