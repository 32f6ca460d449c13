"""Large values, in memory that all processes of a session can map: written once, read without a copy."""
