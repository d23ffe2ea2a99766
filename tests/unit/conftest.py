"""A machine of its own for each test that installs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.hosts import TestHost


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestHost:
    monkeypatch.setattr("wakeport.install.host.PYTHON", sys.executable)
    monkeypatch.setattr("wakeport.install.host.LISTENS_WITHIN", 0.0)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return TestHost(tmp_path)
