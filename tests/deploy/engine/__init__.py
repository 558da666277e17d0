"""What needs a container engine: `make deploy-trial`."""
