"""HTML that cannot be forgotten to be escaped: text becomes HTML only here. Pure."""

from __future__ import annotations

import html
import re

_MARKED = re.compile(r"`(?P<code>[^`]+)`|\*(?P<em>[^*]+)\*")


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Makes an element.

    Args:
        name: Its name.
        children: What is in it: elements, and text, which is escaped.
        attributes: Their `_` become `-`, and one at the end is left out: `class_="box"`.
    """
    inside = "".join(f' {_attribute(key)}="{html.escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{inside}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    """Puts elements and text after each other."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def prose(text: str) -> Html:
    """Makes a paragraph of text in which names stand in `backticks`, and words of weight in *asterisks*."""
    parts: list[str] = []
    place = 0
    for mark in _MARKED.finditer(text):
        name = mark.lastgroup or ""
        parts += [text[place : mark.start()], tag(name, mark[name])]
        place = mark.end()
    return tag("p", *parts, text[place:])


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
