"""What an archive may put on the disk: plain files inside its own folder, and no more than is sensible."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from qvl.conversion import archives
from qvl.conversion.archives import is_archive, unpack
from qvl.errors import RecordError

TAR_MODES = {".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}
ENDINGS = [".zip", *TAR_MODES]
FILES = {"annotations/a b.json": b"{}", "图片/一.jpg": b"\xff\xd8" * 5000, "empty.txt": b""}
BAD_NAMES = ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "C:/out.txt", "C:\\out.txt", "x" * 300]


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, TAR_MODES["".join(path.suffixes)]) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ENDINGS)
def test_all_files_of_an_archive_are_unpacked(tmp_path: Path, ending: str) -> None:
    path = packed(tmp_path / f"data{ending}", FILES)
    assert is_archive(path)
    assert unpack(path, tmp_path / "out") == []
    assert files_below(tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["data.json", "data.gz", "missing.zip", "folder.zip"])
def test_other_files_and_folders_are_no_archives(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "data.json").touch()
    (tmp_path / "data.gz").touch()
    assert not is_archive(tmp_path / name)


@pytest.mark.parametrize("ending", [".zip", ".tar"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_elsewhere_is_left_out_and_the_rest_is_unpacked(
    tmp_path: Path, ending: str, name: str
) -> None:
    path = packed(tmp_path / f"data{ending}", {"a.txt": b"1", name: b"2", "b.txt": b"3"})
    [refused] = unpack(path, tmp_path / "deep" / "out")
    assert refused.code == "archive_member"
    assert refused.where == f"data{ending}: {refused.came}"
    assert files_below(tmp_path / "deep") == {"out/a.txt": b"1", "out/b.txt": b"3"}


def test_links_and_devices_of_a_tar_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w:") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(f"special {number}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("plain"))
    refused = unpack(path, tmp_path / "out")
    assert [one.message for one in refused] == ["a link or a special file"] * 4
    assert files_below(tmp_path / "out") == {"plain": b""}


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert [one.came for one in unpack(path, tmp_path / "out")] == ["link"]
    assert files_below(tmp_path / "out") == {}


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_little_that_becomes_a_lot_is_not_unpacked(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_FREE_BYTES", 1000)
    path = packed(tmp_path / f"data{ending}", {"a.txt": b"1", "bomb": bytes(2_000_000), "b.txt": b"3"})
    [refused] = unpack(path, tmp_path / "out")
    assert (refused.came, "2000000 bytes" in refused.message) == ("bomb", True)
    assert "all after it" in refused.message
    assert files_below(tmp_path / "out") == {"a.txt": b"1"}


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_many_small_members_have_a_limit_too(tmp_path: Path, ending: str) -> None:
    path = packed(tmp_path / f"data{ending}", {f"{number}": b"" for number in range(20)})
    [refused] = unpack(path, tmp_path / "out", max_members=10)
    assert "more than the allowed 10 members" in refused.message
    assert len(files_below(tmp_path / "out")) == 10


def test_the_sum_of_all_members_counts_also_of_refused_ones(tmp_path: Path) -> None:
    path = packed(tmp_path / "data.tar", {"../a": bytes(600), "b": bytes(600)})
    assert [one.came for one in unpack(path, tmp_path / "out", max_bytes=1000)] == ["../a", "b"]


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_a_name_that_comes_twice_is_unpacked_once(tmp_path: Path, ending: str) -> None:
    path = packed(tmp_path / f"data{ending}", {"a": b"1", "./a": b"2", "a/b": b"3"})
    refused = unpack(path, tmp_path / "out")
    assert [one.message for one in refused] == ["a member with this name came before"] * 2
    assert files_below(tmp_path / "out") == {"a": b"1"}


def test_a_damaged_member_of_a_zip_is_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path / "data.zip", {"a.txt": b"1", "b.txt": bytes(range(256)) * 9})
    content = bytearray(path.read_bytes())
    place = content.index(b"b.txt") + 40
    content[place] ^= 0xFF
    path.write_bytes(bytes(content))
    [refused] = unpack(path, tmp_path / "out")
    assert (refused.came, refused.message.startswith("damaged")) == ("b.txt", True)
    assert files_below(tmp_path / "out") == {"a.txt": b"1"}


def test_an_encrypted_member_is_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path / "data.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(bytes(content))
    assert [one.message for one in unpack(path, tmp_path / "out")] == ["encrypted"]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_a_tar_that_was_cut_off_gives_what_it_still_holds(tmp_path: Path, ending: str) -> None:
    path = packed(tmp_path / f"data{ending}", {"a.txt": b"1", "b.bin": random_bytes(300_000), "c.txt": b"3"})
    path.write_bytes(path.read_bytes()[:100_000])
    refused = unpack(path, tmp_path / "out")
    assert refused
    assert files_below(tmp_path / "out") == {"a.txt": b"1"}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100])
def test_a_file_that_is_no_archive_is_an_error_that_names_it(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"data{ending}"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=f"data{ending}"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("encoding", ["gbk", "utf-8"])
def test_names_of_programs_that_do_not_say_their_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    path = packed(tmp_path / "data.zip", {"xxxx" if encoding == "gbk" else "xxxxxx": b"1"})
    path.write_bytes(path.read_bytes().replace(b"x" * len("标注".encode(encoding)), "标注".encode(encoding)))
    assert unpack(path, tmp_path / "out") == []
    assert files_below(tmp_path / "out") == {"标注": b"1"}


def test_backslashes_in_a_zip_are_folders(tmp_path: Path) -> None:
    path = packed(tmp_path / "data.zip", {"images\\a.jpg": b"1"})
    assert unpack(path, tmp_path / "out") == []
    assert files_below(tmp_path / "out") == {"images/a.jpg": b"1"}


def test_the_folder_itself_may_be_a_member(tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    (tmp_path / "source").mkdir()
    with tarfile.open(path, "w:") as archive:
        archive.add(tmp_path / "source", arcname=".")
    assert unpack(path, tmp_path / "out") == []


def random_bytes(count: int) -> bytes:
    return random.Random(0).randbytes(count)
