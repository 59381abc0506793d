"""What the server's users do with their accounts: register, log in, confirm, change the password.

Each deed takes its place in the throttle before a password is hashed, and writes its events in the
transaction of the fact they tell.
"""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Table, func, literal, select

from batonpass import ids
from batonpass.access_tokens import Claims
from batonpass.auth_service import AuthService
from batonpass.errors import (
    ActorNotAllowedError,
    BusyError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidRequestError,
    LinkExpiredError,
    RegistrationClosedError,
    SessionRevokedError,
    WrongPasswordError,
)
from batonpass.events import LOGIN_SUCCESSES, EventName, SecurityEvent
from batonpass.family import Ending
from batonpass.server import users
from batonpass.server.email_addresses import EmailAddress, parse
from batonpass.server.mail import Letter, Outbox
from batonpass.server.models import MAX_EMAIL_CHARACTERS
from batonpass.server.passwords import PasswordHasher, accept_new
from batonpass.server.registration import RegistrationLinks, finish_letter, taken_letter
from batonpass.server.throttle import Place, Refusal, Throttle, give_back, knows_block
from batonpass.server.users import User
from batonpass.token_answers import TokenAnswer
from batonpass.visits import Visit

FAILURES_COUNT_FOR = timedelta(hours=1)  # as long as the longest throttle remembers them
_NAME_DIGEST_BYTES = 8  # enough to see that one name fails often, too short to tell which

Details = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class MailConfirmation:
    """What REGISTRATION=confirm needs beside.

    Attributes:
        links: Make what the mail carries.
        outbox: Sends it.
    """

    links: RegistrationLinks
    outbox: Outbox


class Accounts:
    """The server's accounts, on top of the library's sessions."""

    def __init__(
        self,
        service: AuthService,
        passwords: PasswordHasher,
        throttle: Throttle,
        *,
        registration: Literal["open", "closed"] | MailConfirmation,
        log_key: bytes,
    ) -> None:
        """Put the parts together.

        Args:
            service: Holds the sessions.
            passwords: Hashes, a bounded number at a time.
            throttle: Counts failures.
            registration: Who may make an account: everybody, whoever reads the mail, nobody.
            log_key: Turns the names of failed logins into digests (S-LOG-2).
        """
        self._service = service
        self._passwords = passwords
        self._throttle = throttle
        self._registration = registration
        self._log_key = log_key

    async def register(
        self, email_text: str, password: str, visit: Visit, *, origin: str
    ) -> User | None:
        """Make an account, or have a mail decide.

        The password is judged before the e-mail is looked up, so a weak one tells nothing about
        who is here (S-ENUM-3).

        Args:
            email_text: As typed.
            password: As typed.
            visit: Who asks, from where.
            origin: Where users see this server: the mail's link leads there.

        Returns:
            The user; None where the mail decides, whether the e-mail is free or taken (S-ENUM-2).

        Raises:
            RegistrationClosedError: Accounts are not made here.
            InvalidRequestError: The e-mail is none.
            WeakPasswordError: The password is too short, too long or too common.
            RateLimitedError: Too many accounts were asked for from this address.
            EmailTakenError: There is one already.
            BusyError: Too many passwords or mails are waiting.
        """
        how = self._registration
        if how == "closed":
            raise RegistrationClosedError
        if isinstance(how, MailConfirmation):
            how.outbox.require_room()
        email = parse(email_text)
        accepted = accept_new(password, email)
        now = self._service.clock.now()
        place = await self._service.database.write(
            lambda connection: self._throttle.take_registration(
                connection, address=visit.origin.ip, now=now
            )
        )
        if isinstance(place, Refusal):
            raise place.error()
        password_hash = await self._passwords.hash(accepted)
        if isinstance(how, MailConfirmation):
            links = how.links
            how.outbox.post(
                lambda: self._answer_by_mail(links, email, password_hash, visit, origin=origin)
            )
            return None
        try:
            return await self._create(email, password_hash, visit)
        except EmailTakenError:
            await self._note_registration_on_existing(email, visit)
            raise

    async def finish_registration(self, token: str, visit: Visit) -> User:
        """Make the account of a link from a mail.

        Raises:
            RegistrationClosedError: Accounts are not made here.
            LinkExpiredError: The link is over, was used, or is none of ours.
        """
        how = self._registration
        if how == "closed":
            raise RegistrationClosedError
        if not isinstance(how, MailConfirmation):
            raise LinkExpiredError
        found = how.links.open(token, self._service.clock.now())
        try:
            return await self._create(found.email, found.password_hash, visit)
        except EmailTakenError as error:
            raise LinkExpiredError from error  # by this link or, meanwhile, by another

    async def log_in(self, name: str, password: str, visit: Visit) -> User:
        """Find the user whose name and password these are.

        Unknown, wrong and disabled take the same time and get the same answer (S-ENUM-1). Who is
        disabled costs a hash of today's, as nobody does: an imported one takes its own time, and a
        right password to it would be hashed anew.

        Raises:
            InvalidCredentialsError: They are nobody's, or the account is disabled.
            RateLimitedError: Too many failures; also for the right password.
            BusyError: Too many passwords are being checked.
        """
        email = _email_or_none(name)
        account = email.canonical if email is not None else name[:MAX_EMAIL_CHARACTERS]
        user, place = await self._find_taking_place(account, email, visit)
        try:
            hashed = user.password_hash if user is not None and user.is_active else None
            matches, better = await self._passwords.verify(password, hashed)
        except BusyError:
            await self._give_back(place)  # nobody looked at it
            raise
        if user is None or not matches:
            await self._note_failure(account, user, visit, place)
            raise InvalidCredentialsError
        found = user

        def work(connection: Connection) -> User:
            give_back(connection, place)
            if better is not None and users.upgrade_password_hash(connection, found, better):
                return replace(found, password_hash=better)
            return found

        return await self._service.database.write(work)

    async def confirm(self, claims: Claims, password: str, visit: Visit) -> TokenAnswer:
        """Let a signed-in user prove that it is still them: `auth_time` is now.

        Raises:
            ActorNotAllowedError: Somebody acts in their name.
            WrongPasswordError: It is not their password.
            RateLimitedError: Too many failures in this session.
        """
        await self._check_own_password(claims, password, visit, EventName.LOGIN_FAILED)
        event = EventName.LOGIN_SUCCEEDED
        return await self._service.change_rights(claims.family_id, visit, event=event)

    async def change_password(
        self, claims: Claims, current: str, new: str, visit: Visit
    ) -> TokenAnswer:
        """Give a signed-in user a new password and end every other session of theirs.

        Raises:
            ActorNotAllowedError: Somebody acts in their name.
            WrongPasswordError: `current` is not their password.
            WeakPasswordError: The new one is too short, too long or too common.
            RateLimitedError: Too many failures in this session.
        """
        user = await self._check_own_password(
            claims, current, visit, EventName.PASSWORD_CHANGE_FAILED
        )
        password_hash = await self._passwords.hash(accept_new(new, user.email))

        def deed(connection: Connection) -> None:
            if not users.lock_unchanged(connection, user):
                raise WrongPasswordError  # another tab changed it meanwhile
            users.set_password_hash(connection, user.id, password_hash)

        return await self._service.change_rights(
            claims.family_id,
            visit,
            deed=deed,
            event=EventName.PASSWORD_CHANGED,
            ends_others=Ending.PASSWORD,
        )

    async def get(self, user_id: UUID) -> User:
        """Read a signed-in user.

        Raises:
            SessionRevokedError: The account is gone.
        """
        user = await self._service.database.read(lambda connection: users.get(connection, user_id))
        if user is None:
            raise SessionRevokedError(reason=Ending.USER_DISABLED.value)
        return user

    # --- how -----------------------------------------------------------------------------------

    async def _create(self, email: EmailAddress, password_hash: str, visit: Visit) -> User:
        def work(connection: Connection) -> tuple[User, SecurityEvent]:
            user = users.create(connection, email, password_hash, self._service.clock.now())
            event = self._event(EventName.USER_CREATED, user.id, visit)
            self._service.store.add_events(connection, [event])
            return user, event

        user, event = await self._service.database.write(work)
        self._service.tell(event)
        return user

    async def _answer_by_mail(
        self,
        links: RegistrationLinks,
        email: EmailAddress,
        password_hash: str,
        visit: Visit,
        *,
        origin: str,
    ) -> Letter | None:
        """Look the e-mail up, off the request's path, and write what its owner gets to read."""
        now = self._service.clock.now()

        events: list[SecurityEvent] = []

        def work(connection: Connection) -> tuple[User | None, Place | Refusal]:
            # One transaction that writes, free or taken: what comes next waits for it as long.
            user = users.find_by_email(connection, email)
            place = self._throttle.take_mail(connection, account=email.canonical, now=now)
            if user is not None:
                events.append(self._event(EventName.REGISTER_ON_EXISTING, user.id, visit))
            if isinstance(place, Refusal) and place.is_news:
                user_id = None if user is None else user.id
                details: Details = {
                    "name": self._digest(email.canonical),
                    "bucket": place.bucket.value,
                }
                events.append(self._event(EventName.RATE_LIMIT_EXCEEDED, user_id, visit, details))
            self._service.store.add_events(connection, events)
            return user, place

        user, place = await self._service.database.write(work)
        self._service.tell(*events)
        if isinstance(place, Refusal):
            return None
        if user is not None:  # to the owner's mailbox: who typed a look-alike has another one
            return taken_letter(origin, user.email, now)
        return finish_letter(origin, email, links.seal(email, password_hash, now), now)

    async def _find_taking_place(
        self, account: str, email: EmailAddress | None, visit: Visit
    ) -> tuple[User | None, Place]:
        """Take a place in the throttle for this name and address, and look the user up."""
        now, address = self._service.clock.now(), visit.origin.ip

        def work(connection: Connection) -> tuple[User | None, Place | Refusal]:
            user = None if email is None else users.find_by_email(connection, email)
            known = knows_block(
                connection,
                self._service.store.tables.security_events,
                user_id=None if user is None else user.id,
                address=address,
                now=now,
            )
            return user, self._throttle.take_login(
                connection, account=account, address=address, known=known, now=now
            )

        user, place = await self._service.database.write(work)
        if isinstance(place, Refusal):
            if place.is_news:
                details: Details = {"name": self._digest(account), "bucket": place.bucket.value}
                user_id = None if user is None else user.id
                await self._service.record(
                    self._event(EventName.RATE_LIMIT_EXCEEDED, user_id, visit, details)
                )
            raise place.error()
        return user, place

    async def _note_failure(
        self, account: str, user: User | None, visit: Visit, place: Place
    ) -> None:
        user_id = None if user is None else user.id
        details: Details = {"name": self._digest(account)}
        events = [self._event(EventName.LOGIN_FAILED, user_id, visit, details)]
        for bucket in place.filled:
            details = {"name": self._digest(account), "bucket": bucket.value}
            events.append(self._event(EventName.LOGIN_FAILED_TOO_OFTEN, user_id, visit, details))
        await self._service.record(*events)

    async def _check_own_password(
        self, claims: Claims, password: str, visit: Visit, failure: EventName
    ) -> User:
        if claims.actor is not None:  # whatever they know, they are not the user
            raise ActorNotAllowedError
        user = await self.get(UUID(claims.subject))
        now = self._service.clock.now()
        place = await self._service.database.write(
            lambda connection: self._throttle.take_confirmation(
                connection, family_id=claims.family_id, now=now
            )
        )
        if isinstance(place, Refusal):
            if place.is_news:
                await self._service.record(self._event(failure, user.id, visit))
            raise place.error()
        try:
            matches, _ = await self._passwords.verify(password, user.password_hash)
        except BusyError:
            await self._give_back(place)  # nobody looked at it
            raise
        if not matches or not user.is_active:
            await self._service.record(self._event(failure, user.id, visit))
            raise WrongPasswordError
        await self._give_back(place)
        return user

    async def _give_back(self, place: Place) -> None:
        await self._service.database.write(lambda connection: give_back(connection, place))

    async def _note_registration_on_existing(self, email: EmailAddress, visit: Visit) -> None:
        user = await self._service.database.read(
            lambda connection: users.find_by_email(connection, email)
        )
        if user is not None:
            event = self._event(EventName.REGISTER_ON_EXISTING, user.id, visit)
            await self._service.record(event)

    def success_event(self, connection: Connection, user: User, visit: Visit) -> SecurityEvent:
        """Tell that a login succeeded: the throttle knows the place from now on.

        After wrong passwords it is another event, for its user may not have been the one who
        tried them.
        """
        events = self._service.store.tables.security_events
        since = self._service.clock.now() - FAILURES_COUNT_FOR
        failures = failures_before_login(connection, events, user.id, since)
        if not failures:
            return self._event(EventName.LOGIN_SUCCEEDED, user.id, visit)
        details: Details = {"failures": failures}
        return self._event(EventName.LOGIN_SUCCEEDED_AFTER_FAILURES, user.id, visit, details)

    def _event(
        self, name: EventName, user_id: UUID | None, visit: Visit, details: Details | None = None
    ) -> SecurityEvent:
        return SecurityEvent(
            name=name,
            at=self._service.clock.now(),
            user_id=user_id,
            origin=visit.origin,
            request_id=visit.request_id,
            details=details or {},
        )

    def _digest(self, name: str) -> str:
        raw = name.encode("utf-8", "surrogatepass")
        return hmac.digest(self._log_key, raw, "sha256")[:_NAME_DIGEST_BYTES].hex()


def failures_before_login(
    connection: Connection, security_events: Table, user_id: UUID, since: datetime
) -> int:
    """Count the logins to an account that failed, after the last that did not, since a moment."""
    events = security_events.c
    recent = (events.user_id == user_id, events.id >= ids.lowest_id(since))
    # One look for the last login, by the index of logins, and one at the failures since: to ask of
    # each failure whether a login came later would let an attacker's thousands slow its owner's.
    logins = [literal(name.value, literal_execute=True) for name in LOGIN_SUCCESSES]
    login = select(func.max(events.at)).where(*recent, events.event.in_(logins)).scalar_subquery()
    after = func.coalesce(login, literal(since, events.at.type))
    failures = (*recent, events.event == EventName.LOGIN_FAILED, events.at > after)
    return connection.scalar(select(func.count()).where(*failures)) or 0


def _email_or_none(name: str) -> EmailAddress | None:
    try:
        return parse(name)
    except InvalidRequestError:
        return None
