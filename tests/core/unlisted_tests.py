#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that every tests/**/*.cpp is named in a meson.build.

A test that no one builds would pass for ever. A file is named, with or without
its ending, in the meson.build of its folder or of one above, there with its
path.

Usage: unlisted_tests.py ROOT
"""

import pathlib
import re
import sys

QUOTED = re.compile(r"'([^']*)'")
COMMENT = re.compile(r'^\s*#.*$', re.MULTILINE)


def names_in(build_file):
    if not build_file.exists():
        return set()
    return set(QUOTED.findall(COMMENT.sub('', build_file.read_text('utf-8'))))


def is_listed(source, root):
    folder = source.parent
    while True:
        name = source.relative_to(folder).as_posix()
        if {name, name[:-len('.cpp')]} & names_in(folder / 'meson.build'):
            return True
        if folder == root:
            return False
        folder = folder.parent


def main():
    root = pathlib.Path(sys.argv[1])
    sources = sorted((root / 'tests').rglob('*.cpp'))
    unlisted = [source for source in sources if not is_listed(source, root)]
    for source in unlisted:
        print(f'{source.relative_to(root)}: named in no meson.build')
    return 1 if unlisted or not sources else 0


if __name__ == '__main__':
    sys.exit(main())
