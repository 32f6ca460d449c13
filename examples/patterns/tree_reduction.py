"""A tree of tasks: each adds two results of others, and is given references to them.

    python examples/patterns/tree_reduction.py [TASKS]

The values never come to this program, only the last one does: a reference that is an argument is resolved on the way.
"""

import sys

import actorio


@actorio.remote
def square(number):
    return number * number


@actorio.remote
def add(left, right):
    return left + right


def reduce(refs):
    """Add up results two by two, until there is one."""
    while len(refs) > 1:
        rest = refs[len(refs) - len(refs) % 2 :]
        refs = [add.remote(left, right) for left, right in zip(refs[::2], refs[1::2])] + rest
    return refs[0]


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with actorio.init():
        total = actorio.get(reduce([square.remote(number) for number in range(count)]))
    print(f"the sum of the first {count} squares is {total}")
    assert total == (count - 1) * count * (2 * count - 1) // 6
