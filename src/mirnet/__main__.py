"""``python -m mirnet`` is the command ``mirnet``."""

from __future__ import annotations

import sys

from mirnet.cli.app import main

sys.exit(main())
