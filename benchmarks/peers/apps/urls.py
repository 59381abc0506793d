"""Where tokens are refreshed."""

from django.urls import path
from oauth2_provider.views import TokenView
from rest_framework_simplejwt.views import TokenRefreshView

urlpatterns = [
    path("simplejwt/refresh", TokenRefreshView.as_view()),
    path("oauth/token", TokenView.as_view()),
]
