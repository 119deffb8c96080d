import services_97layer

start = services_97layer.start  # a fixture for the tests of this folder
