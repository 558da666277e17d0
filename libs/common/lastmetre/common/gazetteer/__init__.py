"""Where a text says that something is: names on a city's map, and the words that name them."""
