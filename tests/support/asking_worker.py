#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker program for shmdispatch that asks for an allocation in each frame.

Else it is inverting_worker.py.

Usage: shmdispatch stage=identity worker-command="python3 asking_worker.py HOW"
HOW: once, as is right; after, as is right too, with the result; or without waiting for the answer: twice, elsewhere (in
the place of a frame that it has not got), dying (the worker with number 1 kills
itself then), greedily (to enter an epoch that it has entered, many times).
"""

import os
import signal
import sys
import time

import inverting_worker as honest

ENTER_EPOCH, PAD_QUERY = 37, 41
F_QUERY, F_DIRECTION, F_SEQUENCE = 18, 19, 20
Q_TYPE, Q_CAPS, Q_NEED_POOL = 1, 3, 6
ALLOCATION = 35846
MORE_THAN_MAY_BE_OPEN = 66  # the first one gets a reply
QUERY = (honest.field(Q_TYPE, ALLOCATION) + honest.field(Q_CAPS, 'video/x-raw')
         + honest.field(Q_NEED_POOL, 1))


class AskingWorker(honest.Worker):
    def __init__(self, number, how):
        super().__init__(number)
        self.how = how

    def question(self, sequence):
        return [honest.field(F_DIRECTION, 1), honest.field(F_SEQUENCE, sequence),
                honest.field(honest.F_EPOCH_ID, self.epoch),
                honest.field(F_QUERY, QUERY)]

    def send_question(self, sequence):
        self.last_id += 1
        self.channel.send(PAD_QUERY, *self.question(sequence),
                          number=self.last_id)

    def run_payload(self, payload, sequence, flags, result):
        if self.how == 'after':
            super().run_payload(payload, sequence, flags, result)
            self.ask(PAD_QUERY, *self.question(sequence),
                     honest.field(honest.F_PAYLOAD, b''.join(result.fields)))
            result.fields = []
            return
        for tag, value in honest.read_fields(payload):
            if tag == honest.P_STATE:
                self.take_state(value)
        if self.how == 'once':
            self.ask(PAD_QUERY, *self.question(sequence))
        elif self.how == 'elsewhere':
            self.send_question(sequence + 1)
        elif self.how == 'twice':
            self.send_question(sequence)
            self.send_question(sequence)
        elif self.how == 'greedily':
            for number in range(MORE_THAN_MAY_BE_OPEN):
                self.channel.send(ENTER_EPOCH,
                                  honest.field(honest.F_EPOCH_ID, self.epoch),
                                  number=1000 + number)
        elif self.how == 'dying' and self.number == 1:
            self.send_question(sequence)
            time.sleep(0.2)  # until it is being answered
            os.kill(os.getpid(), signal.SIGKILL)
        super().run_payload(payload, sequence, flags, result)


if __name__ == '__main__':
    honest.run(lambda number: AskingWorker(number, sys.argv[1]), __doc__,
               needs_argument=True)
