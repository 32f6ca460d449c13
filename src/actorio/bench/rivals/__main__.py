"""The program of an adapter: `python -m actorio.bench.rivals NAME`."""

from __future__ import annotations

import importlib
import sys

from actorio.bench.rivals.exchange import serve

if __name__ == "__main__":
    # Imported by name, so that its functions and classes have one: other processes of the rival look them up.
    adapter = importlib.import_module(f"actorio.bench.rivals.{sys.argv[1]}")
    serve(adapter.open_sides, getattr(adapter, "SLOWNESS", 1))
