"""The benchmark harness: `actorio bench`. It is a user of the public names, and no actor imports it."""
