"""The commands that speak: whole tables in, folders of 16-bit audio out; dumps of the same set speak with one voice."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

from tokenchain_toolkit.bin import convert_voice, decode_t2s, speak, synthesize
from tokenchain_toolkit.data.audio_scan import AudioRules
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table, write_table
from tokenchain_toolkit.data.token_dump import read_dump
from tokenchain_toolkit.data.validate import UTT_ID, validate_data_dir
from tokenchain_toolkit.inference.spoken_inputs import clean_name, speaker_names
from tokenchain_toolkit.text.normalise import NORMALISERS
from tokenchain_toolkit.tokenizers.tokenizer import Tokenizer

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
    write_table(tmp_path / "said", {"one": "e", "three": "abc", "other": "e"})
    named = {name: tmp_path / name for name in ("texts", "prompts")} | {"prompt_texts": tmp_path / "said"}
    named |= {"norms_data": parts.data, "norms_dump": parts.dump}
    more = ("t2s.retries=1", "t2s.prompt_frames=5")
    assert speak_with(parts, tmp_path / "out", *more, **named) == 0
    settings = json.loads((tmp_path / "out" / ".done").read_text())["config"]
    assert settings["prompt_texts"] == {parts.wavs["a-0"]: "e", parts.wavs["b-1"]: "abc"}
    made = read_data_dir(tmp_path / "out")
    assert made.texts == texts and made.speakers == {"one": "a-0", "two": "b-1", "three": "b-1"}
    assert read_table(tmp_path / "out" / "prompts") == prompts
    check_audio(made.wavs)
    bad = [line.split("\t") for line in (tmp_path / "out" / "bad.tsv").read_text().splitlines()]
    assert {utt_id for utt_id, _ in bad} <= set(texts) and "badly drawn" in caplog.text
    caplog.clear()
    assert speak_with(parts, tmp_path / "out", *more, **named) == 0 and "is up to date" in caplog.text
    write_table(tmp_path / "texts", {"one": "abc"})
    assert speak_with(parts, tmp_path / "out", *more, **named) == 1
    assert "holds what was made of other rows" in caplog.text and read_data_dir(tmp_path / "out") == made
    assert speak_with(parts, tmp_path / "out", "--overwrite", *more, **named) == 0
    assert set(read_table(tmp_path / "out" / "wav.scp")) == {"one"}


def test_texts_on_the_command_line_are_numbered_and_normalised(parts, tmp_path):
    arguments = ["--text", "abc", "--text", "Cab, de!", "--normaliser", "words"]
    assert speak_with(parts, tmp_path / "out", *arguments, prompt=parts.wavs["a-0"]) == 0
    assert read_data_dir(tmp_path / "out").texts == {"text001": "abc", "text002": "cab de"}
    assert NORMALISERS.keys() == set(speak.NORMALISERS)


def test_what_prompts_say_is_said_for_each_of_them(parts, tmp_path, caplog):
    write_table(tmp_path / "texts", {"one": "abc"})
    write_table(tmp_path / "prompts", {"one": parts.wavs["a-0"]})
    named = {"texts": tmp_path / "texts", "prompts": tmp_path / "prompts"}
    assert speak_with(parts, tmp_path / "out", "--prompt_text", "abc", "t2s.prompt_frames=5", **named) == 1
    assert "--prompt_text is of one --prompt" in caplog.text
    write_table(tmp_path / "said", {"two": "abc"})
    assert speak_with(parts, tmp_path / "out", "t2s.prompt_frames=5", prompt_texts=tmp_path / "said", **named) == 1
    assert "said has none of the utterances" in caplog.text and not (tmp_path / "out").exists()


def test_what_a_prompt_says_is_of_no_use_to_a_model_that_knows_no_pace(parts, tmp_path, caplog):
    shutil.copytree(parts.t2s, tmp_path / "t2s")
    facts = json.loads((tmp_path / "t2s" / "model.json").read_text())
    facts["model"]["text_positions"] = "order"
    (tmp_path / "t2s" / "model.json").write_text(json.dumps(facts))
    arguments = ["--text", "abc", "--prompt_text", "abc", "t2s.prompt_frames=5"]
    assert speak_with(parts, tmp_path / "out", *arguments, prompt=parts.wavs["a-0"], t2s=tmp_path / "t2s") == 1
    assert "text_positions=order and knows no pace" in caplog.text and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "abc", "temperature=0"], "begin with the part that is meant"),
        (["--text", "abc", "t2s.temprature=0"], "temprature"),
        (["--text", "xyz"], "text001: the token list does not know"),
        (
            ["--text", "abc", "--prompt_text", "xyz", "t2s.prompt_frames=5"],
            "a-0.wav, by the text given for it: the token list does not know",
        ),
        (["--text", "abc", "--prompt_text", "abc"], "T2S hears no prompt"),
        (["--text", "abc", "--listener", "asr"], "--listener asr has nothing to do while t2s.most_misread is 1"),
        (["--text", "abc", "--device", "gpuu"], "PyTorch knows no such device"),
        (["--text", "abc", "t2s.most_misread=0.5"], "name its folder with --listener"),
        (["--text", "abc", "--norms_dump", "dump"], "--norms_dump and --norms_data belong together"),
    ],
)
def test_what_cannot_be_done_is_named(parts, tmp_path, caplog, arguments, said):
    assert speak_with(parts, tmp_path / "out", *arguments, prompt=parts.wavs["a-0"]) == 1
    assert said in caplog.text and not (tmp_path / "out" / "wav.scp").exists()


def test_an_asr_may_listen_to_what_is_spoken(parts, tmp_path):
    options = ["t2s.most_misread=0.0", "--listener", str(parts.asr)]  # between settings, as when it is appended
    assert speak_with(parts, tmp_path / "out", "--text", "abc", *options, prompt=parts.wavs["a-0"]) == 0
    assert "misread" in (tmp_path / "out" / "bad.tsv").read_text()  # by random weights


def test_all_that_cannot_be_spoken_is_named_before_any_work(parts, tmp_path, caplog):
    broken, short, silent = (tmp_path / f"{name}.wav" for name in ("broken", "short", "silent"))
    broken.write_bytes(b"RIFF")
    soundfile.write(short, np.zeros(319), 16000)
    soundfile.write(silent, np.zeros(0), 16000)
    good = parts.wavs["a-0"]
    texts = {"../../evil": "abc", "b/d": "abc", "f": "abc", "good": "abc", "h": "abc", "s": "abc", "x": "axy", "y": "a"}
    prompts = dict.fromkeys(texts, good) | {"f": broken, "h": short, "s": silent, "y": tmp_path / "none.wav"}
    for name, table in (("texts", texts), ("prompts", prompts), ("one", {"good": "abc"})):
        write_table(tmp_path / name, table)
    out, named = tmp_path / "folder" / "deep" / "out", {"prompts": tmp_path / "prompts"}
    assert speak_with(parts, out, texts=tmp_path / "one", **named) == 0
    finished = (out / "wav" / "good.wav").read_bytes()
    assert speak_with(parts, out, texts=tmp_path / "texts", **named) == 1
    assert "7 of 8 utterances cannot be spoken" in caplog.text and "first ../../evil: this id cannot be" in caplog.text
    assert "b/d: this id cannot be a file name; use A-Z" in caplog.text
    assert "x: the token list does not know 'x' (U+0078) 'y' (U+0079)" in caplog.text
    for utt_id, path, said in (
        *(("f", broken, "is not readable as audio"), ("h", short, "lasts 19.9 ms, less than one frame of 20 ms")),
        *(("s", silent, "holds no samples"), ("y", tmp_path / "none.wav", "is no file; mend the path\n")),
    ):
        assert f"{utt_id}: {path} {said}" in caplog.text
    assert "good:" not in caplog.text
    assert (out / "wav" / "good.wav").read_bytes() == finished, "what was finished is still there"
    caplog.clear()
    shared = options(s2a=parts.s2a, tokenizer=parts.tokenizer, out=tmp_path / "converted")
    write_table(tmp_path / "wavs", {"../evil": good, "f": broken})
    assert convert_voice.main([*shared, *options(wavs=tmp_path / "wavs", prompt=good)]) == 1
    assert "2 of 2 utterances cannot be spoken" in caplog.text and "../evil: this id" in caplog.text
    assert f"f: {broken} is not readable" in caplog.text and not (tmp_path / "converted").exists()


def test_a_model_that_is_no_t2s_is_named(parts, tmp_path, caplog):
    arguments = ["--text", "abc", "--prompt", parts.wavs["a-0"]]
    assert speak_with(parts, tmp_path / "out", *arguments, t2s=parts.s2a) == 1
    assert "holds a model of kind s2a" in caplog.text
    assert speak_with(parts, tmp_path / "out", *arguments, t2s=tmp_path / "none") == 1
    assert "none/model.safetensors is missing" in caplog.text


def test_names_of_files_become_names_of_utterances_and_speakers(parts, tmp_path, caplog):
    odd, folders = tmp_path / "my file.wav", [tmp_path / name for name in ("spk1", "spk2")]
    shutil.copy(parts.wavs["a-0"], odd)
    shared = options(s2a=parts.s2a, tokenizer=parts.tokenizer)
    arguments = [*shared, "first_level_steps=2", "prompt_frames=20", *options(wav=odd, out=tmp_path / "converted")]
    assert convert_voice.main(arguments) == 0
    wavs = read_table(tmp_path / "converted" / "wav.scp")
    check_audio(wavs)
    assert set(wavs) == {"my_file"} and read_table(tmp_path / "converted" / "prompts") == {"my_file": str(odd)}
    assert convert_voice.main([*arguments, "--wav", str(tmp_path / "my_file.wav")]) == 1
    assert "two files are called my_file" in caplog.text
    for folder, source in zip(folders, ("a-0", "b-1"), strict=True):
        folder.mkdir()
        shutil.copy(parts.wavs[source], folder / "my voice.wav")
    write_table(tmp_path / "texts", dict.fromkeys(("one", "three", "two"), "abc"))
    prompts = dict(zip(("one", "three", "two"), (folders[0], folders[0], folders[1]), strict=True))
    write_table(tmp_path / "prompts", {utt_id: folder / "my voice.wav" for utt_id, folder in prompts.items()})
    named = {"texts": tmp_path / "texts", "prompts": tmp_path / "prompts"}
    assert speak_with(parts, tmp_path / "out", **named) == 0
    assert read_data_dir(tmp_path / "out").speakers == {"one": "my_voice", "three": "my_voice", "two": "my_voice_2"}
    assert validate_data_dir(tmp_path / "out", rules=AudioRules(min_seconds=0)).ok


@pytest.mark.parametrize("stem", ["a", "my file", "..", "-x", ".hidden", "日本", "a/b", "a\nb", "x" * 20, "é", "$(rm)"])
def test_every_cleaned_name_can_be_that_of_an_utterance(stem):
    name = clean_name(f"{stem}.wav")
    assert UTT_ID.fullmatch(name) and clean_name(f"{name}.wav") == name


def test_files_and_speakers_are_in_one_to_one_correspondence(tmp_path):
    files = ["a/x.wav", "b/x.wav", "a/x_2.wav", "a/../a/x.wav", "c/x.flac", "b/x_2.wav", "a/x.wav"]
    speakers = speaker_names({str(number): str(tmp_path / file) for number, file in enumerate(files)})
    assert list(speakers) == [str(number) for number in range(len(files))]
    assert speakers["0"] == speakers["3"] == speakers["6"] == "x" and len(set(speakers.values())) == 5


def test_sound_is_made_again_for_another_head_and_another_transcript(parts, tmp_path, caplog):
    tokenizer, data = tmp_path / "tokenizer", tmp_path / "data"
    shutil.copytree(parts.tokenizer, tokenizer)
    shutil.copytree(parts.data, data)
    audio = {"tokenizer": tokenizer, "s2a": parts.s2a}
    write_table(tmp_path / "wavs", {"a-0": parts.wavs["a-0"]})
    text = ["--text", "abc", "--prompt", parts.wavs["b-1"]]
    decoding = ["first_level_steps=2", "prompt_frames=20"]
    outs = {name: tmp_path / name for name in ("synthesized", "converted", "spoken")}

    def run():
        """The wavs of each command, and which of them had nothing to do."""
        caplog.clear()
        codec = options(tokenizer=tokenizer, dump=parts.dump, data=data, out=outs["synthesized"], max_utts=1)
        assert synthesize.main(codec) == 0
        converted = options(wavs=tmp_path / "wavs", out=outs["converted"], **audio)
        assert convert_voice.main([*converted, *decoding]) == 0
        assert speak_with(parts, outs["spoken"], *text, tokenizer=tokenizer) == 0
        wavs = {
            name: [Path(path).read_bytes() for path in read_table(out / "wav.scp").values()]
            for name, out in outs.items()
        }
        return wavs, [name for name in outs if f"{outs[name]} is up to date" in caplog.text]

    first, _ = run()
    assert run() == (first, list(outs))
    head = load_file(tokenizer / "codec_head.safetensors")
    save_file({name: tensor + 0.3 for name, tensor in head.items()}, tokenizer / "codec_head.safetensors")
    second, idle = run()
    assert not idle and all(second[name] != first[name] for name in outs)
    write_table(data / "text", read_table(data / "text") | {"a-0": "dab"})
    assert run() == (second, ["converted", "spoken"])
    assert read_table(outs["synthesized"] / "text") == {"a-0": "dab"}


def test_sound_beyond_full_scale_is_scaled_and_not_clipped(parts, tmp_path, monkeypatch):
    decode, found = Tokenizer.decode, {}
    for name, factor in (("quiet", 1), ("loud", 100)):
        with monkeypatch.context() as louder:
            louder.setattr(Tokenizer, "decode", lambda *given, by=factor: [by * each for each in decode(*given)])
            folders = options(tokenizer=parts.tokenizer, dump=parts.dump, data=parts.data, out=tmp_path / name)
            assert synthesize.main([*folders, "--max_utts", "2"]) == 0
        wavs = read_table(tmp_path / name / "wav.scp")
        check_audio(wavs)
        found[name] = [soundfile.read(path)[0] for path in wavs.values()]
    for quiet_N, loud_N in zip(found["quiet"], found["loud"], strict=True):
        assert 100 * np.abs(quiet_N).max() > 2, "else nothing would clip"
        scaled_N = quiet_N * np.abs(loud_N).max() / np.abs(quiet_N).max()
        assert np.abs(loud_N).max() > 0.98 and np.abs(loud_N - scaled_N).max() < 0.01


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
