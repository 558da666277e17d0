"""What a command that ends tells Prometheus."""

from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile

from lastmetre.cli.console import UsedWrongly


def write_metrics_file(file: Path, registry: CollectorRegistry) -> None:
    """Write it, in one step, for node exporter's textfile collector.

    Raises UsedWrongly where that cannot be done.
    """
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:
        raise UsedWrongly(f"{file} cannot be written: {error.strerror}") from error
