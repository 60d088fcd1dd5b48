"""All tests."""

import pytest

# pytest explains failed assertions of test modules by itself, and of others only if told to.
pytest.register_assert_rewrite("tests.integration", "tests.unit")
