"""The engine as this install has it, and models of every kind."""

from __future__ import annotations

import pytest

from .c_interface import library


@pytest.fixture(autouse=True, scope="session")
def _engine() -> None:
    if library() is None:
        pytest.skip("this install has no native engine: no C++ compiler was found when it was made")
