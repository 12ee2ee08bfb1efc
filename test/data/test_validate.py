"""Each bad input is named: file and line, utterance, and how to mend it."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin.validate import main
from tokenchain_toolkit.data.audio_scan import AudioRules
from tokenchain_toolkit.data.kaldi import write_data_dir
from tokenchain_toolkit.data.validate import ValidationReport, validate_data_dir

RATE = 16000


def noise(seconds: float = 0.5, *, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-level, level, int(seconds * RATE)).astype(np.float32)


def make_data_dir(folder: Path, num: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    ids = [f"s{number % 2}-u{number}" for number in range(num)]
    for utt_id in ids:
        write_wav(folder, utt_id, noise())
    write_data_dir(
        folder / "data",
        wavs={utt_id: str(folder / f"{utt_id}.wav") for utt_id in ids},
        texts=dict.fromkeys(ids, "one two"),
        speakers={utt_id: utt_id[:2] for utt_id in ids},
    )
    return folder / "data"


def write_wav(folder: Path, utt_id: str, samples: np.ndarray, *, rate: int = RATE, subtype: str = "FLOAT") -> None:
    soundfile.write(folder / f"{utt_id}.wav", samples, rate, subtype=subtype)


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")


def assert_only(findings: list[str], *parts: str) -> None:
    assert len(findings) == 1, findings
    for part in parts:
        assert part in findings[0]


def test_a_good_directory_is_summed_up(tmp_path: Path) -> None:
    report = validate_data_dir(make_data_dir(tmp_path))
    assert report.ok and not report.warnings
    assert (report.num_utterances, report.num_speakers, report.vocabulary_size) == (3, 2, 2)
    assert report.seconds == pytest.approx(1.5)
    assert report.sample_rates == {"16000": 3}


@pytest.mark.parametrize(
    ("name", "old", "new", "place", "parts"),
    [
        ("text", "s0-u2 one two", "s0-u2", "text:2", ("s0-u2: empty transcript", "write the transcript")),
        ("utt2spk", "s0-u2 s0", "s0-u2", "utt2spk:2", ("s0-u2: the speaker must be one word", "name one speaker")),
        ("utt2spk", "s0-u2 s0", "s0-u2 s 0", "utt2spk:2", ("'s 0'", "without spaces")),
        ("text", "s0-u2 one two\n", "", "text", ("s0-u2", "stands in wav.scp:2", "add its line to text")),
        ("text", "s0-u2 one", "s0-u2 one\ns0-u2 two", "text:3", ("s0-u2", "twice, first in line 2", "keep one")),
        ("text", "s0-u2 one", "\ns0-u2 one", "text:2", ("no utterance id", "remove the line")),
    ],
)
def test_faults_of_tables(tmp_path: Path, name: str, old: str, new: str, place: str, parts: tuple[str, ...]) -> None:
    folder = make_data_dir(tmp_path)
    edit(folder / name, old, new)
    assert_only(validate_data_dir(folder).problems, f"{folder}/{place}: ", *parts)


@pytest.mark.parametrize("bad", ["s0/u2", "../u2", "-u2", "s0$(u2)", "ü2"])
def test_ids_that_break_file_names(tmp_path: Path, bad: str) -> None:
    folder = make_data_dir(tmp_path)
    for name in ("wav.scp", "text", "utt2spk"):
        edit(folder / name, "s0-u2 ", f"{bad} ")
    problems = validate_data_dir(folder).problems
    faults = [line for line in problems if "cannot be a file name" in line]
    assert len(faults) == 3
    assert all(f": {bad}: " in line and "rename the utterance" in line for line in faults)
    assert faults[0].startswith(f"{folder}/wav.scp:2")


def test_unsorted_table(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    path = folder / "text"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    problems = validate_data_dir(folder).problems
    assert len(problems) == 2
    assert problems[0].startswith(f"{path}:2: s0-u2: out of order") and "LC_ALL=C sort" in problems[0]


@pytest.mark.parametrize("name", ["wav.scp", "text", "utt2spk"])
def test_missing_and_empty_tables(tmp_path: Path, name: str) -> None:
    folder = make_data_dir(tmp_path)
    (folder / name).unlink()
    assert_only(validate_data_dir(folder).problems, f"{folder / name} is missing", "stage 1")
    (folder / name).write_text("")
    problems = validate_data_dir(folder).problems
    assert problems[0].startswith(f"{folder / name} is empty") and len(problems) == 4


def test_table_that_is_not_utf8(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    (folder / "text").write_bytes("s0-u0 naïve\ns0-u2 one\ns1-u1 one\n".encode("latin-1"))
    assert_only(validate_data_dir(folder).problems, f"{folder / 'text'}:1 is not UTF-8", "iconv")


@pytest.mark.parametrize("command", ["touch {0} |", "| touch {0}"])
def test_commands_in_wav_scp_are_refused_and_not_run(tmp_path: Path, command: str) -> None:
    folder = make_data_dir(tmp_path)
    edit(folder / "wav.scp", str(tmp_path / "s0-u2.wav"), command.format(tmp_path / "ran"))
    assert_only(validate_data_dir(folder).problems, "wav.scp:2: s0-u2: ", "never run", "write its output to a file")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("samples", "parts"),
    [
        (noise(0.01), ("is shorter than 0.1 s (0.01 s)", "lower --min_seconds")),
        (noise(2.5), ("is longer than 2 s (2.50 s)", "cut it")),
        (np.zeros(0, np.float32), ("holds no samples", "record it again")),
        (np.append(noise(), np.float32("nan")), ("NaN or infinite", "write it again")),
        (np.append(noise(), np.float32("-inf")), ("NaN or infinite", "write it again")),
        (np.stack([noise(), noise()], axis=1), ("has 2 channels", "--allow_resample")),
    ],
)
def test_faults_of_samples(tmp_path: Path, samples: np.ndarray, parts: tuple[str, ...]) -> None:
    folder = make_data_dir(tmp_path)
    write_wav(tmp_path, "s0-u2", samples)
    report = validate_data_dir(folder, rules=AudioRules(max_seconds=2.0))
    assert_only(report.problems, f"{folder}/wav.scp:2: s0-u2: {tmp_path}/s0-u2.wav ", *parts)


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("s0-u2.wav", None, ("is no file", "mend the path")),
        ("s0-u2.wav", b"", ("not readable as audio", "WAV or FLAC")),
        ("s0-u2.wav", b"RIFF\xff\xff\xff\xffWAVEjunk and more junk", ("not readable as audio", "WAV or FLAC")),
        ("s0-u2.raw", b"\0" * 64, ("not readable as audio", "WAV or FLAC")),
    ],
)
def test_files_that_are_no_audio(tmp_path: Path, name: str, content: bytes | None, parts: tuple[str, ...]) -> None:
    folder = make_data_dir(tmp_path)
    (tmp_path / "s0-u2.wav").unlink()
    edit(folder / "wav.scp", "s0-u2.wav", name)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_only(validate_data_dir(folder).problems, f"wav.scp:2: s0-u2: {tmp_path / name} ", *parts)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    path = tmp_path / "s0-u2.wav"
    write_wav(tmp_path, "s0-u2", noise(), subtype="PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[:-4000])
    assert_only(validate_data_dir(folder).problems, f"wav.scp:2: s0-u2: {path} is cut off", "16000 bytes", "copy")
    # A program that wrote to a pipe could not know the size; such a file is whole.
    size_at = content.index(b"data") + 4
    path.write_bytes(content[:size_at] + b"\xff\xff\xff\xff" + content[size_at + 4 :])
    assert validate_data_dir(folder).ok


def test_other_rate_needs_leave(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    write_wav(tmp_path, "s0-u2", np.stack([noise(), noise()], axis=1), rate=8000)
    problems = validate_data_dir(folder).problems
    assert len(problems) == 2
    assert "s0-u2" in problems[0] and "has 8000 Hz, not 16000 Hz" in problems[0] and "--allow_resample" in problems[0]
    report = validate_data_dir(folder, rules=AudioRules(allow_resample=True))
    assert report.ok and report.sample_rates == {"16000": 2, "8000": 1}


def test_clipping_and_silence_are_warnings(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    write_wav(tmp_path, "s0-u0", np.clip(noise(level=2.0), -1, 1), subtype="PCM_16")
    write_wav(tmp_path, "s0-u2", np.zeros(RATE, np.float32))
    report = validate_data_dir(folder)
    assert report.ok and len(report.warnings) == 2
    assert "wav.scp:1: s0-u0: " in report.warnings[0] and "is clipped: 5" in report.warnings[0]
    assert "wav.scp:2: s0-u2: " in report.warnings[1] and "silent" in report.warnings[1]


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path, num=5)
    (tmp_path / "s0-u0.wav").unlink()
    write_wav(tmp_path, "s0-u2", noise(0.01))
    edit(folder / "text", "s1-u1 one two", "s1-u1")
    text = "\n".join(validate_data_dir(folder).problems)
    assert all(utt_id in text for utt_id in ("s0-u0", "s0-u2", "s1-u1"))


def test_characters_without_a_token(tmp_path: Path) -> None:
    class OnlyLetters:
        def unknown_characters(self, text: str) -> list[str]:
            return sorted(set(text) - set("abcdefghijklmnopqrstuvwxyz "))

    folder = make_data_dir(tmp_path)
    edit(folder / "text", "s0-u2 one two", "s0-u2 one 2")
    assert_only(
        validate_data_dir(folder, token_list=OnlyLetters()).problems, f"{folder}/text:2: s0-u2: ", "'2'", "train_bpe"
    )


@pytest.mark.parametrize("content", ["", "{}"])
def test_a_damaged_result_is_made_anew(tmp_path: Path, content: str) -> None:
    folder = make_data_dir(tmp_path)
    (folder / ".valid").write_text(content)
    assert validate_data_dir(folder).ok and len((folder / ".valid").read_text()) > 2


def test_a_byte_order_mark_is_one_problem(tmp_path: Path) -> None:
    text = make_data_dir(tmp_path) / "text"
    text.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    (problem,) = validate_data_dir(text.parent).problems
    assert problem.startswith(f"{text}:1: a byte-order mark")
    subprocess.run(problem.split("; ")[1], shell=True, check=True)
    assert validate_data_dir(text.parent).ok


def test_ends_of_lines_of_windows_are_one_problem(tmp_path: Path) -> None:
    text = make_data_dir(tmp_path) / "text"
    text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    (problem,) = validate_data_dir(text.parent).problems
    assert problem.startswith(f"{text}: lines end with a carriage return")
    subprocess.run(problem.split("; ")[1], shell=True, check=True)
    assert validate_data_dir(text.parent).ok


def test_no_job_at_all(tmp_path: Path, caplog) -> None:
    assert main([str(make_data_dir(tmp_path)), "--num_jobs", "0"]) == 1
    assert "--num_jobs 0 must be" in caplog.text


def test_a_set_named_for_training_and_validation(tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    folder = str(make_data_dir(tmp_path))
    assert main([folder, "--train_data", folder, "--valid_data", folder]) == 1
    assert f"problem: {folder} is the training set and named for validation or test, too" in caplog.text


def test_result_is_remembered_until_something_changes(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    stamp = folder / ".valid"

    def was_read_from_stamp(rules: AudioRules | None = None) -> bool:
        remembered = json.loads(stamp.read_text())
        remembered["report"]["num_speakers"] = 99
        stamp.write_text(json.dumps(remembered))
        return validate_data_dir(folder, rules=rules).num_speakers == 99

    first: ValidationReport = validate_data_dir(folder)
    assert validate_data_dir(folder) == first
    assert was_read_from_stamp()
    assert validate_data_dir(folder, overwrite=True) == first
    assert not was_read_from_stamp(AudioRules(min_seconds=0.2))
    edit(folder / "text", "s0-u2 one two", "s0-u2 one three")
    assert not was_read_from_stamp()
    write_wav(tmp_path, "s0-u2", noise(0.01))
    assert not was_read_from_stamp()
    assert not stamp.exists()


def test_nothing_but_the_stamp_is_written(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    validate_data_dir(folder)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after.pop(folder / ".valid") and after == before


def test_the_command_checks_every_folder_and_fails_if_one_is_bad(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    good, bad = make_data_dir(tmp_path / "good"), make_data_dir(tmp_path / "bad")
    assert main([str(good)]) == 0
    assert "3 utterances, 0.00 hours, 2 speakers, 2 different words; 16000 Hz (3); 0 problems" in caplog.text
    for name in ("s0-u0", "s0-u2"):
        (tmp_path / "bad" / f"{name}.wav").unlink()
    caplog.clear()
    assert main([str(bad), str(good), "--show", "1"]) == 1
    assert "problem: " in caplog.text and "and 1 more" in caplog.text
    assert f"{good}: 3 utterances" in caplog.text and "2 problems, listed above" in caplog.text


def test_the_command_checks_sets_against_each_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train, test = make_data_dir(tmp_path / "train"), make_data_dir(tmp_path / "test")
    edit(test / "text", "s0-u2 one two", "s0-u2 one zwei")
    assert main([str(test), str(train)]) == 0
    assert main([str(test), str(train), "--train_data", str(train)]) == 1
    assert f"{test} (test) and {train} (training) share 3 utterances" in caplog.text
    assert "characters that no training text has: 'i' 'z'" in caplog.text
    caplog.clear()
    (tmp_path / "bpe.yaml").write_text("required_characters: iz\n")
    assert main([str(test), str(train), "--train_data", str(train), "--bpe_config", str(tmp_path / "bpe.yaml")]) == 1
    assert "characters that no training text has" not in caplog.text and "1 problem, listed above" in caplog.text


def test_a_byte_that_is_no_text_hides_nothing_else(tmp_path: Path) -> None:
    folder = make_data_dir(tmp_path)
    (folder / "text").write_bytes(b"s0-u1 one\ns0-u2 \xff\ns1-u0\n")
    problems = "\n".join(validate_data_dir(folder).problems)
    assert "text:2 is not UTF-8" in problems and "text:3: s1-u0: empty transcript" in problems
