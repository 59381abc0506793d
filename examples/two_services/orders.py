"""What the shop's customers have ordered: no password, no session and no secret is known here."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from batonpass import Claims
from batonpass.verifier import Verifier

engine = create_engine(os.environ.get("ORDERS_DATABASE", "sqlite:///orders.db"))
verifier = Verifier(
    os.environ.get("JWKS_URL", "http://localhost:8001/.well-known/jwks.json"),
    issuer="accounts",
    audience="shop",
)


class Base(DeclarativeBase):
    """Whose tables are this service's."""


class Order(Base):
    """So many of something, for a customer."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[UUID] = mapped_column(index=True)  # the accounts' key: the token's subject
    item: Mapped[str]
    count: Mapped[int]


class Wish(BaseModel):
    """What a customer orders."""

    item: str = Field(min_length=1, max_length=100)
    count: int = Field(ge=1, le=100)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Create what is missing; a real service has migrations."""
    Base.metadata.create_all(engine)
    yield


app = FastAPI(title="Orders", lifespan=lifespan)
verifier.install(app)


def customer(claims: Annotated[Claims, Depends(verifier.claims)]) -> UUID:
    """Say who is asking."""
    return UUID(claims.subject)


Customer = Annotated[UUID, Depends(customer)]


@app.post("/orders", status_code=201)
def order(wish: Wish, customer: Customer) -> Wish:
    """Order something."""
    with Session(engine) as db, db.begin():
        db.add(Order(customer=customer, item=wish.item, count=wish.count))
    return wish


@app.get("/orders")
def orders(customer: Customer) -> list[Wish]:
    """List one's own orders."""
    with Session(engine) as db:
        found = db.scalars(select(Order).where(Order.customer == customer).order_by(Order.id))
        return [Wish(item=one.item, count=one.count) for one in found]
