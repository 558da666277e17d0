"""Prometheus reads figures with a key of its own, and can do nothing else."""

from lastmetre.common.security.access import satisfies
from lastmetre.common.security.callers import Role, ServiceCaller
from lastmetre.metrics.entrypoints.api import SERVICES, SERVICES_AND_PROMETHEUS


def test_prometheus_reads_figures_and_is_nobody_on_the_staff() -> None:
    prometheus = ServiceCaller("prometheus")
    assert satisfies(prometheus, SERVICES_AND_PROMETHEUS, {})
    assert not satisfies(prometheus, SERVICES, {}), "facts are of single cases"
    assert not any(satisfies(prometheus, role, {}) for role in Role)
