"""Passwords."""

from pwdlib import PasswordHash

password_hash = PasswordHash.recommended()
NOBODY = password_hash.hash("nobody's password")  # an unknown name takes as long as a known one


def verify_password(plain: str, hashed: str) -> bool:
    """Whether a password is the one that was hashed."""
    return password_hash.verify(plain, hashed)


def get_password_hash(plain: str) -> str:
    """Hash a new password."""
    return password_hash.hash(plain)
