"""What is found about files: errors keep an import from happening, warnings do not."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Collected while files are read."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
