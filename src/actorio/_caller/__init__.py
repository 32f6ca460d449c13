"""The calling side, in drivers and actors alike: lanes, pending results, waiting, and the way to the node."""
