#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker program for shmdispatch in plain Python.

Inverts the bytes of each frame and attaches a custom meta to it. Written from
docs/design/worker-protocol.md, to prove that the page is enough; it takes its
commands by messages, because Python has no atomic operations. Whatever stage
the element is set to is not run: its caps have to stay as they are.

Usage: shmdispatch stage=identity worker-command="python3 inverting_worker.py"
"""

import collections
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import time

try:
    import numpy
except ImportError:
    numpy = None

MAGIC = 0x31574447
VERSION = 1
TRANSPORT_MESSAGES = 1

# Messages.
SETUP, SLOT, SLOT_GONE, STAGE_EVENT, COMMAND, QUIT, RELEASED = (
    1, 2, 3, 9, 10, 11, 12)
READY, REPORT, NEED_SLOT, PAD_EVENT, REPLY = 32, 33, 36, 42, 64
REQUESTS_OF_DISPATCHER = (8, 9)
FIELDS_IN_MEMORY = 1

# Fields of messages.
(F_VERSION, F_NUMBER, F_TEXT, F_SLOT, F_GENERATION, F_BYTES, F_SLOT_CLASS,
 F_EPOCH_ID, F_EVENT, F_RESULT, F_TRANSPORT, F_DESCRIPTOR, F_PAYLOAD) = (
     1, 2, 3, 8, 9, 10, 11, 13, 17, 21, 22, 23, 24)

# Payloads.
P_STATE, P_EVENT, P_LIST_BEGIN, P_LIST_END, P_BUFFER, P_MEMORY, P_META = (
    1, 2, 4, 5, 6, 7, 8)

EVENT_TYPE = 1
STREAM_START, CAPS = 10254, 12814
META_KIND, META_NAME, META_STRUCTURE = 1, 8, 9
META_CUSTOM = 5

CLASS_RESULT = 1
PER_STREAM = 1
PAYLOAD_FOLLOWS = 2
MAX_PAYLOAD = 65536
FLOW_OK, FLOW_ERROR = 0, -5

HEADER = struct.Struct('=IHHII')
FIELD = struct.Struct('=HHI')
NUMBER = struct.Struct('=Q')
COMMAND_RECORD = struct.Struct('=QQqII32x')
REPORT_RECORD = struct.Struct('=QQqqiIIIQ8x')
MEMORY_RECORD = struct.Struct('=IIQQI4x')
MAX_PACKET = 65536
MAX_FDS = 8
ABANDONED_END = 128  # in the command region
COMMAND_REGION_BYTES = 526144

META = 'gst-dispatch-inverted'
INVERTED = bytes(255 - value for value in range(256))


def field(tag, value=b''):
    """One field: a number, a text or bytes."""
    if isinstance(value, int):
        value = NUMBER.pack(value)
    elif isinstance(value, str):
        value = value.encode()
    return FIELD.pack(tag, 0, len(value)) + value + bytes(-len(value) % 8)


def read_fields(data):
    """The fields of a list, as pairs of a tag and bytes."""
    at = 0
    while at < len(data):
        tag, _, size = FIELD.unpack_from(data, at)
        at += FIELD.size
        yield tag, data[at:at + size]
        at += size + -size % 8


def number_in(value):
    return NUMBER.unpack(value)[0]


def type_of(event):
    return next(number_in(value) for tag, value in read_fields(event)
                if tag == EVENT_TYPE)


def invert(source, target):
    if numpy is not None:
        numpy.bitwise_not(numpy.frombuffer(source, numpy.uint8),
                          out=numpy.frombuffer(target, numpy.uint8))
    else:
        target[:] = bytes(source).translate(INVERTED)


def invert_into(slot, at, sources):
    for source in sources:
        with source, slot.view[at:at + len(source)] as target:
            at += len(source)
            invert(source, target)


class Message:
    def __init__(self, kind, number, fields, fds):
        self.kind = kind
        self.id = number
        self.fields = fields
        self.fds = fds

    def bytes_of(self, tag):
        return next((value for each, value in read_fields(self.fields)
                     if each == tag), None)

    def number_of(self, tag):
        value = self.bytes_of(tag)
        return 0 if value is None else number_in(value)


class Channel:
    """Messages over the socket."""

    def __init__(self, number):
        self.socket = socket.socket(fileno=number)

    def send(self, kind, *fields, number=0):
        body = b''.join(fields)
        if HEADER.size + len(body) <= MAX_PACKET:
            self.socket.send(
                HEADER.pack(MAGIC, kind, 0, number, len(body)) + body)
            return
        memory = os.memfd_create('fields', os.MFD_ALLOW_SEALING)
        with open(memory, 'wb') as file:
            file.write(body)
            file.flush()
            fcntl.fcntl(file, fcntl.F_ADD_SEALS,
                        fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            header = HEADER.pack(MAGIC, kind, FIELDS_IN_MEMORY, number,
                                 len(body))
            socket.send_fds(self.socket, [header], [memory])

    def receive(self):
        packet, fds, _, _ = socket.recv_fds(self.socket, MAX_PACKET, MAX_FDS,
                                            socket.MSG_CMSG_CLOEXEC)
        if not packet:
            sys.exit(0)  # the dispatcher is gone
        magic, kind, flags, number, size = HEADER.unpack_from(packet)
        if magic != MAGIC:
            sys.exit('not this protocol')
        fields = packet[HEADER.size:]
        if flags & FIELDS_IN_MEMORY:
            memory = fds.pop(0)
            with mmap.mmap(memory, size, prot=mmap.PROT_READ) as mapping:
                fields = mapping[:size]
            os.close(memory)
        return Message(kind, number, fields, fds)


class Slot:
    """A piece of shared memory, mapped."""

    def __init__(self, message):
        self.name = (message.number_of(F_SLOT), message.number_of(F_GENERATION))
        self.bytes = message.number_of(F_BYTES)
        self.is_result = message.number_of(F_SLOT_CLASS) == CLASS_RESULT
        self.is_free = self.is_result
        protection = mmap.PROT_READ
        if self.is_result:
            protection |= mmap.PROT_WRITE
        self.mapping = mmap.mmap(message.fds[0], self.bytes, mmap.MAP_SHARED,
                                 protection)
        self.view = memoryview(self.mapping)
        os.close(message.fds[0])

    def close(self):
        self.view.release()
        self.mapping.close()


class NoSlot(Exception):
    """There is no room for a result."""


class Abandoned(Exception):
    """Nobody wants the result any more."""


class Result:
    """What a report is to say."""

    def __init__(self):
        self.fields = []
        self.slot = None  # for all buffers of the report
        self.used = 0     # bytes of it
        self.has_caps = False

    def use(self, slot):
        slot.is_free = False
        self.slot = slot

    def take_back(self):
        if self.slot is not None:
            self.slot.is_free = True
        self.__init__()


class Worker:
    def __init__(self, number):
        self.channel = Channel(number)
        self.number = 0
        self.abandoned_end = None
        self.slots = {}  # by name
        self.commands = collections.deque()
        self.last_id = 0
        self.epoch = None
        self.caps_event = None
        self.has_said_caps = False

    def run(self):
        while True:
            if self.commands:
                self.run_command(self.commands.popleft())
            else:
                self.handle(self.channel.receive())

    # ---- Messages

    def handle(self, message):
        if message.kind == SETUP:
            self.set_up(message)
        elif message.kind == SLOT:
            slot = Slot(message)
            self.slots[slot.name] = slot
        elif message.kind == SLOT_GONE:
            self.forget((message.number_of(F_SLOT),
                         message.number_of(F_GENERATION)))
        elif message.kind == RELEASED:
            self.slots[(message.number_of(F_SLOT),
                        message.number_of(F_GENERATION))].is_free = True
        elif message.kind == COMMAND:
            self.commands.append(message)
        elif message.kind == QUIT:
            sys.exit(0)
        elif message.kind == STAGE_EVENT:
            self.pass_upstream(message)
        elif message.kind in REQUESTS_OF_DISPATCHER:
            self.channel.send(REPLY, number=message.id)

    def ask(self, kind, *fields):
        """The reply; what comes before it is handled."""
        self.last_id += 1
        number = self.last_id
        self.channel.send(kind, *fields, number=number)
        while True:
            message = self.channel.receive()
            if message.kind == REPLY and message.id == number:
                return message
            self.handle(message)

    def set_up(self, message):
        commands, reports, bell = message.fds
        region = mmap.mmap(commands, COMMAND_REGION_BYTES, mmap.MAP_SHARED,
                           mmap.PROT_READ)
        # One load of 8 bytes.
        self.abandoned_end = memoryview(region)[
            ABANDONED_END:ABANDONED_END + 8].cast('Q')
        for descriptor in (commands, reports, bell):
            os.close(descriptor)
        self.number = message.number_of(F_NUMBER)
        self.channel.send(READY, field(F_VERSION, VERSION),
                          field(F_TRANSPORT, TRANSPORT_MESSAGES))

    def pass_upstream(self, request):
        event = request.bytes_of(F_EVENT)
        reply = self.ask(PAD_EVENT, field(F_EVENT, event))
        self.channel.send(REPLY,
                          field(F_RESULT, reply.number_of(F_RESULT)),
                          number=request.id)

    # ---- Slots

    def forget(self, name):
        self.slots.pop(name).close()

    def slot_of(self, name):
        """Its message may still be in the socket."""
        while name not in self.slots:
            self.handle(self.channel.receive())
        return self.slots[name]

    def result_slot(self, size):
        while True:
            free = [slot for slot in self.slots.values() if slot.is_free]
            fitting = [slot for slot in free if slot.bytes >= size]
            if fitting:
                return min(fitting, key=lambda slot: slot.bytes)
            if not self.get_slot(size, free):
                self.wait_for_release()

    def get_slot(self, size, too_small):
        fields = [field(F_BYTES, size)]
        for slot in too_small:
            fields.append(field(F_SLOT, slot.name[0]))
            fields.append(field(F_GENERATION, slot.name[1]))
            self.forget(slot.name)
        return self.ask(NEED_SLOT, *fields).number_of(F_RESULT) == 1

    def wait_for_release(self):
        def results():
            return [slot.is_free for slot in self.slots.values()
                    if slot.is_result]

        if not results():
            raise NoSlot
        while not any(results()):
            self.handle(self.channel.receive())

    # ---- Frames

    def run_command(self, message):
        command, sequence, _, flags, _ = COMMAND_RECORD.unpack(
            message.bytes_of(F_DESCRIPTOR))
        start = time.monotonic_ns()
        flow = FLOW_OK
        result = Result()
        try:
            self.run_payload(message.bytes_of(F_PAYLOAD), sequence, flags,
                             result)
        except Abandoned:
            result.take_back()
        except NoSlot:
            result.take_back()
            flow = FLOW_ERROR
        if result.has_caps:
            self.has_said_caps = True
        payload = b''.join(result.fields)
        report_flags = PAYLOAD_FOLLOWS if len(payload) > MAX_PAYLOAD else 0
        report = REPORT_RECORD.pack(command, sequence, start,
                                    time.monotonic_ns(), flow, report_flags,
                                    len(payload), 0, 0)
        self.send_report(report, payload)

    def send_report(self, report, payload):
        self.channel.send(REPORT, field(F_DESCRIPTOR, report),
                          field(F_PAYLOAD, payload))

    def run_payload(self, payload, sequence, flags, result):
        fields = list(read_fields(payload))
        total = sum(MEMORY_RECORD.unpack(value)[3] for tag, value in fields
                    if tag == P_MEMORY)
        for at, (tag, value) in enumerate(fields):
            if tag == P_STATE:
                new_events = self.take_state(value)
                if flags & PER_STREAM:
                    self.pass_on(new_events, result)
            elif tag == P_EVENT and flags & PER_STREAM:
                self.pass_on([value], result)
            elif tag == P_LIST_BEGIN:
                self.say_caps(result)
                result.fields.append(field(P_LIST_BEGIN))
            elif tag == P_LIST_END:
                result.fields.append(field(P_LIST_END))
            elif tag == P_BUFFER:
                if sequence < self.abandoned_end[0]:
                    raise Abandoned
                self.say_caps(result)
                if result.slot is None and total > 0:
                    result.use(self.result_slot(total))
                result.fields.append(field(P_BUFFER, value))
                self.add_parts(fields[at + 1:], result)

    def take_state(self, state):
        new_events = []
        for tag, value in read_fields(state):
            if tag == F_EPOCH_ID and number_in(value) != self.epoch:
                self.epoch = number_in(value)
                self.has_said_caps = False
            elif tag == F_EVENT:
                new_events.append(value)
                if type_of(value) == CAPS:
                    self.caps_event = value
                    self.has_said_caps = False
        return new_events

    def pass_on(self, events, result):
        for event in events:
            if type_of(event) == CAPS:
                self.say_caps(result)
            elif type_of(event) != STREAM_START:
                result.fields.append(field(P_EVENT, event))

    def say_caps(self, result):
        has_said_caps = self.has_said_caps or result.has_caps
        if self.caps_event is not None and not has_said_caps:
            result.fields.append(field(P_EVENT, self.caps_event))
            result.has_caps = True

    def add_parts(self, following, result):
        """The memories and metas of a buffer: inverted, and one more."""
        sources = []
        metas = []
        for tag, value in following:
            if tag == P_MEMORY:
                sources.append(self.part_of(value))
            elif tag == P_META:
                metas.append(field(P_META, value))
            else:
                break
        size = sum(len(source) for source in sources)
        if size > 0:
            invert_into(result.slot, result.used, sources)
            result.fields.append(field(
                P_MEMORY, MEMORY_RECORD.pack(*result.slot.name, result.used,
                                             size, 0)))
            result.used += size
        result.fields.extend(metas)
        result.fields.append(field(P_META, b''.join([
            field(META_KIND, META_CUSTOM),
            field(META_NAME, META),
            field(META_STRUCTURE, f'{META}, worker=(uint){self.number}'),
        ])))

    def part_of(self, record):
        index, generation, offset, size, _ = MEMORY_RECORD.unpack(record)
        return self.slot_of((index, generation)).view[offset:offset + size]


def leave_signals_to_dispatcher():
    for meant_for_dispatcher in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(meant_for_dispatcher, signal.SIG_IGN)


def run(make_worker, usage, needs_argument=False):
    """Runs what make_worker() makes of the number of the socket."""
    number = os.environ.pop('GST_DISPATCH_SOCKET', None)
    if number is None or (needs_argument and len(sys.argv) != 2):
        sys.exit(usage)
    leave_signals_to_dispatcher()
    make_worker(int(number)).run()


if __name__ == '__main__':
    run(Worker, __doc__)
