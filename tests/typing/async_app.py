"""A user's app on an async engine, with a second Batonpass for its staff, and one of a table."""

import os
from typing import Annotated, Any, assert_type
from uuid import UUID

from fastapi import Depends, FastAPI, Request, Response, WebSocket
from sqlalchemy import Column, Integer, Row, String, Table, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from batonpass import Batonpass, Claims, Login, Policy, SecurityEvent

engine = create_async_engine("postgresql+asyncpg:///shop")


class Base(DeclarativeBase):
    """The app's own."""


class Customer(Base):
    """Who buys."""

    __tablename__ = "customers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)


employees = Table(
    "employees",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("email", String(80)),
)

app = FastAPI()
secret = os.environ["SECRET_KEY"]
auth = Batonpass(
    engine,
    Base.metadata,
    user=Customer,
    secret=secret,
    policy=Policy(),
    active=Customer.is_active,
    cors_origins=["https://shop.example"],
)
staff = Batonpass(
    engine, Base.metadata, user=employees, secret=secret, name="staff", prefix="/staff/auth"
)
assert_type(auth, Batonpass[Customer])
assert_type(staff, Batonpass[Row[Any]])


@auth.authenticate
async def check(form: Login, request: Request) -> Customer | None:
    async with AsyncSession(engine) as db:
        found = await db.scalar(select(Customer).where(Customer.email == form.username))
    return found if found is not None and found.is_active and request.client else None


@staff.authenticate
async def check_staff(form: Login) -> Row[Any] | None:
    async with engine.connect() as connection:
        query = select(employees).where(employees.c.email == form.username)
        return (await connection.execute(query)).first()


@auth.claims_for
def rights(customer: Customer) -> dict[str, object]:
    return {"roles": ["buyer"] if customer.is_active else []}


@auth.on("session_created", "session_logout")
async def told(event: SecurityEvent) -> None:
    assert_type(event.details.get("device"), str | int | None)


for one in (auth, staff):
    one.install(app)


@app.get("/me")
async def me(customer: Annotated[Customer, Depends(auth.user)]) -> str:
    return customer.email


@app.post("/serve/{customer_id}")
async def serve(
    customer_id: UUID, employee: Annotated[Row[Any], Depends(staff.user)], request: Request
) -> Response:
    async with AsyncSession(engine) as db, db.begin():
        customer = await db.get_one(Customer, customer_id)
        return await auth.sign_in(customer, request, session=db, actor=f"{employee.email}")


@app.post("/promote/{customer_id}")
async def promote(customer_id: UUID) -> int:
    return await auth.update_claims(customer_id) + await auth.end_sessions(customer_id)


@app.get("/staff/me")
async def staff_me(employee: Annotated[Row[Any], Depends(staff.user)]) -> str:
    return str(employee.email)


@app.websocket("/live")
async def live(socket: WebSocket, claims: Annotated[Claims, Depends(auth.claims)]) -> None:
    await socket.accept(headers=[(b"x-session", str(claims.family_id).encode())])


async def what_the_decorators_leave() -> None:
    """A decorated function stays what it was."""
    form = Login("ada@example.com", "a long walk at noon")
    assert_type(await check_staff(form), Row[Any] | None)
