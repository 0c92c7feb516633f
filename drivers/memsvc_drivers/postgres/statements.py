"""The SQL of the Postgres driver, to be run on raw connections. It is compiled from `postgres.core`; see there.

Values are given by position, in the order that a statement's docstring names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from memsvc.storage.driver import RowKind
from memsvc_drivers.sql.names import TableNames
from memsvc_drivers.sql.statements import KIND_MARK, Page, read_statements

COMPILED = "postgres/statements.json"
"""The file in this package."""


class AppendShape(NamedTuple):
    """What the items of a batch need. What none of them needs would cost every batch."""

    alone: bool
    """It is one item, and erases nothing."""
    begins: bool
    """Some start a journal."""
    continues: bool
    """Some go on with one."""
    deletes: bool
    """Some delete rows."""
    erases: bool
    """Some erase their user; these statements can do all the rest as well."""

    @property
    def name(self) -> str:
        """Its key in `Compiled.appends`."""
        return "erases" if self.erases else " ".join(name for name, needed in self._asdict().items() if needed)

    @property
    def is_possible(self) -> bool:
        """Whether a batch can be of this shape."""
        if self.alone:
            return self.begins is not self.continues and not self.erases
        return self.begins or self.continues


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """The statements, as they are compiled. Rows are read as row_id, body, row_group, row_position."""

    create: Sequence[str]
    """What makes an empty store, one by one."""

    read_meta: str
    """name"""
    write_meta: str
    """name, value"""

    appends: Mapping[str, str]
    """By `AppendShape.name`. Arrays; of items: namespace, user_id, first seq, last seq, last nonce, due, erased, and
    where some continue, seq before, nonce before; of records: item, seq, nonce, kind, time, body; of rows put: item,
    kind, row_id, group, position, body; where some are deleted, of those: item, kind, row_id. Answers the numbers of
    the items applied, from 1. Where one is alone: namespace, user_id, first seq if it begins, last seq, last nonce,
    due, and if it continues seq before, nonce before, none of them an array; then the same arrays but for `item`"""

    tip: str
    """namespace, user_id"""
    tips: str
    """namespaces, user_ids; read as number (from 1), seq, nonce"""
    load: str
    """namespace, user_id, kinds; read as kind (NULL: memory) and row (group NULL: none); of kind "", the first, is the
    tip: its nonce the row_id, its seq the position"""
    records: str
    """namespace, user_id, after, limit; read as floor and a record, which is NULL where there is none"""
    row: str
    """namespace, user_id, kind, row_ids"""
    pages: Mapping[str, str]
    """By `Page.name`: namespace, user_id, of group, after, before what is given, limit"""
    due: str
    """before, limit"""
    users: str
    """namespace, after, limit"""
    first_scopes: str
    """limit"""
    scopes: str
    """namespace and user_id of the one before, limit"""

    truncate: str
    """namespace, user_id, floor"""
    redact: str
    """namespace, user_id, seqs, old bodies, new bodies; read as the seqs replaced"""
    remove_all_rows: str
    """namespace, user_id"""
    put_rows: str
    """namespace, user_id, arrays: kind, row_id, group, position, body"""

    def page(self, kind: RowKind, page: Page) -> str:
        """Return the statement for a page of this kind's rows."""
        return self.pages[page.name].replace(KIND_MARK, kind.value)


class Statements(Compiled, frozen=True, kw_only=True):
    """The statements of one store."""

    names: TableNames

    def of_a_primary(self) -> Statements:
        """Return these with reads that a standby refuses as it refuses writes, with SQLSTATE 25006.

        A statement that could write is refused before it begins; one that changes no row costs the primary no write.
        """
        guard = f'WITH primary_only AS (UPDATE "{self.names.heads}" SET seq = seq WHERE false) '  # noqa: S608
        guarded = {name: guard + getattr(self, name) for name in _READS}
        pages = {name: guard + page for name, page in self.pages.items()}
        return msgspec.structs.replace(self, **guarded, pages=pages)


_READS = ("read_meta", "tip", "tips", "load", "records", "row", "due", "users", "first_scopes", "scopes")


@cache
def statements_for(names: TableNames) -> Statements:
    """Return the statements for tables of these names."""
    compiled = read_statements(COMPILED, Compiled, names)
    return Statements(names=names, **msgspec.structs.asdict(compiled))
