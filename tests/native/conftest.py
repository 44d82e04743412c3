"""What tests of the engine as it is installed ask for."""

from __future__ import annotations

import pytest

from .c_interface import library


@pytest.fixture(scope="session")
def installed_engine() -> None:
    if library() is None:
        pytest.skip("this install has no native engine: no C++ compiler was found when it was made")
