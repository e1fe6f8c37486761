"""The command ``mirnet``, which is ``python -m mirnet`` too.

It imports nothing before it can tell of Ctrl-C: most of the first tenth of a second goes by while
the command line is imported.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the exit status is 130 if it was interrupted, even while it loads."""
    try:
        from mirnet.cli.app import main as run  # noqa: PLC0415

        return run()
    except KeyboardInterrupt:
        print("mirnet: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
