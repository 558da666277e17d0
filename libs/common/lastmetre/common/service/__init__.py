"""What every service process is made of: host, health, settings, clock."""
