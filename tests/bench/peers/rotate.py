"""One pass of a rotator as an inline script writes it: reads the logins, takes the next, publishes it, remembers it."""

import base64
import fcntl
import json
import os
import re
import sys
import tempfile
import time

volume = sys.argv[1]


def read(name):
    try:
        with open(os.path.join(volume, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def replace(name, content):
    fd, new = tempfile.mkstemp(dir=volume)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(fd)
    os.rename(new, os.path.join(volume, name))
    directory = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


lock = os.open(os.path.join(volume, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
now = time.time()
found = (re.fullmatch(r"auth-(\d+)\.json", name) for name in os.listdir(volume))
slots = sorted(int(match[1]) for match in found if match)
logins = {slot: read(f"auth-{slot}.json")["tokens"] for slot in slots}
state = read("rotator.py.json")
read("auth.json")
usable = [slot for slot in slots if claims(logins[slot]["access_token"])["exp"] > now + 60]
after = [slot for slot in usable if slot > state.get("last", 0)]
chosen = (after or usable)[0]
tokens = logins[chosen]
record = {key: tokens[key] for key in ("access_token", "id_token", "account_id")}
replace("auth.json", {**record, "expires_at": claims(tokens["access_token"])["exp"]})
replace("rotator.py.json", {"last": chosen, "at": now})
try:
    os.remove(os.path.join(volume, "rotate-now"))
except FileNotFoundError:
    pass
print(f"active account-{chosen}", file=sys.stderr)
