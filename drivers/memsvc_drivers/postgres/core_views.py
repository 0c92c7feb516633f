"""The views that people read: columns that Postgres takes out of the bodies when somebody looks.

Generated columns would be written with every row (STORED is all that Postgres 15 has, and virtual ones may not call
what is needed here); and an expression that fails would refuse the row.
"""

from __future__ import annotations

from memsvc_drivers.sql.names import TableNames
from memsvc_drivers.sql.tables import USER, VIEWS, Readable, View

_TIMES = "-210000000000000000 AND 9000000000000000000"
"""About what a timestamp can hold, in microseconds since the epoch."""


def create_views(names: TableNames) -> list[str]:
    """Return the statements that make the views, and the function that they need."""
    return [_function(names), *(_view(view, names) for view in VIEWS)]


def _function(names: TableNames) -> str:
    # JSON may hold NUL, which no text of Postgres may; what is no JSON must not fail the whole query.
    return (
        f"CREATE FUNCTION {names.rows}_json(body text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS '"
        "BEGIN RETURN replace(body, ''\\u0000'', ''\\ufffd'')::jsonb; EXCEPTION WHEN OTHERS THEN RETURN NULL; END'"
    )


def _view(view: View, names: TableNames) -> str:
    columns = [*USER, f"row_id AS {view.row_id}"]
    columns += [f"{_readable(each)} AS {each.name}" for each in view.readable]
    columns += [f"row_group AS {view.group}"] if view.group else []
    columns += [f"row_position AS {view.position}"] if view.position else []
    source = f"{names.rows} CROSS JOIN LATERAL {names.rows}_json(body) AS document"
    where = f"kind = '{view.kind.value}'"
    return f"CREATE VIEW {getattr(names, view.field)} AS SELECT {', '.join(columns)}, body FROM {source} WHERE {where}"  # noqa: S608


def _readable(column: Readable) -> str:
    path = "{" + ",".join(column.path) + "}"
    value = f"document #>> '{path}'"
    if column.is_time or column.is_integer:
        number = f"(document #> '{path}')::numeric"
        if column.is_time:
            safe = f"CASE WHEN {number} BETWEEN {_TIMES} THEN to_timestamp(({number} / 1e6)::float8) END"
        else:
            safe = number
        value = f"CASE jsonb_typeof(document #> '{path}') WHEN 'number' THEN {safe} END"
    if not column.default:
        return value
    return f"coalesce({value}, {column.default if column.is_integer else repr(column.default)})"
