#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker program for shmdispatch that looks for regions, as a detector does.

It is inverting_worker.py, but it also takes the regions of interest of a frame
away and puts one of the type `found` in their place.

Usage: shmdispatch stage=identity worker-command="python3 region_worker.py"
"""

import struct

import inverting_worker as honest

META_REGION = 3
F_REGION = 7
REGION_RECORD = struct.Struct('=iiIIII')
FOUND = (7, -1, 1, 2, 3, 4)  # id, its parent's, x, y, width, height


def is_region(tag, value):
    return tag == honest.P_META and any(
        each == honest.META_KIND and honest.number_in(number) == META_REGION
        for each, number in honest.read_fields(value))


class RegionWorker(honest.Worker):
    def add_parts(self, following, result):
        super().add_parts(
            [part for part in following if not is_region(*part)], result)
        result.fields.append(honest.field(honest.P_META, b''.join([
            honest.field(honest.META_KIND, META_REGION),
            honest.field(F_REGION, REGION_RECORD.pack(*FOUND)),
            honest.field(honest.META_NAME, 'found'),
        ])))


if __name__ == '__main__':
    honest.run(RegionWorker, __doc__)
