"""The commands that speak: whole tables in, folders of 16-bit audio out; dumps of the same set speak with one voice."""

import json

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import convert_voice, decode_t2s, speak, synthesize
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table, write_table
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.text.normalise import NORMALISERS

SHORT = ["t2s.max_frames_per_token=5", "s2a.first_level_steps=2", "s2a.prompt_frames=20"]


def options(**named):
    return [text for name, value in named.items() for text in (f"--{name}", str(value))]


def speak_with(parts, out, *more, **named):
    folders = {"t2s": parts.t2s, "s2a": parts.s2a, "tokenizer": parts.tokenizer, "out": out}
    return speak.main([*options(**(folders | named)), *more, *SHORT])


def check_audio(wavs):
    for path in wavs.values():
        info, samples_N = soundfile.info(path), soundfile.read(path)[0]
        assert (info.subtype, info.channels, info.samplerate) == ("PCM_16", 1, 16000)
        assert 1e-4 < np.abs(samples_N).max() <= 0.991


def test_a_table_of_texts_becomes_a_data_directory_once(parts, tmp_path, caplog):
    texts = {"one": "abc", "two": "cab de", "three": "ea"}
    prompts = {"one": parts.wavs["a-0"], "two": parts.wavs["b-1"], "three": parts.wavs["b-1"]}
    write_table(tmp_path / "texts", texts)
    write_table(tmp_path / "prompts", prompts)
    named = {"texts": tmp_path / "texts", "prompts": tmp_path / "prompts"}
    named |= {"norms_data": parts.data, "norms_dump": parts.dump}
    assert speak_with(parts, tmp_path / "out", "t2s.retries=1", **named) == 0
    made = read_data_dir(tmp_path / "out")
    assert made.texts == texts and made.speakers == {"one": "a-0", "two": "b-1", "three": "b-1"}
    assert read_table(tmp_path / "out" / "prompts") == prompts
    check_audio(made.wavs)
    bad = [line.split("\t") for line in (tmp_path / "out" / "bad.tsv").read_text().splitlines()]
    assert {utt_id for utt_id, _ in bad} <= set(texts) and "badly drawn" in caplog.text
    caplog.clear()
    assert speak_with(parts, tmp_path / "out", "t2s.retries=1", **named) == 0 and "is up to date" in caplog.text
    write_table(tmp_path / "texts", {"one": "abc"})
    assert speak_with(parts, tmp_path / "out", "t2s.retries=1", **named) == 0
    assert set(read_table(tmp_path / "out" / "wav.scp")) == {"one"}


def test_texts_on_the_command_line_are_numbered_and_normalised(parts, tmp_path):
    arguments = ["--text", "abc", "--text", "Cab, de!", "--normaliser", "words"]
    assert speak_with(parts, tmp_path / "out", *arguments, prompt=parts.wavs["a-0"]) == 0
    assert read_data_dir(tmp_path / "out").texts == {"text001": "abc", "text002": "cab de"}
    assert NORMALISERS.keys() == set(speak.NORMALISERS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "abc", "temperature=0"], "begin with the part that is meant"),
        (["--text", "abc", "t2s.temprature=0"], "temprature"),
        (["--text", "xyz"], "text001: the token list does not know"),
        (["--text", "abc", "--norms_dump", "dump"], "--norms_dump and --norms_data belong together"),
    ],
)
def test_what_cannot_be_done_is_named(parts, tmp_path, caplog, arguments, said):
    assert speak_with(parts, tmp_path / "out", *arguments, prompt=parts.wavs["a-0"]) == 1
    assert said in caplog.text and not (tmp_path / "out" / "wav.scp").exists()


def test_recordings_are_given_another_voice_or_their_own(parts, tmp_path, caplog):
    write_table(tmp_path / "wav.scp", parts.wavs)
    shared = options(s2a=parts.s2a, tokenizer=parts.tokenizer, wavs=tmp_path / "wav.scp")
    for name, more, expected in (
        ("own", [], parts.wavs),
        ("other", options(prompt=parts.wavs["b-1"]), dict.fromkeys(parts.wavs, parts.wavs["b-1"])),
    ):
        out = tmp_path / name
        assert convert_voice.main([*shared, "--out", str(out), *more, "first_level_steps=2", "prompt_frames=20"]) == 0
        wavs = read_table(out / "wav.scp")
        check_audio(wavs)
        assert read_table(out / "prompts") == expected and wavs.keys() == parts.wavs.keys()
        frames = dict(zip(read_dump(parts.dump).utt_ids, read_dump(parts.dump).lengths, strict=True))
        assert {utt_id: soundfile.info(path).frames for utt_id, path in wavs.items()} == {
            utt_id: 320 * length for utt_id, length in frames.items()
        }
    write_table(tmp_path / "prompts", {"a-0": parts.wavs["b-1"]})
    assert convert_voice.main([*shared, *options(prompts=tmp_path / "prompts", out=tmp_path / "some")]) == 1
    assert "5 utterances have no prompt, first a-2" in caplog.text
    twice = options(s2a=parts.s2a, tokenizer=parts.tokenizer, wav="x/a.wav", out=tmp_path / "twice")
    assert convert_voice.main([*twice, "--wav", "y/a.wav"]) == 1 and "two files are called a" in caplog.text


def test_dumps_of_one_set_are_spoken_by_the_same_utterances_in_the_same_voices(parts, tmp_path):
    folders = options(model=parts.t2s, data=parts.data, dump=parts.dump, out=tmp_path / "drawn")
    assert decode_t2s.main([*folders, "max_frames_per_token=5"]) == 0
    drawn = read_dump(tmp_path / "drawn").utt_ids
    assert drawn != read_dump(parts.dump).utt_ids, "the tables must be in different orders"
    shared = options(tokenizer=parts.tokenizer, s2a=parts.s2a, prompt_dump=parts.dump, data=parts.data, max_utts=3)
    found = []
    for dump in (parts.dump, tmp_path / "drawn"):
        out = tmp_path / f"synth_{dump.name}"
        arguments = [*shared, *options(dump=dump, out=out), "first_level_steps=2", "prompt_frames=20"]
        assert synthesize.main(arguments) == 0
        check_audio(read_table(out / "wav.scp"))
        found.append(read_table(out / "prompts"))
    assert found[0] == found[1] and list(found[0]) == ["a-0", "a-4", "b-5"]
    for utt_id, prompt in found[0].items():
        assert prompt != utt_id and parts.speakers[prompt] == parts.speakers[utt_id]
    assert json.loads((tmp_path / "drawn" / "retries.json").read_text())["drawn_again"] == 0
