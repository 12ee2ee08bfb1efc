"""Extraction: resumable shards, exact merging, bad audio named and counted."""

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import extract_tokens as command
from tokenchain_toolkit.data.audio import read_audio
from tokenchain_toolkit.data.kaldi import write_table
from tokenchain_toolkit.data.shards import Shard, Workers
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.tokenizers import extraction
from tokenchain_toolkit.tokenizers.tokenizer import Tokenizer, load_tokenizer


@pytest.fixture
def many(wavs):
    """45 names for the same six files: three shards."""
    paths = list(wavs.values())
    return {f"name{index:02d}": paths[index % len(paths)] for index in range(45)}


def bad_audio(folder):
    """One file of each kind of damage, and the words that must name it."""
    folder.mkdir(parents=True)
    soundfile.write(folder / "empty.wav", np.zeros(0), 16000)
    soundfile.write(folder / "nan.wav", np.full(4000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "short.wav", np.zeros(100), 16000)
    (folder / "corrupt.wav").write_bytes(b"RIFF and then nothing of use")
    words = {"missing": "no such", "empty": "no samples", "nan": "NaN", "short": "less than one", "corrupt": "readable"}
    return {name: str(folder / f"{name}.wav") for name in words}, words


def test_the_dump_holds_the_tokenizers_tokens(tokenizer_folder, wavs, tmp_path):
    extraction.extract_tokens(tokenizer_folder, wavs, tmp_path, workers=Workers())
    dump = read_dump(tmp_path, with_codes=True)
    tokenizer = load_tokenizer(tokenizer_folder)
    assert dump.utt_ids == list(wavs) and dump.manifest == tokenizer.manifest
    for index, path in enumerate(wavs.values()):
        [(semantic_T, codes_TQ)] = tokenizer.encode([read_audio(path, sample_rate=16000)])
        assert np.array_equal(dump.semantic_of(index), semantic_T) and np.array_equal(dump.codes_of(index), codes_TQ)


@pytest.mark.parametrize("lost", ["codes.00001.ark", "skipped.00001.tsv", ".00001.done"])
def test_a_rerun_makes_only_the_lost_shard(tokenizer_folder, many, tmp_path, monkeypatch, lost):
    extraction.extract_tokens(tokenizer_folder, many, tmp_path, workers=Workers())
    before = read_dump(tmp_path, with_codes=True)
    (tmp_path / lost).unlink()
    made = []
    original = extraction.extract_shard
    monkeypatch.setattr(extraction, "extract_shard", lambda **call: (made.append(call["name"]), original(**call)))
    extraction.extract_tokens(tokenizer_folder, many, tmp_path, workers=Workers())
    after = read_dump(tmp_path, with_codes=True)
    assert made == ["00001"]
    assert after.utt_ids == before.utt_ids == list(many) and np.array_equal(after.codes, before.codes)


def test_speeds_reach_the_audio(tokenizer_folder, wavs, tmp_path):
    speeds = {utt_id: 1.25 if utt_id == "utt1" else 1.0 for utt_id in wavs}
    extraction.extract_tokens(tokenizer_folder, wavs, tmp_path / "plain", workers=Workers())
    extraction.extract_tokens(tokenizer_folder, wavs, tmp_path / "fast", workers=Workers(), speeds=speeds)
    plain, fast = read_dump(tmp_path / "plain").lengths, read_dump(tmp_path / "fast").lengths
    assert fast[1] == np.ceil(plain[1] / 1.25) and np.array_equal(np.delete(fast, 1), np.delete(plain, 1))


@pytest.mark.parametrize("torn_bytes", [0, 5, 400])
def test_a_killed_shard_goes_on_behind_the_last_whole_utterance(
    tokenizer_folder, wavs, tmp_path, monkeypatch, torn_bytes
):
    def killed_at(victim):
        encoded = []

        def encode_file(self, path, *, name, speed):
            if name == victim:
                raise KeyboardInterrupt
            encoded.append(name)
            return original(self, path, name=name, speed=speed)

        monkeypatch.setattr(Tokenizer, "encode_file", encode_file)
        return encoded

    original = Tokenizer.encode_file
    extraction.extract_tokens(tokenizer_folder, wavs, tmp_path / "whole", workers=Workers())
    killed_at("utt4")
    with pytest.raises(KeyboardInterrupt):
        extraction.extract_tokens(tokenizer_folder, wavs, tmp_path / "killed", workers=Workers())
    part = tmp_path / "killed" / ".codes.00000.ark.part"
    part.write_bytes(part.read_bytes()[: part.stat().st_size - torn_bytes])
    encoded = killed_at(None)
    extraction.extract_tokens(tokenizer_folder, wavs, tmp_path / "killed", workers=Workers())
    assert encoded == list(wavs)[{0: 4, 5: 3, 400: 3}[torn_bytes] :]
    for name in ("semantic.00000.ark", "codes.00000.ark", "semantic.scp", "codes.scp"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "killed").glob(".*.part"))


def shards_with(folder, *contents):
    shards = []
    for index, lines in enumerate(contents):
        (folder / f"semantic.{index}.scp").write_text("".join(f"{utt_id} x.ark:5\n" for utt_id in lines))
        shards.append(Shard(name=str(index), arguments={}, outputs=()))
    return shards


@pytest.mark.parametrize(
    ("contents", "words"),
    [((["a", "b"], ["b", "c"]), "b stands in two"), ((["a"], ["c"]), "b"), ((["a", "b"], ["c", "d"]), "d")],
)
def test_duplicates_gaps_and_strangers_are_named(tmp_path, contents, words):
    with pytest.raises(DataError, match=words):
        extraction.merge_scps(tmp_path, "semantic", shards_with(tmp_path, *contents), expected=["a", "b", "c"])
    assert not (tmp_path / "semantic.scp").exists()


def test_merging_keeps_the_order_of_the_set(tmp_path):
    extraction.merge_scps(tmp_path, "semantic", shards_with(tmp_path, ["b"], ["c", "a"]), expected=["c", "b", "a"])
    assert [line.split()[0] for line in (tmp_path / "semantic.scp").read_text().splitlines()] == ["c", "b", "a"]


def test_bad_audio_goes_to_the_list_with_its_reason(tokenizer_folder, wavs, tmp_path):
    bad, words = bad_audio(tmp_path / "bad")
    count = extraction.extract_tokens(
        tokenizer_folder, {**wavs, **bad}, tmp_path / "dump", workers=Workers(), max_skipped=0.5
    )
    reasons = dict(line.split("\t") for line in (tmp_path / "dump" / "skipped.tsv").read_text().splitlines())
    assert count == 5 and reasons.keys() == bad.keys()
    assert all(word in reasons[name] for name, word in words.items())
    assert read_dump(tmp_path / "dump").utt_ids == list(wavs)


def test_too_many_bad_utterances_stop_the_stage_until_they_are_mended(tokenizer_folder, many, tmp_path):
    path = tmp_path / "late.wav"
    table = {**many, "late": str(path)}
    out = tmp_path / "dump"
    with pytest.raises(DataError, match="1 of 46 .*late: .*no such"):
        extraction.extract_tokens(tokenizer_folder, table, out, workers=Workers())
    assert not (out / "semantic.scp").exists()
    soundfile.write(path, np.zeros(4000), 16000)
    assert extraction.extract_tokens(tokenizer_folder, table, out, workers=Workers()) == 0
    assert read_dump(out).utt_ids[-1] == "late"


def test_the_command_skips_what_is_up_to_date_and_redoes_what_is_stale(tokenizer_folder, wavs, tmp_path, caplog):
    caplog.set_level("INFO")
    write_table(tmp_path / "data" / "wav.scp", wavs)
    argv = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "dump"), "--tokenizer", str(tokenizer_folder)]
    assert command.main(argv) == 0
    assert command.main(argv) == 0
    assert "up to date" in caplog.text
    write_table(tmp_path / "data" / "wav.scp", dict(list(wavs.items())[:3]))
    assert command.main(argv) == 0
    assert read_dump(tmp_path / "dump").utt_ids == ["utt0", "utt1", "utt2"]


def test_the_command_names_a_missing_tokenizer(wavs, tmp_path, caplog):
    write_table(tmp_path / "data" / "wav.scp", wavs)
    argv = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "dump"), "--tokenizer", str(tmp_path / "none")]
    assert command.main(argv) == 1
    assert "none/manifest.json is missing" in caplog.text
