import io
import unittest

from belfry_shim.capture import PART_BYTES_MAX, STDOUT, Output, Stream


class Sink:
    open = True

    def __init__(self):
        self.frames = []

    def output(self, *frame):
        self.frames.append(frame)

    def text(self):
        return b"".join(frame[3] for frame in self.frames).decode()


class Streams(unittest.TestCase):
    def setUp(self):
        self.sink = Sink()
        self.output = Output(self.sink, 1000000)
        self.stream = Stream(self.output, STDOUT, 1)
        self.output.begin(7)

    def test_a_line_is_one_frame(self):
        print("a", 1, file=self.stream)
        self.assertEqual(len(self.sink.frames), 1)
        number, time, stream, text = self.sink.frames[0]
        self.assertEqual((number, stream, text), (7, STDOUT, b"a 1\n"))
        self.assertGreater(time, 0)

    def test_part_of_a_line_waits_for_a_flush(self):
        self.stream.write("a")
        self.assertEqual(self.sink.text(), "")
        self.stream.flush()
        self.assertEqual(self.sink.text(), "a")

    def test_long_text_comes_in_parts(self):
        text = "x" * (3 * PART_BYTES_MAX + 1)
        self.stream.write(text)
        self.assertEqual(self.sink.text(), text)
        self.assertEqual(len(self.sink.frames), 4)

    def test_between_runs_nothing_is_sent(self):
        self.output.end()
        print("a", file=self.stream)
        self.assertEqual(self.sink.frames, [])

    def test_only_text_is_written(self):
        with self.assertRaises(TypeError):
            self.stream.write(b"x")

    def test_is_a_text_stream_with_a_buffer(self):
        self.assertIsInstance(self.stream, io.TextIOBase)
        self.stream.buffer.write("é\n".encode())
        self.assertEqual(self.sink.text(), "é\n")
        self.assertEqual(self.stream.fileno(), 1)
        self.assertFalse(self.stream.isatty())
        self.stream.reconfigure(line_buffering=True)

    def test_beyond_the_limit_output_is_only_counted(self):
        output = Output(self.sink, 10)
        output.begin(1)
        for text in ("12345678\n", "é\n", "lost\n", "é\n"):
            output.send(STDOUT, 1, text)
        self.assertEqual(self.sink.text(), "12345678\né\n")
        self.assertEqual(output.end(), 5 + 3)
        output.begin(2)
        self.assertEqual(output.end(), 0)
