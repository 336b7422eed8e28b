"""codex's config.toml for LiteLLM, as an inline script writes it."""

import os
import sys
import tempfile
import tomllib

home, base_url = sys.argv[1:]
path = os.path.join(home, "config.toml")
try:
    with open(path, "rb") as file:
        tomllib.load(file)
except FileNotFoundError:
    pass
fd, new = tempfile.mkstemp(dir=home)
with os.fdopen(fd, "w", encoding="utf-8") as file:
    file.write(
        f'model_provider = "litellm"\n\n[model_providers.litellm]\nname = "LiteLLM"\n'
        f'base_url = "{base_url}"\nenv_key = "LITELLM_API_KEY"\nwire_api = "responses"\n'
    )
    file.flush()
    os.fsync(fd)
os.rename(new, path)
directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
os.fsync(directory)
os.close(directory)
