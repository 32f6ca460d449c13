"""Actors beside other libraries: ``actorio.contrib.asgi`` for web applications. None is imported unless you do."""
