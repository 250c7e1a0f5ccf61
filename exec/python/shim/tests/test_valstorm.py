import unittest
from datetime import datetime, timezone

import valstorm
from valstorm.models import User


class Users(unittest.TestCase):
    def test_all_fields_are_attributes(self):
        user = User(id="ada", email="a@b.c", shoe_size=38, self=1)
        self.assertEqual((user.id, user.email, user.shoe_size), ("ada", "a@b.c", 38))

    def test_known_fields_may_be_missing(self):
        user = User(id="ada")
        for field in ("email", "first_name", "organization_id", "permissions", "is_superuser"):
            self.assertIsNone(getattr(user, field))
        with self.assertRaises(AttributeError):
            user.shoe_size

    def test_the_name(self):
        for record, name in (
            ({"id": "ada", "name": "Ada", "first_name": "A"}, "Ada"),
            ({"id": "ada", "first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
            ({"id": "ada", "last_name": "Lovelace", "email": "a@b.c"}, "Lovelace"),
            ({"id": "ada", "name": "", "email": "a@b.c"}, "a@b.c"),
            ({"id": "ada"}, "ada"),
            ({}, None),
        ):
            self.assertEqual(User(**record).name, name)
            self.assertEqual(User._of(dict(record)).name, name)

    def test_equality(self):
        self.assertEqual(User(id="a", x=1), User(id="a", x=1))
        self.assertNotEqual(User(id="a", x=1), User(id="a", x=2))
        self.assertNotEqual(User(id="a"), "a")
        self.assertEqual(len({User(id="a"), User(id="a")}), 1)

    def test_repr(self):
        self.assertEqual(repr(User(id="ada", email="a@b.c")), "User(id='ada', name='a@b.c', email='a@b.c')")


class Runs(unittest.TestCase):
    def test_outside_of_a_run(self):
        run = type(valstorm.run)()
        self.assertEqual((run.id, run.attempt, run.scheduled_for, run.function, run.source), (None,) * 5)

    def test_within_one(self):
        run = type(valstorm.run)()
        run._now(b'["run_1",2,1772366400250000,"fun_1","send mail",3,"trigger","sts_1"]')
        self.assertEqual((run.id, run.attempt, run.function, run.function_version), ("run_1", 2, "send mail", 3))
        self.assertEqual(run.scheduled_for, datetime(2026, 3, 1, 12, 0, 0, 250000, timezone.utc))
        self.assertEqual((run.source.kind, run.source.id), ("trigger", "sts_1"))
        self.assertIn("run_1", repr(run))
