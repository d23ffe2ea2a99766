"""The archives that become images, without a Docker to take them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab import images


def members(*files: Path) -> dict[str, tarfile.TarInfo]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        images.Tree(tar).programs(files)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_a_program_comes_with_its_loader_and_libraries() -> None:
    found = members(Path("/usr/bin/env"))
    assert found["usr/bin/env"].mode & 0o111
    assert any(Path(name).name.startswith("libc.so") for name in found)
    assert any(Path(name).name.startswith("ld-") for name in found)


def test_everything_belongs_to_root_and_is_there_once() -> None:
    found = members(Path("/usr/bin/env"), Path("/usr/bin/env"), Path("/bin/env"))
    assert [name for name in found if name.endswith("/env")] == ["usr/bin/env"]
    assert {member.uid for member in found.values()} == {0}


def test_compiled_modules_stay_valid(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("")
    found = members(source)
    assert found[str(source.resolve())[1:]].mtime == int(source.stat().st_mtime)


def test_an_archive_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[images.Tree] = []
    monkeypatch.setattr(images, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(images, "_nginx", made.append)
    for _ in range(2):
        with images.archive("nginx") as file, tarfile.open(fileobj=file) as tar:
            assert "etc/passwd" in tar.getnames()
    assert len(made) == 1


def test_two_who_make_it_at_the_same_time_both_have_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    found: list[list[str]] = []

    def made_meanwhile(_tree: images.Tree) -> None:
        monkeypatch.setattr(images, "_nginx", lambda _tree: None)
        read()

    def read() -> None:
        with images.archive("nginx") as file, tarfile.open(fileobj=file) as tar:
            found.append(tar.getnames())

    monkeypatch.setattr(images, "CACHE", cache)
    monkeypatch.setattr(images, "_nginx", made_meanwhile)
    read()
    assert found[0] == found[1]
    assert "etc/passwd" in found[0]
    assert len(list(cache.iterdir())) == 1


def test_an_unknown_image_has_no_archive() -> None:
    with pytest.raises(KeyError, match="mysql"):
        images.archive("mysql")
