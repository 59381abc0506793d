"""The app: `uvicorn app.main:app`."""

from app.api.main import api_router
from app.core.auth import auth
from app.core.config import settings
from fastapi import FastAPI

app = FastAPI(title=settings.PROJECT_NAME, openapi_url=f"{settings.API_V1_STR}/openapi.json")
app.include_router(api_router, prefix=settings.API_V1_STR)
auth.install(app)
