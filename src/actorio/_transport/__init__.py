"""Sockets, peer credentials, descriptors: what the operating system gives, and nothing of what is said over it."""
