"""Fill the peer's catalog through its own code; runs in the peer's environment, not in ours.

    PEER/bin/python fill_peer.py CATALOG ROWS.tsv VECTORS.npy

Each line of ROWS.tsv is a path, its time of change in seconds and its size in bytes.
"""

import sys
from pathlib import Path

import numpy as np
from rclip.db import DB


def main() -> None:
    """Add a row per line."""
    catalog, rows, vectors = (Path(argument) for argument in sys.argv[1:])
    database = DB(catalog)
    lines = rows.read_text(encoding="utf-8").splitlines()
    for line, vector in zip(lines, np.load(vectors), strict=True):
        path, modified_at, size = line.split("\t")
        image = {"filepath": path, "modified_at": float(modified_at), "size": int(size), "hash": path}
        database.upsert_image({**image, "vector": vector.astype(np.float32).tobytes()}, commit=False)
    database.close()


if __name__ == "__main__":
    main()
