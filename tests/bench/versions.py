"""Print the versions of the peers, in their own environment."""

from importlib import metadata
import json

if __name__ == "__main__":
    print(json.dumps({name: metadata.version(name) for name in ("momonga", "broute-j11", "pyserial")}))
