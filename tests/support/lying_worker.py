#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker program for shmdispatch that breaks one rule of the protocol.

It is inverting_worker.py, but for one thing that is wrong in what it sends for
each frame after its first one (`version`: when it starts), or sends instead.

Usage: shmdispatch stage=identity worker-command="python3 lying_worker.py LIE"
"""

import struct
import sys

import inverting_worker as honest

HUGE = 1 << 40
EVENT_SEQUENCE = 2
EOS = 28174

META_VIDEO, META_LAYOUT, GRAY8, ONE_FIELD = 1, 2, 25, 1 << 23
BUFFER_RECORD = struct.Struct('=5QII')
# Twice the lines that are there: 8 x 16 in 64 bytes.
TALL_LAYOUT = struct.pack('=2Ii3I4Q4i', GRAY8, 0, 0, 8, 16, 1,
                          0, 0, 0, 0, 8, 0, 0, 0)

# What the true value becomes, for each field of a report and of a memory.
OF_REPORT = {
    'number': lambda value: value + 1,
    'sequence': lambda value: value + 1,
    'start_ns': lambda value: 0,
    'end_ns': lambda value: (1 << 63) - 1,
    'flow': lambda value: 1,
    'flags': lambda value: 1 << 31,
    'copied_buffers': lambda value: (1 << 32) - 1,
    'copied_bytes': lambda value: (1 << 64) - 1,
    'payload_bytes': lambda value: honest.MAX_PAYLOAD + 1,
}
OF_MEMORY = {
    'slot': lambda value: 1000,
    'generation': lambda value: value + 1,
    'offset': lambda value: HUGE,
    'bytes': lambda value: HUGE,
    'memory-flags': lambda value: 1,
}
# What may be said, but not without a reason.
FLOWS = {'fails': honest.FLOW_ERROR, 'refuses': -4, 'flushes': -2}
KEEPS_INPUTS = 4
# What is added to the payload.
MORE_PAYLOAD = {
    'list': b'no field',
    'event': honest.field(honest.P_EVENT, b'no event'),
    'end': honest.field(honest.P_EVENT, honest.field(honest.EVENT_TYPE, EOS)
                        + honest.field(EVENT_SEQUENCE, 1)),
    'meta': honest.field(honest.P_META, honest.field(honest.META_KIND, 99)),
    'one-field': honest.field(honest.P_META,
                              honest.field(honest.META_KIND, META_VIDEO)
                              + honest.field(META_LAYOUT, TALL_LAYOUT)),
}

(BUS, NEED_SLOT, ENTER_EPOCH, LEAVE_EPOCH, BIND_EPOCH, CLOSE_EPOCH, PAD_QUERY,
 PAD_EVENT, PIN_EPOCH, INPUTS_RELEASED) = (34, 36, 37, 38, 39, 40, 41, 42, 43,
                                           45)
F_VALUE, F_CAPS, F_QUERY = 7, 15, 18
EPOCH = honest.field(honest.F_EPOCH_ID, 1)
RANGE = 'video/x-raw,width=[1,2]'
NO_EPOCH = honest.field(honest.F_EPOCH_ID, 1000)
# What is sent in the place of a report.
MESSAGES = {
    'bus': (BUS, honest.field(F_VALUE, b'no message')),
    'need-slot': (NEED_SLOT,),
    'enter': (ENTER_EPOCH,),
    'leave': (LEAVE_EPOCH, NO_EPOCH),
    'close': (CLOSE_EPOCH, NO_EPOCH),
    'bind': (BIND_EPOCH, EPOCH, honest.field(F_CAPS, RANGE)),
    'bind-nothing': (BIND_EPOCH, EPOCH),
    'pin': (PIN_EPOCH, EPOCH, honest.field(F_CAPS, RANGE)),
    'pin-other': (PIN_EPOCH, EPOCH,
                  honest.field(F_CAPS, 'video/x-raw,format=AYUV')),
    'pad-query': (PAD_QUERY, honest.field(F_QUERY, b'no query')),
    'pad-event': (PAD_EVENT, honest.field(honest.F_EVENT, b'no event')),
    'released': (INPUTS_RELEASED, honest.field(honest.F_NUMBER, 1000)),
}


def changed(values, names, lies, lie):
    """`values`, whose names are `names`, but for the one that is the lie."""
    return [lies[lie](value) if name == lie else value
            for name, value in zip(names, values)]


class LyingChannel(honest.Channel):
    def __init__(self, number, lie):
        super().__init__(number)
        self.lie = lie
        self.first_memory = None

    def send(self, kind, *fields, number=0):
        if kind == honest.READY and self.lie == 'version':
            fields = [honest.field(honest.F_VERSION, honest.VERSION + 1)]
        elif kind == honest.REPORT and self.first_memory is None:
            self.first_memory = self.memory_in(fields)
        elif kind == honest.REPORT and self.lie == 'magic':
            self.socket.send(honest.HEADER.pack(0, kind, 0, 0, 0))
            return
        elif kind == honest.REPORT and self.lie in MESSAGES:
            kind, *fields = MESSAGES[self.lie]
            number = 1  # of a request, that is
        elif kind == honest.REPORT and self.lie == 'ready':
            super().send(honest.READY,
                         honest.field(honest.F_VERSION, honest.VERSION))
        elif kind == honest.REPORT:
            fields = self.wrong_report(fields)
        super().send(kind, *fields, number=number)

    @staticmethod
    def memory_in(fields):
        payload = dict(honest.read_fields(b''.join(fields)))[honest.F_PAYLOAD]
        return dict(honest.read_fields(payload))[honest.P_MEMORY]

    def wrong_report(self, fields):
        parts = dict(honest.read_fields(b''.join(fields)))
        report = honest.REPORT_RECORD.unpack(parts[honest.F_DESCRIPTOR])
        names = ('number', 'sequence', 'start_ns', 'end_ns', 'flow', 'flags',
                 'payload_bytes', 'copied_buffers', 'copied_bytes')
        report = changed(report, names, OF_REPORT, self.lie)
        if self.lie == 'keeps':  # and never lets go
            report[names.index('flags')] |= KEEPS_INPUTS
        flow = names.index('flow')
        report[flow] = FLOWS.get(self.lie, report[flow])
        report = honest.REPORT_RECORD.pack(*report)
        payload = b''.join(
            honest.field(tag, self.wrong_part(tag, value))
            for tag, value in honest.read_fields(parts[honest.F_PAYLOAD]))
        payload += MORE_PAYLOAD.get(self.lie, b'')
        if self.lie == 'report':
            report = report[1:]
        return [honest.field(honest.F_DESCRIPTOR, report),
                honest.field(honest.F_PAYLOAD, payload)]

    def wrong_part(self, tag, value):
        if tag == honest.P_MEMORY:
            return self.wrong_memory(value)
        if tag == honest.P_BUFFER and self.lie == 'one-field':
            *times, flags, zero = BUFFER_RECORD.unpack(value)
            return BUFFER_RECORD.pack(*times, flags | ONE_FIELD, zero)
        return value

    def wrong_memory(self, record):
        if self.lie == 'owner':
            return self.first_memory  # downstream has it
        names = ('slot', 'generation', 'offset', 'bytes', 'memory-flags')
        return honest.MEMORY_RECORD.pack(
            *changed(honest.MEMORY_RECORD.unpack(record), names, OF_MEMORY,
                     self.lie))


class LyingWorker(honest.Worker):
    def __init__(self, number, lie):
        super().__init__(number)
        self.channel = LyingChannel(self.channel.socket.detach(), lie)


if __name__ == '__main__':
    honest.run(lambda number: LyingWorker(number, sys.argv[1]), __doc__,
               needs_argument=True)
