"""Engines: what runs the actors behind the public API. `local` runs them as processes of this machine."""
