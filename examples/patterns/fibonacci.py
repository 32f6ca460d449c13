"""Tasks that run tasks: the Fibonacci numbers, the slow way.

    python examples/patterns/fibonacci.py [N]

Each task waits for two others. While it waits it takes up no place, so that any depth of them can run.
"""

import sys

import actorio


@actorio.remote
def fibonacci(n):
    if n < 2:
        return n
    return sum(actorio.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)]))


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    with actorio.init():
        print(f"fibonacci({n}) = {actorio.get(fibonacci.remote(n))}")
