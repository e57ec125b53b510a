"""The second verifier, as whoever downloads the page has it: a file, loaded by its path."""

import importlib.util
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[3] / "docs" / "integrate" / "verify_receipt.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_receipt", PAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SECOND = _load()
