"""Map and reduce with actors: counts the words of texts.

    python examples/patterns/map_reduce.py [FILE ...]

Mappers count the words of a text and deal their counts out to the reducers, by a number made of the word. With
``num_returns`` each part of such a result has a reference of its own, which goes to the reducer that it is for: this
program sees none of the counts.
"""

import sys
import zlib
from collections import Counter
from pathlib import Path

import actorio

REDUCERS = 3
TEXTS = ["the cat sat on the mat", "the dog sat on the cat", "a cat and a dog"]


@actorio.remote
class Mapper:
    @actorio.method(num_returns=REDUCERS)
    def count(self, text):
        parts = [Counter() for _ in range(REDUCERS)]
        for word in text.lower().split():
            parts[zlib.crc32(word.encode()) % REDUCERS][word] += 1
        return parts


@actorio.remote
class Reducer:
    def __init__(self):
        self.counts = Counter()

    def add(self, counts):
        self.counts.update(counts)

    def most_common(self, number):
        return self.counts.most_common(number)


def count_words(texts):
    """Return how often each word is in the texts, the commonest first."""
    mappers = [Mapper.remote() for _ in range(2)]
    reducers = [Reducer.remote() for _ in range(REDUCERS)]
    for number, text in enumerate(texts):
        parts = mappers[number % len(mappers)].count.remote(text)
        for reducer, part in zip(reducers, parts, strict=True):
            reducer.add.remote(part)
    found = actorio.get([reducer.most_common.remote(None) for reducer in reducers])
    return sorted((each for counts in found for each in counts), key=lambda each: (-each[1], each[0]))


if __name__ == "__main__":
    texts = [Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]] or TEXTS
    with actorio.init():
        for word, count in count_words(texts)[:10]:
            print(f"{count:6} {word}")
