"""Where things lie in a checkout."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The top of the checkout: services run with it as their working directory."""

PYTHON = Path(sys.executable)
LAUNCHER = Path(__file__).with_name("launch.py")
