"""A list of checksums finds every file that changed, and is the one that `sha256sum` knows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from qvl.errors import RecordError
from qvl.runtime.checksums import CHECKSUMS_NAME, verify_checksums, write_checksums

NAMES = ("a.jpg", "deep/图 片.png", "new\nline", "back\\slash", "*star")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    files = [tmp_path / name for name in NAMES]
    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes([number]) * 1000)
    write_checksums(tmp_path / CHECKSUMS_NAME, files)
    return tmp_path / CHECKSUMS_NAME


def test_untouched_files_have_no_faults(manifest: Path) -> None:
    assert len(manifest.read_text().splitlines()) == len(NAMES)
    assert verify_checksums(manifest) == []


def test_the_tool_of_the_system_reads_the_list_and_writes_the_same(manifest: Path) -> None:
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("there is no sha256sum")
    subprocess.run([tool, "--check", "--strict", manifest.name], cwd=manifest.parent, check=True, capture_output=True)
    theirs = subprocess.run([tool, *NAMES], cwd=manifest.parent, check=True, capture_output=True, text=True).stdout
    assert sorted(theirs.splitlines()) == sorted(manifest.read_text().splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_found(manifest: Path, name: str) -> None:
    content = bytearray((manifest.parent / name).read_bytes())
    content[500] ^= 1
    (manifest.parent / name).write_bytes(content)
    [fault] = verify_checksums(manifest)
    assert (fault.code, fault.name) == ("checksum_mismatch", name)
    assert manifest.read_text().splitlines()[fault.line - 1].endswith(name.replace("\\", "\\\\").replace("\n", "\\n"))


def test_missing_and_cut_off_files_are_found_in_the_order_of_the_list(manifest: Path) -> None:
    (manifest.parent / "a.jpg").unlink()
    (manifest.parent / "*star").write_bytes(b"")
    found = {fault.name: fault.code for fault in verify_checksums(manifest)}
    assert found == {"a.jpg": "file_unreadable", "*star": "checksum_mismatch"}
    assert [fault.line for fault in verify_checksums(manifest)] == sorted(
        fault.line for fault in verify_checksums(manifest)
    )


def test_blank_lines_crlf_and_upper_case_are_tolerated(manifest: Path) -> None:
    digest = manifest.read_text().split("  a.jpg")[0].splitlines()[-1]
    manifest.write_bytes(b"\xef\xbb\xbf\r\n" + digest.upper().encode() + b" *a.jpg\r\n\r\n")
    assert verify_checksums(manifest) == []


@pytest.mark.parametrize("line", ["a.jpg", "0" * 63 + "  a.jpg", "0" * 64 + " a.jpg", "0" * 64, "{}"])
def test_a_line_of_another_form_is_named(manifest: Path, line: str) -> None:
    manifest.write_text(manifest.read_text() + line)
    with pytest.raises(RecordError, match=rf"{CHECKSUMS_NAME}:{len(NAMES) + 1}: expected a SHA-256"):
        verify_checksums(manifest)


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    for name in ("gone", "latin"):
        with pytest.raises(RecordError, match=f"{name}: cannot be read"):
            verify_checksums(tmp_path / name)
