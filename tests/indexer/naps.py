"""What the workers of a test do that is stopped in the middle."""

import time


def nap(seconds: float, _: object) -> str:
    """Rest a while."""
    time.sleep(seconds)
    return "rested"
