"""The backend of omnivibe in small, by the standard library alone: neither FastAPI nor Celery is here."""

# What each process reads once, when it starts: who runs old code says so.
RELEASE = "1"
