# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a page shows beside a trace: pictures of some frames, and a table that somebody made.

Failure: ExtraError names the file and what it should be.
"""

import base64
import dataclasses
import json
import pathlib
import re
from typing import Any

KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


class ExtraError(Exception):
    """What is wrong with a picture folder or a table."""


def pictures(folder: str) -> dict[int, str]:
    """Data URIs of the pictures of a folder, by the frame number in their names."""
    if not folder:
        return {}
    if not pathlib.Path(folder).is_dir():
        raise ExtraError(f"--pictures: no such folder: {folder}")
    found: dict[int, str] = {}
    for path in sorted(pathlib.Path(folder).iterdir()):
        number = re.search(r"(\d+)$", path.stem)
        if path.suffix.lower() in KINDS and number:
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            found[int(number[1])] = f"data:{KINDS[path.suffix.lower()]};base64,{data}"
    if not found:
        raise ExtraError(f"--pictures: {folder} has no JPEG or PNG files that are named by frame "
                         "number, such as 412.jpg")
    return found


@dataclasses.dataclass
class Table:
    columns: list[str]
    rows: list[tuple[str, list[str]]]  # what it is, and its value in each column
    note: str = ""


def table(path: str) -> Table:
    try:
        read = json.loads(pathlib.Path(path).read_text("utf-8"))
    except OSError as error:
        raise ExtraError(f"--table: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ExtraError(f"--table: {path} is no JSON: {error}") from error
    try:
        return checked_table(read)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ExtraError(f"--table: {path} is to be {{\"columns\": [NAME, …], \"rows\": "
                         f"[{{\"label\": TEXT, \"values\": [one for each column]}}, …]}}: "
                         f"{error!r}") from error


def checked_table(read: Any) -> Table:
    columns = [str(column) for column in read["columns"]]
    rows = [(str(row["label"]), [str(value) for value in row["values"]]) for row in read["rows"]]
    for label, values in rows:
        if len(values) != len(columns):
            raise ValueError(f"row '{label}' has {len(values)} values for {len(columns)} columns")
    return Table(columns, rows, str(read.get("note", "")))
