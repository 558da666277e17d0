"""The migrations of each package are numbered 1, 2, 3 …: two branches may both have added one."""

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.migrate import migrations_of


@pytest.mark.parametrize("package", ["common.runtime", *SERVICES])
def test_they_are_numbered_without_a_hole_and_without_a_double(package: str) -> None:
    versions = [migration.version for migration in migrations_of(package)]
    assert versions == list(range(1, len(versions) + 1))
