"""Areas and leads from files into the network that dispatch decides by."""
