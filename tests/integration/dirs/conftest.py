import dirs_lab

lab = dirs_lab.lab  # a fixture for the tests beside this file
