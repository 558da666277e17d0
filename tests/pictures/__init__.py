"""Takes the pictures in docs/pictures: `make pictures`."""
