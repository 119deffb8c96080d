from services_97layer import start  # noqa: F401  (a fixture for the tests beside this file)
