"""``python -m actorio``: the command ``actorio``."""

from actorio.cli import main

if __name__ == "__main__":
    main()
