"""Writing files: the old content or the new, never half of one."""

import errno
import hashlib

import pytest

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import atomic_path, disk_faults_named, read_json, sha256_of, write_json, write_text


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["file.txt"]


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half" and len(list(path.parent.iterdir())) == 1


def test_a_body_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file.txt"):
        pass


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EROFS, "name another folder"),
        (errno.EACCES, "name another folder"),
        (errno.EPERM, "name another folder"),
        (errno.EEXIST, "move it, or name another folder"),
        (errno.ENOTDIR, "move it, or name another folder"),
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
    ],
)
def test_what_the_disk_refuses_is_named_with_a_remedy(code, remedy):
    with pytest.raises(DataError, match=f"{errno.errorcode[code]} or so.*{remedy}"), disk_faults_named():
        raise OSError(code, f"{errno.errorcode[code]} or so")


def test_other_errors_of_the_system_stay_what_they_are():
    with pytest.raises(FileNotFoundError), disk_faults_named():
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_json_round_trip_is_sorted_and_keeps_letters(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"b": [1, 2.5], "a": "Zürich"})
    assert read_json(path) == {"a": "Zürich", "b": [1, 2.5]}
    assert path.read_text(encoding="utf-8").startswith('{\n  "a": "Zürich",')


def test_sha256_reads_files_longer_than_a_block(tmp_path):
    content = bytes(range(256)) * 8192  # two MiB
    (tmp_path / "file.bin").write_bytes(content)
    assert sha256_of(tmp_path / "file.bin") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"", b"{half", b"\xff"])
def test_a_damaged_json_file_is_named(tmp_path, content):
    path = tmp_path / "score.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"score\.json is damaged.*--overwrite"):
        read_json(path)
