"""``python -m actorio.cli``, for where the script is not on the path."""

from actorio.cli import main

main()
