"""A table of the accounts on the volume, as an inline script prints it."""

import base64
import json
import os
import re
import sys
import time

volume = sys.argv[1]


def read(name):
    try:
        with open(os.path.join(volume, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


active = read("auth.json").get("account_id")
read("rotator_state.json")
found = (re.fullmatch(r"auth-(\d+)\.json", name) for name in os.listdir(volume))
for slot in sorted(int(match[1]) for match in found if match):
    tokens = read(f"auth-{slot}.json")["tokens"]
    email = claims(tokens["id_token"])["email"]
    ends = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(claims(tokens["access_token"])["exp"]))
    state = "active" if tokens["account_id"] == active else "ready"
    print(f"{slot:<4}  {email[0]}…{email[email.index('@'):]:<20}  {state:<8}  {ends}")
