"""What a request has done by the time that it is answered: its statements and its hashes.

Two requests that have done the same work cannot be told apart by how long they take, on whatever
machine. Nothing is replaced: the real work is done, and noted.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine, event

# What polls and purges between the requests reads other tables.
_OURS = re.compile(r"\b(users|throttle|security_events)\b")
_PARAMETERS = re.compile(r"\$(argon2\w+\$v=\d+\$[^$]+)\$")


@dataclass
class Work:
    """What was done since `forget`.

    Attributes:
        statements: Those on users, throttle and events, in their order.
        hashes: The parameters of each hash that was made or compared with.
    """

    statements: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def taken(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return it and forget it."""
        found = tuple(self.statements), tuple(self.hashes)
        self.statements.clear()
        self.hashes.clear()
        return found


@contextmanager
def noted() -> Iterator[Work]:
    """Note the work of every app in this process."""
    work = Work()
    verify, make = Argon2Hasher.verify, Argon2Hasher.hash

    def note_statement(*said: object) -> None:
        if _OURS.search(str(said[2])):
            work.statements.append(str(said[2]))

    def note_verify(self: Argon2Hasher, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - pwdlib's name
        work.hashes.extend(_PARAMETERS.findall(str(hash)))
        return verify(self, password, hash)

    def note_hash(self: Argon2Hasher, password: str | bytes, *, salt: bytes | None = None) -> str:
        made = make(self, password, salt=salt)
        work.hashes.extend(_PARAMETERS.findall(made))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Argon2Hasher, "verify", note_verify)
        patch.setattr(Argon2Hasher, "hash", note_hash)
        event.listen(Engine, "before_cursor_execute", note_statement)
        try:
            yield work
        finally:
            event.remove(Engine, "before_cursor_execute", note_statement)
