import unittest

from belfry_shim.check import check

GOOD = "def execute(current_user, **kwargs):\n    pass\n"


class Check(unittest.TestCase):
    def test_sound_code(self):
        for code in (GOOD, "async " + GOOD, "with open('x') as f:\n    def execute(current_user, *, a=1, **k): pass\n"):
            self.assertIsNone(check("f", code))

    def test_warnings_are_no_errors(self):
        self.assertIsNone(check("f", GOOD + "x = '\\d'\nassert (1, 'x')\n"))

    def test_the_place_of_an_error(self):
        flaw = check("f", GOOD + "x = = 1\n")
        self.assertEqual((flaw["line"], flaw["column"]), (3, 5))

    def test_every_definition_counts(self):
        self.assertEqual(check("f", GOOD + "def execute(): pass\n")["line"], 3)

    def test_a_method_is_no_function(self):
        self.assertIn("there is no function execute", check("f", "class C:\n    " + GOOD.replace("\n", "\n    "))["message"])
