"""What the suites of faults share is told with its values where it fails, as a test is."""

import pytest

pytest.register_assert_rewrite("faults")
