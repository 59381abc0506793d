"""A Django project with simplejwt and django-oauth-toolkit, as lean as either allows."""

import os

from psycopg.conninfo import conninfo_to_dict

_database = conninfo_to_dict(os.environ["BENCHMARKS_DATABASE_URL"])

DEBUG = False
SECRET_KEY = os.environ["BENCHMARKS_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.peers.apps.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "oauth2_provider",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # says how long an answer is
LOGGING_CONFIG = None
USE_TZ = True
USE_I18N = False
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _database["host"],
        "PORT": _database["port"],
        "USER": _database["user"],
        "PASSWORD": _database.get("password", ""),
        "NAME": _database["dbname"],
        "CONN_MAX_AGE": None,  # a connection for each thread, kept
    }
}

SIMPLE_JWT = {"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True}
# django-oauth-toolkit's defaults: it rotates, without grace.
