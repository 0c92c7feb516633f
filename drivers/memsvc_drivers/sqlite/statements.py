"""The SQL of the SQLite driver, to be run on raw connections. It is compiled from `sqlite.core`; see there.

Values are given by position, in the order that a statement's docstring names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from memsvc.storage.driver import RowKind
from memsvc_drivers.sql.names import TableNames
from memsvc_drivers.sql.statements import KIND_MARK, Page, read_statements

COMPILED = "sqlite/statements.json"
"""The file in this package."""
ROWS_AT_ONCE = 16
"""So many rows are read by their ids in one statement: in a third of the time that one by one takes."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """The statements, as they are compiled. Rows are read as row_id, body, row_group, row_position."""

    create: Sequence[str]
    """What makes an empty store, one by one."""

    read_meta: str
    """name"""
    write_meta: str
    """name, value"""
    count_up: str
    """name"""

    tip: str
    """namespace, user_id; read as seq, nonce"""
    extent: str
    """namespace, user_id; read as floor, seq"""
    begin_journal: str
    """namespace, user_id, seq, nonce, floor, due, erased: changes nothing where the user has a head"""
    move_head: str
    """seq, nonce, due, erased, namespace, user_id, seq before, nonce before: the compare-and-set"""
    raise_floor: str
    """floor, namespace, user_id"""
    due: str
    """before, limit"""
    users: str
    """namespace, after, limit"""
    first_scopes: str
    """limit"""
    scopes: str
    """namespace and user_id of the one before, limit"""

    add_record: str
    """namespace, user_id, seq, nonce, kind, time, body"""
    records: str
    """namespace, user_id, after, limit"""
    replace_body: str
    """body, namespace, user_id, seq"""
    drop_records: str
    """namespace, user_id, floor: the records below it"""

    put_row: str
    """namespace, user_id, kind, row_id, group, position, body"""
    remove_row: str
    """namespace, user_id, kind, row_id"""
    remove_rows: str
    """namespace, user_id: all but REQUEST rows"""
    remove_all_rows: str
    """namespace, user_id"""
    rows_of_kind: str
    """namespace, user_id, kind; read as row_id, body, place: "position group", NULL: 0 and none"""
    row: str
    """namespace, user_id, kind, row_id"""
    some_rows: str
    """namespace, user_id, kind, ROWS_AT_ONCE times row_id"""
    pages: Mapping[str, str]
    """By `Page.name`: namespace, user_id (twice), of group, after, before what is given, limit"""

    def page(self, kind: RowKind, page: Page) -> str:
        """Return the statement for a page of this kind's rows."""
        return self.pages[page.name].replace(KIND_MARK, kind.value)


class Statements(Compiled, frozen=True, kw_only=True):
    """The statements of one store."""

    names: TableNames


@cache
def statements_for(names: TableNames) -> Statements:
    """Return the statements for tables of these names."""
    compiled = read_statements(COMPILED, Compiled, names)
    return Statements(names=names, **msgspec.structs.asdict(compiled))
