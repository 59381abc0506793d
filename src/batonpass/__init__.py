"""Secure sessions for FastAPI + React: the public names, re-exported; nothing else."""

from batonpass.access_tokens import Claims
from batonpass.auth_service import AuthService
from batonpass.clock import Clock
from batonpass.errors import BatonpassError
from batonpass.events import EventName, SecurityEvent
from batonpass.former_tokens import FormerTokens
from batonpass.http.login import Login
from batonpass.plugin import Batonpass
from batonpass.policy import (
    ACCESS_TOKEN_EXPIRE_MINUTES,
    REFRESH_TOKEN_EXPIRE_DAYS,
    Policy,
)
from batonpass.token_answers import TokenAnswer
from batonpass.visits import Visit

__all__ = [
    "ACCESS_TOKEN_EXPIRE_MINUTES",
    "REFRESH_TOKEN_EXPIRE_DAYS",
    "AuthService",
    "Batonpass",
    "BatonpassError",
    "Claims",
    "Clock",
    "EventName",
    "FormerTokens",
    "Login",
    "Policy",
    "SecurityEvent",
    "TokenAnswer",
    "Visit",
]
