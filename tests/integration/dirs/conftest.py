import dirs_lab

lab = dirs_lab.lab  # a fixture for the tests in this folder
