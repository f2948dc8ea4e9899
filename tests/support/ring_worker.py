#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker program for shmdispatch that uses the shared memory by hand.

It is inverting_worker.py, but takes its commands from the command region, and
reports through the report region and the bell. Written from
docs/design/worker-protocol.md, to prove that half of the page too. Python has no
atomic operations, but on the machines that this runs on, a store of four bytes
at a multiple of four is one.

Usage: shmdispatch stage=identity worker-command="python3 ring_worker.py [LIE]"
LIE: payload (says that one follows, and sends none), completed (counts a report
too many), each after an honest first frame.
"""

import ctypes
import mmap
import os
import sys
import time

import inverting_worker as honest

TRANSPORT_RING = 0
PAGE = 4096
RING_ENTRIES = 8
REPORT_REGION_BYTES = 525056
# In the command region:
SUBMITTED, DISPATCHER_SLEEPS, RELEASED, RELEASED_SLOTS = 64, 192, 256, 320
COMMANDS, COMMAND_PAYLOADS = 1344, 1856
# In the report region:
COMPLETED, REPORTS, REPORT_PAYLOADS = 192, 256, 768
RECORD = 64
RELEASED_ENTRIES = 256
WRAP = 1 << 32
MESSAGES_BEFORE = 32  # in a command
SYS_FUTEX, FUTEX_WAKE = 202, 1  # on x86-64

libc = ctypes.CDLL(None)


def words(mapping):
    return memoryview(mapping).cast('I')


class RingWorker(honest.Worker):
    def __init__(self, number, lie):
        super().__init__(number)
        self.lie = lie
        self.channel = CountingChannel(self.channel.socket.detach())
        self.taken = 0
        self.released = 0

    def set_up(self, message):
        commands, reports, bell = message.fds
        self.commands_memory = mmap.mmap(
            commands, honest.COMMAND_REGION_BYTES, mmap.MAP_SHARED,
            mmap.PROT_READ)
        self.reports_memory = mmap.mmap(reports, REPORT_REGION_BYTES)
        self.bell_memory = mmap.mmap(bell, PAGE)
        self.command_words = words(self.commands_memory)
        self.report_words = words(self.reports_memory)
        self.bell = words(self.bell_memory)
        at = honest.ABANDONED_END
        self.abandoned_end = memoryview(
            self.commands_memory)[at:at + 8].cast('Q')
        for descriptor in message.fds:
            os.close(descriptor)
        self.number = message.number_of(honest.F_NUMBER)
        self.channel.send(honest.READY,
                          honest.field(honest.F_VERSION, honest.VERSION),
                          honest.field(honest.F_TRANSPORT, TRANSPORT_RING))

    def run(self):
        self.handle(self.channel.receive())
        while True:
            # A futex and a socket cannot be waited for at once without a
            # thread: this looks at both.
            if self.command_words[SUBMITTED // 4] != self.taken % WRAP:
                self.run_next()
            elif self.channel.has_message():
                self.handle(self.channel.receive())
            else:
                time.sleep(0.0005)

    def run_next(self):
        entry = self.taken % RING_ENTRIES
        at = COMMANDS + RECORD * entry
        command = self.commands_memory[at:at + RECORD]
        before = int.from_bytes(command[MESSAGES_BEFORE:MESSAGES_BEFORE + 8],
                                sys.byteorder)
        while self.channel.messages < before:
            self.handle(self.channel.receive())
        _, _, _, flags, size = honest.COMMAND_RECORD.unpack(command)
        if flags & honest.PAYLOAD_FOLLOWS:
            payload = self.commands.popleft().bytes_of(honest.F_PAYLOAD)
        else:
            at = COMMAND_PAYLOADS + honest.MAX_PAYLOAD * entry
            payload = self.commands_memory[at:at + size]
        self.take_released()
        self.run_command(CommandHere(command, payload))

    def take_released(self):
        while self.command_words[RELEASED // 4] != self.released % WRAP:
            at = self.released % RELEASED_ENTRIES
            index = self.command_words[RELEASED_SLOTS // 4 + at]
            self.released += 1
            for slot in self.slots.values():
                if slot.name[0] == index:
                    slot.is_free = True

    def wait_for_release(self):
        if not any(slot.is_result for slot in self.slots.values()):
            raise honest.NoSlot
        seen = self.released
        while seen == self.released:
            time.sleep(0.0005)
            self.take_released()

    def send_report(self, report, payload):
        """In the place of a message."""
        entry = self.taken % RING_ENTRIES
        fields = list(honest.REPORT_RECORD.unpack(report))
        if self.lie == 'payload' and self.taken > 0:
            fields[5] |= honest.PAYLOAD_FOLLOWS
        elif fields[5] & honest.PAYLOAD_FOLLOWS:
            super().send_report(report, payload)
        else:
            at = REPORT_PAYLOADS + honest.MAX_PAYLOAD * entry
            self.reports_memory[at:at + len(payload)] = payload
        at = REPORTS + RECORD * entry
        self.reports_memory[at:at + RECORD] = honest.REPORT_RECORD.pack(*fields)
        self.taken += 1
        too_many = self.lie == 'completed' and self.taken > 1
        self.report_words[COMPLETED // 4] = (self.taken + too_many) % WRAP
        self.ring()

    def ring(self):
        self.bell[0] = (self.bell[0] + 1) % WRAP
        # Always: without a barrier it is not known whether the dispatcher is
        # about to sleep.
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.bell_memory))
        libc.syscall(SYS_FUTEX, ctypes.c_void_p(address), FUTEX_WAKE, 1, None,
                     None, 0)


class CountingChannel(honest.Channel):
    """Knows how many messages have come, requests and replies not counted."""

    def __init__(self, number):
        super().__init__(number)
        self.messages = 0

    def receive(self):
        message = super().receive()
        is_plain = (message.kind != honest.REPLY
                    and message.kind not in honest.REQUESTS_OF_DISPATCHER)
        self.messages += is_plain
        return message

    def has_message(self):
        flags = honest.socket.MSG_PEEK | honest.socket.MSG_DONTWAIT
        try:
            self.socket.recv(1, flags)
        except BlockingIOError:
            return False
        return True


class CommandHere:
    """A command, as if it had come as a message."""

    def __init__(self, command, payload):
        self.fields = {honest.F_DESCRIPTOR: command, honest.F_PAYLOAD: payload}

    def bytes_of(self, tag):
        return self.fields[tag]


if __name__ == '__main__':
    honest.run(lambda number: RingWorker(number, *(sys.argv[1:2] or [None])),
               __doc__)
