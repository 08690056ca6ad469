"""Pieces of a pull put together into pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.base import Page, Reject, Whole
from mapping.errors import ProtocolError
from mapping.records import Record


@dataclass(slots=True)
class Piece:
    """A part of a pull, and the cursor once it is stored."""

    cursor: str = ""
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    whole: list[Whole] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)

    def add(self, read: Record | Reject) -> bool:
        """Take in what was read; whether it could be."""
        if isinstance(read, Record):
            self.records.append(read)
            return True
        self.rejects.append(read)
        return False

    @property
    def size(self) -> int:
        """How many rows it holds."""
        return len(self.records) + len(self.rejects)

    def join(self, other: Piece) -> None:
        """Take in the piece that follows."""
        self.cursor = other.cursor
        self.records += other.records
        self.rejects += other.rejects
        self.whole += other.whole
        self.forget += other.forget

    def page(self, complete_until: int | None = None) -> Page:
        """As a page."""
        return Page(
            self.records,
            self.rejects,
            self.cursor,
            complete_until=complete_until,
            forget=self.forget,
            whole=self.whole,
        )


def paged(
    pieces: Iterator[Piece], size: int, most: int, complete_until: int, name: str
) -> Iterator[Page]:
    """Pages of up to ``size`` rows (one piece may hold more); the last one says it is complete.

    Raises:
        ProtocolError: there are more than ``most``.
    """
    held = next(pieces)
    pages = 1
    for piece in pieces:
        if held.size and held.size + piece.size > size:
            if pages == most:
                raise ProtocolError(
                    f"{name}: the export did not end within max_pages ({most}); raise max_pages or"
                    " page_size"
                )
            yield held.page()
            pages += 1
            held = piece
        else:
            held.join(piece)
    yield held.page(complete_until)
