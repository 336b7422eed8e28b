"""The callback, imported as LiteLLM does it, but with a live directory of its own: it writes from when it is loaded."""

import atexit
import os
import sys
import tempfile
from pathlib import Path

live = tempfile.TemporaryDirectory(prefix="callback.")
atexit.register(live.cleanup)
os.environ["CHATGPT_LIVE_DIR"] = live.name
sys.path.append(str(Path(__file__).parents[2] / "charts/codex-podkit/files"))

import rotate_now  # noqa: E402

__all__ = ["rotate_now"]
