"""What the services of Lastmetre share: contracts, runtime, telemetry and the pages' kit."""
