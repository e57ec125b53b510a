"""What a test counted, in one line: pytest keeps it beside the test's name, and `-rP` shows it."""

import sys


def tell(counted: str) -> None:
    """Says it."""
    sys.stdout.write(f"{counted}\n")
