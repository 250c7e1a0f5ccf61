import json
import unittest

from belfry_shim import outcome


def raised(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def described(error, filename):
    return json.loads(outcome.describe(error, filename, outcome.Bounds(64, 256)))


class Encode(unittest.TestCase):
    def test_is_compact_json(self):
        value = {"a": [1, 2.5, None, True, "é"], "b": {}}
        data = outcome.encode(value)
        self.assertEqual(data.decode(), '{"a":[1,2.5,null,true,"é"],"b":{}}')
        self.assertEqual(json.loads(data), value)

    def test_the_limit_counts_bytes(self):
        of = outcome.Value("result", 10, TypeError, outcome.ResultTooLarge, "")
        self.assertEqual(len(outcome.encode("é" * 4, of)), 10)
        with self.assertRaises(outcome.ResultTooLarge):
            outcome.encode("é" * 5, of)

    def test_data_is_named(self):
        for value, error in (({"a": {1: 2}}, "data.a: a key is an int"), ("é" * 200000, "the data is 400002 bytes")):
            self.assertIn(error, str(raised(outcome.encode, value, outcome.DATA)))

    def test_a_refusal_names_the_place(self):
        error = raised(outcome.encode, {"a": [{"b c": object()}]})
        self.assertIsInstance(error, outcome.ResultNotJSON)
        self.assertIn('result.a[0]["b c"]: an object is not JSON', str(error))

    def test_keys_are_not_turned_into_strings(self):
        for key in (1, 1.5, None, True, (1,), b"a"):
            with self.assertRaises(outcome.ResultNotJSON):
                outcome.encode({key: 1})

    def test_the_same_value_twice_is_no_cycle(self):
        shared = [1]
        self.assertEqual(outcome.encode([shared, shared]), b"[[1],[1]]")

    def test_a_value_is_encoded_again_after_a_refusal(self):
        value = [object()]
        raised(outcome.encode, value)
        value[0] = 1
        self.assertEqual(outcome.encode(value), b"[1]")


class Describe(unittest.TestCase):
    def test_shows_the_function_s_frames_only(self):
        name = "<function f v1>"
        scope = {}
        exec(compile("def f(g):\n    g()\n", name, "exec"), scope)

        def fails():
            raise ValueError("why")

        told = described(raised(scope["f"], fails), name)
        self.assertEqual((told["type"], told["message"]), ("ValueError", "why"))
        self.assertIn("in fails", told["traceback"])
        self.assertNotIn("in raised", told["traceback"])

    def test_survives_what_exceptions_do(self):
        class Bad(Exception):
            def __str__(self):
                raise SystemExit

            __repr__ = __str__

        told = described(raised(self._raise, Bad()), "")
        self.assertEqual(told["type"], "Bad")
        self.assertTrue(told["message"])

    def test_cuts_the_middle(self):
        told = described(raised(self._raise, ValueError("a" * 99999 + "z")), "")
        self.assertLessEqual(len(told["message"].encode()), outcome.MESSAGE_BYTES_MAX)
        self.assertTrue(told["message"].startswith("aaa"))
        self.assertTrue(told["message"].endswith("z"))

    def test_is_always_json(self):
        described(raised(self._raise, ValueError("\ud800\0")), "")

    @staticmethod
    def _raise(error):
        raise error
