"""The witnesses of npgru.witnesses as a fixture: a test that asks for `witness` runs once per runtime that is installed.

A runtime that is not installed is a skipped test. With NPGRU_CONFORMANCE=<name of a runtime> only that one testifies, and
nothing may be skipped: what is not for it is not collected, and a skip is an error.
"""
import os

import pytest

from npgru import witnesses

REQUIRED = os.environ.get("NPGRU_CONFORMANCE")


class Witness:
    """A runtime, and the profile whose rounding it has."""

    def __init__(self, name):
        self.name, self.profile = name, witnesses.RUNTIMES[name].profile

    def session(self, content, resolver="reference"):
        return witnesses.Session(self.name, content, resolver)

    def run(self, model, *inputs):
        """model (bytes of a file), its inputs in order -> the first output."""
        return self.session(model).run(*inputs)[0]


def pytest_configure(config):
    config.addinivalue_line("markers", "runtimes(*names): only these have what the test is about")


def pytest_collection_modifyitems(config, items):
    def is_for_others(item):
        mark = item.get_closest_marker("runtimes")
        return REQUIRED and mark and REQUIRED not in mark.args
    config.hook.pytest_deselected(items=list(filter(is_for_others, items)))
    items[:] = [item for item in items if not is_for_others(item)]


@pytest.fixture(params=[REQUIRED] if REQUIRED else list(witnesses.RUNTIMES))
def witness(request):
    mark = request.node.get_closest_marker("runtimes")
    if mark and request.param not in mark.args:
        pytest.skip(f"not about {request.param}")
    if reason := witnesses.why_absent(request.param):
        pytest.skip(f"{request.param}: {reason}")
    return Witness(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if REQUIRED and report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped, but NPGRU_CONFORMANCE={REQUIRED}: {call.excinfo.value}"
    return report
