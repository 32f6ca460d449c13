"""The version of the protocol: processes of one session speak the same."""

VERSION = 2
