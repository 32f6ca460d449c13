"""A parameter server: one actor has the parameters, others compute gradients on their part of the data.

    python examples/patterns/parameter_server.py

Fits a line to points. The workers do not wait for each other: whoever is done sends his gradient and gets the
parameters as they are by then.
"""

import random

import actorio

SLOPE, OFFSET = 3.0, -1.0
ROUNDS, RATE = 200, 0.1


@actorio.remote
class ParameterServer:
    def __init__(self):
        self.slope = self.offset = 0.0

    def apply(self, gradient):
        slope, offset = gradient
        self.slope -= RATE * slope
        self.offset -= RATE * offset
        return self.get()

    def get(self):
        return self.slope, self.offset


@actorio.remote
class Worker:
    def __init__(self, seed):
        generator = random.Random(seed)
        inputs = [generator.uniform(-1, 1) for _ in range(100)]
        self.points = [(x, SLOPE * x + OFFSET) for x in inputs]

    def train(self, server):
        slope, offset = actorio.get(server.get.remote())
        for _ in range(ROUNDS):
            slope, offset = actorio.get(server.apply.remote(self.gradient(slope, offset)))

    def gradient(self, slope, offset):
        errors = [(slope * x + offset - y, x) for x, y in self.points]
        return sum(error * x for error, x in errors) / len(errors), sum(error for error, _ in errors) / len(errors)


if __name__ == "__main__":
    with actorio.init():
        server = ParameterServer.remote()
        workers = [Worker.remote(seed) for seed in range(4)]
        actorio.get([worker.train.remote(server) for worker in workers])
        slope, offset = actorio.get(server.get.remote())
    print(f"y = {slope:.2f} x {offset:+.2f}")
