"""Records as Python objects."""


class User:
    """The user a run runs as: every field of the record is an attribute.

    Fields that Belfry knows and the record lacks are None.
    """

    id = None
    name = None
    email = None
    first_name = None
    last_name = None
    organization_id = None
    organization_name = None
    permissions = None
    is_superuser = None

    def __init__(self, /, **record):
        self.__dict__.update(record)
        if not self.name:
            self.name = _name(self)

    @classmethod
    def _of(cls, record):
        """User(**record), but the user takes the dict for its own."""
        user = cls.__new__(cls)
        user.__dict__ = record
        if not user.name:
            user.name = _name(user)
        return user

    def __eq__(self, other):
        if not isinstance(other, User):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        shown = ", ".join(
            "%s=%r" % (field, getattr(self, field))
            for field in ("id", "name", "email")
            if getattr(self, field) is not None
        )
        return "User(%s)" % shown


def _name(user):
    parts = [part for part in (user.first_name, user.last_name) if part]
    if parts:
        return " ".join(str(part) for part in parts)
    return user.email or user.id
