import os
import unittest

from belfry_shim.channel import DONE, HEAD, OUTPUT, Channel, value


def frame(body):
    return len(body).to_bytes(4, "big") + body


def unpacked(data):
    """Kind, number and the rest of a frame, whose length must be right."""
    size, kind, number = HEAD.unpack_from(data)
    assert size == len(data) - 4, data
    return kind, number, data[HEAD.size :]


class Frames(unittest.TestCase):
    def setUp(self):
        requests, self.to_worker = os.pipe()
        self.from_worker, responses = os.pipe()
        self.channel = Channel(requests, responses)

    def test_frames_arrive_one_by_one(self):
        for body in (b"one", b"two"):
            os.write(self.to_worker, frame(body))
            self.assertEqual(self.channel.receive(), frame(body))

    def test_frames_may_arrive_together(self):
        os.write(self.to_worker, frame(b"one") + frame(b"two") + frame(b"three")[:5])
        self.assertEqual(self.channel.receive(), frame(b"one"))
        self.assertEqual(self.channel.receive(), frame(b"two"))
        os.write(self.to_worker, frame(b"three")[5:])
        self.assertEqual(self.channel.receive(), frame(b"three"))

    def test_a_frame_longer_than_a_read(self):
        body = b"x" * 50000
        os.write(self.to_worker, frame(body))
        self.assertEqual(self.channel.receive(), frame(body))

    def test_values(self):
        self.assertEqual(value(b'{"a":[1,"\xc3\xa9"]}'), {"a": [1, "é"]})

    def test_the_end(self):
        os.close(self.to_worker)
        self.assertIsNone(self.channel.receive())

    def test_an_end_within_a_frame(self):
        os.write(self.to_worker, frame(b'{"a":1}')[:6])
        os.close(self.to_worker)
        self.assertIsNone(self.channel.receive())

    def test_what_is_sent_carries_its_length(self):
        self.channel.output(7, 5, 1, b"text")
        kind, number, rest = unpacked(os.read(self.from_worker, 100))
        self.assertEqual((kind, number, rest), (OUTPUT, 7, bytes(7) + b"\5\1text"))
        self.channel.done(7, 5, 6, 1, b"{}")
        kind, number, rest = unpacked(os.read(self.from_worker, 100))
        self.assertEqual((kind, number, rest), (DONE, 7, bytes(7) + b"\5" + bytes(7) + b"\6\1{}"))

    def test_a_fork_cannot_answer(self):
        pid = os.fork()
        if pid == 0:
            try:
                self.channel.send(b"{}")  # ends the process
            finally:
                os._exit(1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        os.set_blocking(self.from_worker, False)
        with self.assertRaises(BlockingIOError):
            os.read(self.from_worker, 1)
