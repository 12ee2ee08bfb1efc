"""Downloads from a server on this machine, which breaks off, refuses, or sends something else."""

import errno
import hashlib
import http.client
import io
import json
import ssl
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from tokenchain_toolkit.corpora import download
from tokenchain_toolkit.corpora.archives import AN4, LIBRISPEECH, LJSPEECH, OPENSLR, TEDLIUM2, fetch_all, needed_bytes
from tokenchain_toolkit.corpora.download import Archive, fetch
from tokenchain_toolkit.corpora.unpacking import unpack
from tokenchain_toolkit.errors import ConfigError, DataError

pytestmark = pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python unpacks nothing safely")


def tar_of(members, *, mode="w:gz"):
    """A tar archive of (name, content) or of members that are made already."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for member in members:
            info, content = (
                member if isinstance(member[0], tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            )
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, linkname=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    return info, b""


NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(200))  # does not compress
GOOD = tar_of([("corpus/README", b"read me"), ("corpus/wav/a.wav", NOISE)])
MD5 = f"md5:{hashlib.md5(GOOD).hexdigest()}"


class Server:
    """What is served, how, and what was asked for."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/corpus.tar.gz"
        self.body = GOOD
        self.break_after = []  # bytes after which each of the next answers ends
        self.ranges = True
        self.status = 200
        self.asked = []

    def answer(self, handler):
        """Send what is asked for, as the settings say."""
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if self.status != 200 or start >= len(self.body):
            handler.send_response(self.status if self.status != 200 else 416)
            handler.send_header("Content-Range", f"bytes */{len(self.body)}")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        handler.send_header("Content-Length", str(len(self.body) - start))
        handler.end_headers()
        stop = start + self.break_after.pop(0) if self.break_after else len(self.body)
        handler.wfile.write(self.body[start:stop])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.answer(self)

        def log_message(self, *arguments):
            """Keep the test's output quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Server(http.server_port)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    http.shutdown()
    http.server_close()


def get(server, folder, *, checksum=MD5, holds=("corpus/README", "corpus/wav"), **keywords):
    fetch(Archive(server.url, holds, checksum), folder, wait_seconds=0, **keywords)


def test_an_archive_is_fetched_checked_unpacked_and_removed_once(server, tmp_path):
    get(server, tmp_path)
    assert (tmp_path / "corpus" / "wav" / "a.wav").read_bytes() == NOISE
    assert [path.name for path in tmp_path.iterdir() if "tar" in path.name] == [".corpus.tar.gz.unpacked"]
    get(server, tmp_path)
    assert server.asked == [None]


def test_a_broken_transfer_goes_on_where_it_broke_off(server, tmp_path):
    server.break_after = [1000, 500]
    get(server, tmp_path)
    assert server.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert (tmp_path / "corpus" / "wav" / "a.wav").read_bytes() == NOISE


def test_a_killed_run_is_gone_on_with(server, tmp_path):
    (tmp_path / "corpus.tar.gz.part").write_bytes(GOOD[:77])
    get(server, tmp_path)
    assert server.asked == ["bytes=77-"]


def test_a_whole_part_is_only_renamed(server, tmp_path):
    (tmp_path / "corpus.tar.gz.part").write_bytes(GOOD)
    get(server, tmp_path)
    assert server.asked == [f"bytes={len(GOOD)}-"] and (tmp_path / "corpus").is_dir()


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server, tmp_path):
    (tmp_path / "corpus.tar.gz.part").write_bytes(GOOD + b"more")
    get(server, tmp_path)
    assert server.asked[1:] == [None] and (tmp_path / "corpus").is_dir()


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.ranges, server.break_after = False, [1000]
    get(server, tmp_path)
    assert (tmp_path / "corpus" / "wav" / "a.wav").read_bytes() == NOISE


def test_a_server_that_only_breaks_off_is_given_up_and_what_came_is_kept(server, tmp_path):
    server.break_after = [10] + [0] * download.ATTEMPTS
    with pytest.raises(DataError, match=r"corpus\.tar\.gz: cannot be downloaded .*go on after 10 bytes"):
        get(server, tmp_path)
    assert (tmp_path / "corpus.tar.gz.part").read_bytes() == GOOD[:10]
    assert len(server.asked) == download.ATTEMPTS + 1


BROKEN = {
    "no route to the host": OSError(errno.EHOSTUNREACH, "No route to host"),
    "no route to the network": OSError(errno.ENETUNREACH, "Network is unreachable"),
    "no network": OSError(errno.ENETDOWN, "Network is down"),
    "broken encryption": ssl.SSLError(1, "decryption failed or bad record mac"),
    "no answer": TimeoutError("timed out"),
    "reset": ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    "broken chunks": http.client.IncompleteRead(b""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_whatever_the_network_does_while_bytes_come_the_download_goes_on(kind, server, tmp_path, monkeypatch):
    read, read_blocks = http.client.HTTPResponse.read, []

    def breaks_in_the_second_block(response, amount):
        read_blocks.append(amount)
        if len(read_blocks) == 2:
            raise BROKEN[kind]
        return read(response, 1000 if len(read_blocks) == 1 else amount)

    monkeypatch.setattr(http.client.HTTPResponse, "read", breaks_in_the_second_block)
    get(server, tmp_path)
    assert server.asked == [None, "bytes=1000-"]
    assert (tmp_path / "corpus" / "wav" / "a.wav").read_bytes() == NOISE


def test_a_network_that_stays_away_is_given_up_in_plain_words(server, tmp_path, monkeypatch):
    def unreachable(response, amount):
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(http.client.HTTPResponse, "read", unreachable)
    with pytest.raises(DataError, match=r"cannot be downloaded \(.*No route to host\)"):
        get(server, tmp_path)
    assert len(server.asked) == download.ATTEMPTS


@pytest.mark.parametrize("kind", ["full", "not to be written"])
def test_what_the_disk_does_not_take_is_not_asked_for_again(kind, server, tmp_path):
    part = tmp_path / "corpus.tar.gz.part"
    if kind == "full":
        part.symlink_to("/dev/full")
    else:
        part.mkdir()
    told = {"full": "No space left on device", "not to be written": "Is a directory"}[kind]
    with pytest.raises(DataError, match=f"cannot be used .*{told}.*--downloads"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_a_refusal_is_final_and_says_what_to_do(server, tmp_path):
    server.status = 404
    with pytest.raises(DataError, match=r"404.*put it at .*corpus\.tar\.gz"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_a_wrong_checksum_is_named_and_the_download_thrown_away(server, tmp_path):
    server.body = GOOD[:-1] + b"x"
    with pytest.raises(DataError, match=f"not {MD5[4:]} as published"):
        get(server, tmp_path)
    assert not any(tmp_path.iterdir())
    server.body = GOOD
    get(server, tmp_path)
    assert server.asked == [None, None]


def test_an_archive_put_there_by_hand_is_checked_and_kept(server, tmp_path):
    (tmp_path / "corpus.tar.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"corpus\.tar\.gz: its md5 is .*remove it"):
        get(server, tmp_path)
    assert (tmp_path / "corpus.tar.gz").read_bytes() == b"something else"
    (tmp_path / "corpus.tar.gz").write_bytes(GOOD)
    get(server, tmp_path)
    assert (tmp_path / "corpus" / "README").is_file() and (tmp_path / "corpus.tar.gz").is_file()
    assert not server.asked


def test_a_downloaded_archive_is_kept_if_that_is_asked_for(server, tmp_path):
    get(server, tmp_path, keep_archive=True)
    assert (tmp_path / "corpus.tar.gz").read_bytes() == GOOD and server.asked == [None]


def test_what_was_removed_after_unpacking_is_fetched_again(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / "corpus" / "wav" / "a.wav").rename(tmp_path / "corpus" / "wav" / "b.wav")
    get(server, tmp_path)
    assert len(server.asked) == 1  # the folder is there; what is in it is its owner's business
    (tmp_path / "corpus").rename(tmp_path / "elsewhere")
    get(server, tmp_path)
    assert len(server.asked) == 2


def test_of_archives_that_share_a_folder_the_one_that_was_removed_is_fetched_again(server, tmp_path):
    bodies = {name: tar_of([("root/README", name.encode()), (f"root/{name}/a", NOISE)]) for name in ("one", "two")}

    def get_both():
        for name, body in bodies.items():
            server.body = body
            url = f"{server.url.rpartition('/')[0]}/{name}.tar.gz"
            fetch(Archive(url, (f"root/{name}",), f"md5:{hashlib.md5(body).hexdigest()}"), tmp_path, wait_seconds=0)

    get_both()
    (tmp_path / "root" / "README").unlink()  # not what anybody needs
    get_both()
    assert len(server.asked) == 2
    for name in bodies:
        (tmp_path / "root" / name).rename(tmp_path / f"{name}_elsewhere")
        get_both()
        assert (tmp_path / "root" / name / "a").read_bytes() == NOISE
    assert len(server.asked) == 4


def test_an_archive_without_what_is_needed_is_another_one(server, tmp_path):
    with pytest.raises(DataError, match=r"corpus\.tar\.gz holds no corpus/flac, so it is another archive"):
        get(server, tmp_path, holds=("corpus/wav", "corpus/flac"))


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.tar.gz", "ftp://127.0.0.1/a.tar.gz", "file:///etc/hosts"])
def test_addresses_that_cannot_be_trusted_are_refused(url, tmp_path):
    with pytest.raises(ConfigError, match="https"):
        fetch(Archive(url, ("corpus",)), tmp_path)


def test_archives_that_share_a_folder_fill_it_up(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.tar.gz").write_bytes(tar_of([("root/TABLE", b"same"), (f"root/{name}/a", b"1")]))
        unpack(tmp_path / f"{name}.tar.gz", tmp_path)
    assert sorted(path.name for path in (tmp_path / "root").rglob("*")) == ["TABLE", "a", "a", "one", "two"]


EVIL = {
    "above": ("../outside", b"x"),
    "far above": ("corpus/../../outside", b"x"),
    "link": special("corpus/link", tarfile.SYMTYPE, "../../outside"),
    "link to anywhere": special("corpus/link", tarfile.SYMTYPE, "/etc/hosts"),
    "hard link": special("corpus/link", tarfile.LNKTYPE, "/etc/hosts"),
    "device": special("corpus/device", tarfile.CHRTYPE),
    "pipe": special("corpus/pipe", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", EVIL)
def test_of_an_archive_with_an_evil_member_nothing_is_kept(kind, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "evil.tar.gz").write_bytes(tar_of([("corpus/README", b"read me"), EVIL[kind]]))
    with pytest.raises(DataError, match=r"evil\.tar\.gz: .*nothing of it was unpacked"):
        unpack(folder / "evil.tar.gz", folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["downloads", "evil.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_within_an_archive_is_left_out_and_named(kind, tmp_path, caplog):
    target = "README" if kind == tarfile.SYMTYPE else "corpus/README"
    archive = tar_of([("corpus/README", b"read me"), special("corpus/link", kind, target), ("corpus/a", b"1")])
    (tmp_path / "a.tar.gz").write_bytes(archive)
    unpack(tmp_path / "a.tar.gz", tmp_path)
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == ["README", "a"]
    assert f"corpus/link: a link to {target}, which is left out" in caplog.text


def test_an_absolute_name_stays_in_the_folder(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(tar_of([("/corpus/README", b"read me")]))
    unpack(tmp_path / "a.tar.gz", tmp_path)
    assert (tmp_path / "corpus" / "README").read_bytes() == b"read me"


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_an_archive_that_was_cut_off_is_named(mode, tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of([("corpus/a", NOISE)], mode=mode)[:3000])
    with pytest.raises(DataError, match=r"a\.tar: is damaged"):
        unpack(tmp_path / "a.tar", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_flipped_bits_in_an_archive_without_a_checksum_are_found(tmp_path):
    body = bytearray(GOOD)
    body[len(body) // 2] ^= 0xFF
    (tmp_path / "a.tar.gz").write_bytes(body)
    with pytest.raises(DataError, match="is damaged"):
        unpack(tmp_path / "a.tar.gz", tmp_path)


def test_every_published_archive_has_a_trusted_address_and_all_but_an4_a_checksum():
    for archive in (*LIBRISPEECH.values(), LJSPEECH, TEDLIUM2, AN4):
        assert archive.holds and archive.url.startswith("https://") and archive.name.endswith((".tar.gz", ".tar.bz2"))
        kind, _, digest = archive.checksum.partition(":")
        assert archive is AN4 or len(bytes.fromhex(digest)) == {"md5": 16, "sha256": 32}[kind]
    published = (*LIBRISPEECH.values(), LJSPEECH, TEDLIUM2)
    assert len({archive.checksum for archive in published}) == len({archive.holds for archive in published}) == 11


def test_a_mirror_takes_the_place_of_openslr(server, tmp_path):
    root = server.url.rpartition("/")[0]
    fetch_all([Archive(f"{OPENSLR}/12/corpus.tar.gz", ("corpus",), MD5)], tmp_path, openslr=f"{root}/resources/")
    record = json.loads((tmp_path / ".corpus.tar.gz.unpacked").read_text())
    assert record["url"] == f"{root}/resources/12/corpus.tar.gz" and record["holds"] == ["corpus"]


def test_what_does_not_fit_on_the_disk_is_not_begun(server, tmp_path, monkeypatch):
    archive = Archive(server.url, ("corpus",), MD5, size=10**9, growth=2.0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2_900_000_000))
    with pytest.raises(DataError, match=r"up to 3\.0 GB more, and 2\.9 GB are free"):
        fetch_all([archive], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_only_what_is_still_to_come_needs_room(tmp_path):
    first, second = (Archive(f"https://x/{name}.tar", (name,), size=1000, growth=1.5) for name in ("a", "b"))
    assert needed_bytes([first, second], tmp_path) == 2 * 1500 + 1000
    assert needed_bytes([first, second], tmp_path, keep_archives=True) == 2 * 1500 + 2000
    (tmp_path / "b.tar.part").write_bytes(bytes(400))
    assert needed_bytes([second], tmp_path) == 1500 + 600
    (tmp_path / ".a.tar.unpacked").touch()
    (tmp_path / "a").mkdir()
    assert needed_bytes([first], tmp_path) == 0
