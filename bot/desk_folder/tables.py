"""A CSV file of the desk as a connector: read with the desk, answered without any network."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from bot.desk_folder.desk import Table
from bot.desk_folder.files import Folder
from bot.flows.source import Node, Reader, nearest

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?\Z")


def table(name: str, node: Node, reader: Reader, folder: Folder) -> Table | None:
    """`{table: data/orders.csv, key: order_no}`. Faults of the file's content stand at their line in it."""
    found = reader.entries(node, ("table", "key"), f'connector "{name}"', ("table", "key"))
    relative = reader.text(found["table"], "table") if "table" in found else None
    key = reader.text(found["key"], "key") if "key" in found else None
    if relative is None or key is None:
        return None
    if not folder.has(relative):
        reader.fault(found["table"], f'there is no file "{relative}" in the desk folder', "file")
        return None
    text = folder.text(relative)
    if text is None:
        return None
    rows = csv.reader(io.StringIO(text))
    columns = [one.strip() for one in next(rows, [])]
    if key not in columns:
        reader.fault(found["key"], f'the table {relative} has no column "{key}"{nearest(key, columns)}', "value")
        return None
    return Table(name, key, _rows(rows, columns, key, relative, folder), relative)


def _rows(rows: Any, columns: list[str], key: str, relative: str, folder: Folder) -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = {}
    where = folder.name(relative)
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                message = f"{len(cells)} cells, but the first line names {len(columns)} columns"
                folder.faults.add(where, rows.line_num, 1, message, "table")
                continue
            row = {column: cell_value(cell) for column, cell in zip(columns, cells, strict=True)}
            name = cells[columns.index(key)].strip().casefold()
            if name in read:
                folder.faults.add(where, rows.line_num, 1, f'the {key} "{name}" stands twice', "duplicate")
            read[name] = row
    except csv.Error as error:
        folder.faults.add(where, rows.line_num, 1, f"not valid CSV: {error}", "table")
    return read


def cell_value(cell: str) -> Any:
    """Numbers and true/false as such, an empty cell as nothing; `007` and dates stay texts."""
    text = cell.strip()
    if not text:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _NUMBER.match(text):
        return float(text) if "." in text else int(text)
    return text
