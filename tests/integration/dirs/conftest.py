from dirs_lab import lab  # noqa: F401  (a fixture for the tests beside this file)
