#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that the page of the worker protocol has the numbers of its header.

Whoever writes a worker from the page finds out late, and hardly, that a number
in it is wrong. Every enumerator of core/worker_protocol.h has to be in a row of
a table, beside its number; every offset and size that the header asserts has to
be in the page.

Usage: protocol_page.py ROOT
"""

import pathlib
import re
import sys

ENUM = re.compile(r'enum (?:class )?(\w+)[^{;]*\{(.*?)\};', re.DOTALL)
ENUMERATOR = re.compile(r'(k\w+)\s*=\s*(\d+)U?(?:\s*<<\s*(\d+))?')
ASSERTED = re.compile(r'static_assert\((?:offsetof|sizeof)\([^)]*\) == (\d+)\)')
COMMENT = re.compile(r'//[^\n]*')
# Said in words, in the description of kFieldTransport.
IN_WORDS = {'Transport'}


def enumerators(header):
    for name, body in ENUM.findall(header):
        if name in IN_WORDS:
            continue
        for enumerator, number, shift in ENUMERATOR.findall(body):
            yield enumerator, int(number) << int(shift or 0)


def has_row(page, name, number):
    row = rf'^\|\s*{number}\s*\|[^|\n]*`{name}`'
    return re.search(row, page, re.MULTILINE) is not None


def main():
    root = pathlib.Path(sys.argv[1])
    header = (root / 'gst/core/worker_protocol.h').read_text('utf-8')
    page = (root / 'docs/design/worker-protocol.md').read_text('utf-8')
    header = COMMENT.sub('', header)
    named = list(enumerators(header))
    sizes = ASSERTED.findall(header)
    faults = [f'no row with {number} and {name}' for name, number in named
              if not has_row(page, name, number)]
    faults += [f'no {size}' for size in sizes
               if not re.search(rf'\b{size}\b', page)]
    for fault in faults:
        print(f'docs/design/worker-protocol.md: {fault}')
    return 1 if faults or not named or not sizes else 0


if __name__ == '__main__':
    sys.exit(main())
