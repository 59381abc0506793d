"""The app's own tables, and the rule of who it is that comes by a provider."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKey, LargeBinary, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.oauth_and_passkey.oauth import Profile

EndSessions = Callable[["Account"], Awaitable[object]]


class Base(DeclarativeBase):
    """The app's tables; Batonpass' stand beside them."""


class Account(Base):
    """Somebody. Who came by a provider has no password."""

    __tablename__ = "accounts"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(unique=True)
    email_verified: Mapped[bool] = mapped_column(default=False)
    password_hash: Mapped[str | None]


class Identity(Base):
    """Who somebody is at a provider: the subject, which never changes, not the e-mail."""

    __tablename__ = "identities"
    provider: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))


class Passkey(Base):
    """A public key; the private one never leaves the device."""

    __tablename__ = "passkeys"
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    public_key: Mapped[bytes]
    sign_count: Mapped[int]


class Challenge(Base):
    """What a passkey has to sign: once, and soon."""

    __tablename__ = "challenges"
    value: Mapped[bytes] = mapped_column(LargeBinary(64), primary_key=True)
    account_id: Mapped[UUID | None]
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class UnverifiedEmailError(Exception):
    """The provider does not vouch for the e-mail, so it says nothing of who this is."""


async def account_of(db: AsyncSession, profile: Profile, end_sessions: EndSessions) -> Account:
    """Find or make the account of a provider's user; the caller commits.

    An e-mail links the two only where both sides have verified it. An account whose e-mail nobody
    has verified may be a trap, made by somebody who waits for its owner to come by the provider: he
    comes in, and all that the other one left there is void.

    Raises:
        UnverifiedEmailError: It is somebody new, and the provider has not verified their e-mail.

    Source: docs/security.md, S-ENUM-4.
    """
    known = await db.get(Identity, (profile.provider, profile.subject))
    if known is not None:
        return await db.get_one(Account, known.account_id)
    if not profile.email_verified:
        raise UnverifiedEmailError
    email = profile.email.casefold()
    account = await db.scalar(select(Account).where(Account.email == email))
    if account is None:
        account = Account(email=email)
        db.add(account)
    elif not account.email_verified:
        # In this order: whoever is interrupted finds it unverified, and begins anew.
        account.password_hash = None
        await db.execute(delete(Passkey).where(Passkey.account_id == account.id))
        await db.commit()
        await end_sessions(account)
    account.email_verified = True
    await db.flush()
    db.add(Identity(provider=profile.provider, subject=profile.subject, account_id=account.id))
    return account
