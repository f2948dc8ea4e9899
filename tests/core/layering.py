#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that the layers of gst/ include and call only what they may.

The build enforces most of it (each layer is declared with its dependencies
alone); this finds what compiles all the same: a clock of the standard library
in a decision, a system header, the headers of a layer above.

Usage: layering.py ROOT
"""

import pathlib
import re
import sys

# Headers of the standard library that reach out of the process or start threads.
REACHING_OUT = {
    'cstdio', 'cstdlib', 'ctime', 'csignal', 'filesystem', 'fstream', 'future',
    'iostream', 'random', 'syncstream', 'thread',
}
# Reading a clock, the environment or chance; waiting; the system.
FORBIDDEN_CALL = re.compile(
    r'\b(now|getenv|secure_getenv|time|clock|clock_gettime|gettimeofday|rand|'
    r'random_device|sleep|usleep|nanosleep|sleep_for|sleep_until|system|'
    r'syscall|g_[a-z_]+|gst_[a-z_]+)\s*\(')
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
GLIB_OR_GSTREAMER = re.compile(r'(glib|gio|gobject|gmodule|gst)[-/.]|glib$')


def is_core_header(name):
    return '.' not in name and '/' not in name and name not in REACHING_OUT


def is_os_header(name):
    return not GLIB_OR_GSTREAMER.match(name)


def is_stage_header(name):
    return 'plugins/' not in name


# Folder: own headers it may include, others it may include, whether it may call
# what reaches out.
LAYERS = {
    'gst/core': (('core/',), is_core_header, False),
    'gst/os': (('core/', 'os/'), is_os_header, True),
    'gst/stage': (('core/', 'os/', 'stage/'), is_stage_header, True),
    'gst/process': (('core/', 'os/', 'process/', 'stage/'), is_stage_header,
                    True),
}


def without_comments_and_strings(text):
    return COMMENT_OR_STRING.sub(
        lambda match: re.sub(r'[^\n]', ' ', match.group()), text)


def faults_of(text, own, may_include, may_reach_out):
    """Pairs of a line number and what is wrong in it."""
    for match in INCLUDE.finditer(text):
        quote, name = match.groups()
        allowed = name.startswith(own) if quote == '"' else may_include(name)
        if not allowed:
            yield line_of(text, match.start(1)), f'may not include {name}'
    if may_reach_out:
        return
    for match in FORBIDDEN_CALL.finditer(without_comments_and_strings(text)):
        yield line_of(text, match.start()), f'may not call {match.group(1)}()'


def line_of(text, position):
    return text.count('\n', 0, position) + 1


def main():
    root = pathlib.Path(sys.argv[1])
    faults = 0
    for folder, rules in LAYERS.items():
        paths = sorted((root / folder).rglob('*.[ch]*'))
        if not paths:
            print(f'{folder}: no source found')
            faults += 1
        for path in paths:
            for line, fault in faults_of(path.read_text('utf-8'), *rules):
                print(f'{path.relative_to(root)}:{line}: {fault}')
                faults += 1
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
