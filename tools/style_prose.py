"""Count habits that make prose hard to read, in Markdown: per 100 sentences, without code, tables and headings."""

from __future__ import annotations

import dataclasses
import re
import typing as t

FENCE = re.compile(r"\s*(```|~~~)")
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
SENTENCE = re.compile(r"(?<=[.!?:])[)*_\"\u201d]*\s+(?=[A-Z`*_\"(\[<0-9])")
WHAT = re.compile(r"\bwhat(?:ever)?\b", re.IGNORECASE)
YOU = re.compile(r"\byou(?:r|rs|rself)?\b", re.IGNORECASE)
LONG = 30


@dataclasses.dataclass
class Count:
    """The habits of one text. ``whats``, ``semicolons`` and ``longs`` are the lines they are on."""

    sentences: int = 0
    you: int = 0
    whats: list[int] = dataclasses.field(default_factory=list)
    semicolons: list[int] = dataclasses.field(default_factory=list)
    longs: list[int] = dataclasses.field(default_factory=list)

    def __add__(self, other: Count) -> Count:
        return Count(
            self.sentences + other.sentences,
            self.you + other.you,
            self.whats + other.whats,
            self.semicolons + other.semicolons,
            self.longs + other.longs,
        )

    def per_hundred(self, number: int) -> float:
        """``number`` per 100 sentences; 0 for a text without sentences."""
        return 100 * number / self.sentences if self.sentences else 0.0


def prose_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Number and text of each line that is neither code nor front matter. A line of code is yielded empty."""
    fenced = indented = False
    before = ""
    in_item = False
    for number, line in enumerate(text.splitlines(), start=1):
        if FENCE.match(line):
            fenced, before = not fenced, ""
            yield number, ""
            continue
        blank = not line.strip()
        if not fenced and not blank:
            in_item = bool(ITEM.match(line)) or (in_item and line[0] == " ")
            # Code in a list item is indented by four more than its text.
            code = line.startswith(" " * 6 if in_item else " " * 4) and not ITEM.match(line)
            indented = code and (indented or not before.strip())
        yield number, "" if fenced or blank or indented else line
        before = line


def paragraphs(text: str) -> t.Iterator[list[tuple[int, str]]]:
    """Paragraphs and list items of a Markdown text, as lines with their numbers."""
    current: list[tuple[int, str]] = []
    for number, line in prose_lines(text):
        skipped = not line.strip() or line.lstrip().startswith(("#", "|", "<"))
        if current and (skipped or ITEM.match(line)):
            yield current
            current = []
        if not skipped:
            current.append((number, ITEM.sub("", line, count=1) if ITEM.match(line) else line))
    if current:
        yield current


def plain(line: str) -> str:
    """A line without inline code and link targets: a word of code counts as one word."""
    line = re.sub(r"`[^`]*`", "`x`", line)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line)


def count(text: str) -> Count:
    """The habits of one Markdown text."""
    result = Count()
    for lines in paragraphs(text):
        start = lines[0][0]
        joined = plain("\n".join(line.strip() for _number, line in lines))
        for found, pattern in ((result.whats, WHAT), (result.semicolons, re.compile(";"))):
            found.extend(start + joined.count("\n", 0, match.start()) for match in pattern.finditer(joined))
        result.you += len(YOU.findall(joined))
        position = 0
        for sentence in SENTENCE.split(joined):
            result.sentences += 1
            position = joined.find(sentence, position)
            if len(sentence.split()) > LONG:
                result.longs.append(start + joined.count("\n", 0, position))
            position += len(sentence)
    return result
