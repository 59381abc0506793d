"""Settings, from the environment."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """What differs between machines."""

    PROJECT_NAME: str = "Full stack"
    API_V1_STR: str = "/api/v1"
    SECRET_KEY: str
    DATABASE_URL: str = "sqlite:///app.db"
    FIRST_SUPERUSER: str = "admin@example.com"
    FIRST_SUPERUSER_PASSWORD: str


settings = Settings()
