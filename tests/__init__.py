"""All tests."""

from importlib.util import find_spec

# Scripts of the tests run in the Flink environment, which has no pytest.
if find_spec("pytest") is not None:
    import pytest

    # pytest explains failed assertions of test modules by itself, and of others only if told to.
    pytest.register_assert_rewrite("tests.integration", "tests.unit")
