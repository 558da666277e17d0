"""HTTP in: what residents' programs, other services and the command line ask of intake."""
