"""The routes."""

from app.api.routes import login, users
from fastapi import APIRouter

__all__ = ["api_router", "login"]  # a login is a route of Batonpass's

api_router = APIRouter()
api_router.include_router(users.router)
