"""The callback and the check of keys, imported as LiteLLM does it, but with directories of their own: once loaded, the
one writes and the other looks for keys."""

import atexit
import os
import sys
import tempfile
from pathlib import Path

live = tempfile.TemporaryDirectory(prefix="callback.")
atexit.register(live.cleanup)
os.environ["CHATGPT_LIVE_DIR"] = live.name
secret = tempfile.TemporaryDirectory(prefix="agent-keys.")
atexit.register(secret.cleanup)
os.environ["LITELLM_AGENT_KEYS_DIR"] = secret.name
sys.path.append(str(Path(__file__).parents[2] / "charts/codex-podkit/files"))

import agent_keys  # noqa: E402
import rotate_now  # noqa: E402

__all__ = ["agent_keys", "rotate_now"]
