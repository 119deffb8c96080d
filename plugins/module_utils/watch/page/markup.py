# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build HTML from text: every text is escaped unless it is :class:`Html`, which only this file makes."""

from __future__ import annotations

import html
import typing as t

_NOT_WORTH_A_FOLD = 3
_EMPTY = frozenset({"meta", "br", "line", "rect", "circle", "path", "polyline"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escaped text. Characters that cannot be seen, or that turn the direction of writing, become their escapes."""
    visible = "".join(each if each.isprintable() else _escape(each) for each in str(value))
    return Html(html.escape(visible, quote=True))


def _escape(character: str) -> str:
    if character in "\n\t":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def tag(element: str, /, *children: t.Any, **attributes: object) -> Html:
    """An element. ``class_`` stands for ``class``, ``_`` in names for ``-``. Attributes that are None are left out."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _EMPTY:
        return Html(f"<{element}{pairs}>" if element in ("meta", "br") else f"<{element}{pairs}/>")
    return Html(f"<{element}{pairs}>{join(children)}</{element}>")


def join(children: t.Iterable[t.Any]) -> Html:
    """Children one after the other; lists are flattened, None is nothing."""
    out = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            out.append(str(child))
        elif isinstance(child, (list, tuple)):
            out.append(str(join(child)))
        else:
            out.append(str(text(child)))
    return Html("".join(out))


def trusted(value: str) -> Html:
    """A constant of this package as HTML, such as the style sheet. Never for text from elsewhere."""
    return Html(value)


def table(caption: str, heads: t.Sequence[str], rows: t.Sequence[t.Sequence[t.Any]], class_: str = "") -> Html:
    """A table that scrolls sideways on a narrow screen; the first cell of each row is its head."""
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", cell, data_label=head) for head, cell in zip(heads[1:], row[1:])],
        )
        for row in rows
    ]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", [tag("th", head, scope="col") for head in heads])),
            tag("tbody", body),
            class_=class_ or None,
        ),
        class_="scroll",
        tabindex="0",
        # Not a region: the tables of several hosts have the same captions, and landmarks need names of their own.
        role="group",
        aria_label=caption,
    )


def folded(items: t.Sequence[t.Any], first: int, draw: t.Callable[[t.Sequence[t.Any]], Html], words: str) -> list[Html]:
    """The ``first`` items, and the others in a fold that a reader opens. A few more are not folded.

    Args:
        draw: draws items, as a table or a list.
        words: the line to open the others by, after their number.
    """
    if len(items) <= first + _NOT_WORTH_A_FOLD:
        return [draw(items)]
    others = tag("details", tag("summary", f"{len(items) - first} {words}"), draw(items[first:]))
    return [draw(items[:first]), others]


def chip(kind: str, words: t.Any) -> Html:
    """A state: its colour, a sign that needs no colour, and its words."""
    signs = {"good": "✓", "warning": "!", "critical": "✕", "info": "i", "none": "?"}
    return tag("span", tag("span", signs[kind], aria_hidden="true", class_="sign"), words, class_=f"chip {kind}")
