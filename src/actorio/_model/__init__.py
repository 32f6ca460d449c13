"""The nouns of the actor model: definitions, options, errors, handles, references and the runtime port.

Nothing here performs input or output, and nothing here imports another room of the package: handles and references are
pickled by everybody, so whatever this room imported, every actor's process would carry.
"""
