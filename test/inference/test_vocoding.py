"""From dumps to audio: whose voice, what is refused, what is made again."""

import shutil

import numpy as np
import pytest

from tokenchain_toolkit.bin import synthesize
from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.data.kaldi import read_table, write_data_dir
from tokenchain_toolkit.data.token_dump import read_dump, write_dump
from tokenchain_toolkit.inference.vocoding import _prompted


def run(parts, out, *more, **named):
    folders = {"tokenizer": parts.tokenizer, "dump": parts.dump, "data": parts.data, "out": out} | named
    return synthesize.main([*(f"--{name}={value}" for name, value in folders.items()), *more])


def with_s2a(parts, **named):
    return {"s2a": parts.s2a, "prompt_dump": parts.dump} | named


@pytest.fixture
def alone(parts, tmp_path):
    """The same recordings, as if each were of a speaker of its own."""
    folder = tmp_path / "alone"
    write_data_dir(folder, wavs=parts.wavs, texts=parts.texts, speakers={utt_id: utt_id for utt_id in parts.wavs})
    return folder


def test_who_is_alone_is_prompted_by_another_and_never_by_the_answer(parts, alone, tmp_path):
    codes = read_dump(parts.dump, with_codes=True)
    where = {utt_id: index for index, utt_id in enumerate(codes.utt_ids)}
    for data, shared in ((parts.data, True), (alone, False)):
        tokens = read_dump(parts.dump)
        for example in _prompted(tokens, list(range(6)), parts.dump, data, S2ADecodingConfig(prompt_frames=20)):
            assert example.prompt_id != example.utt_id
            assert (example.prompt_id[0] == example.utt_id[0]) or not shared
            assert len(example.semantic_T) == len(tokens.semantic_of(where[example.utt_id]))
            prompt_TQ = codes.codes_of(where[example.prompt_id])
            windows = np.lib.stride_tricks.sliding_window_view(prompt_TQ, 20, axis=0).transpose(0, 2, 1)
            assert (windows == example.prompt_codes_PQ).all(axis=(1, 2)).any()
    assert run(parts, tmp_path / "out", "first_level_steps=1", "prompt_frames=20", **with_s2a(parts, data=alone)) == 0
    prompts = read_table(tmp_path / "out" / "prompts")
    assert prompts.keys() == parts.wavs.keys() and all(utt_id != prompt for utt_id, prompt in prompts.items())


def test_a_lost_wav_is_made_again_if_the_stage_was_killed(parts, tmp_path):
    assert run(parts, tmp_path / "out") == 0
    (tmp_path / "out" / "wav" / "a-2.wav").unlink()
    (tmp_path / "out" / ".done").rename(tmp_path / "out" / ".started")  # as if it had been killed after its shards
    assert run(parts, tmp_path / "out") == 0
    assert (tmp_path / "out" / "wav" / "a-2.wav").is_file()


def test_what_cannot_be_synthesized_is_named(parts, tmp_path, caplog):
    dump = read_dump(parts.dump, with_codes=True)

    def cut(name, count):
        rows = [(dump.utt_ids[index], dump.semantic_of(index), dump.codes_of(index)) for index in range(count)]
        write_dump(tmp_path / name, iter(rows), manifest=dump.manifest)
        shutil.copy(parts.dump / ".done", tmp_path / name)
        return tmp_path / name

    def told(*more, **named):
        caplog.clear()
        assert run(parts, tmp_path / "out", *more, **named) == 1
        return caplog.text

    assert "lacks b-5 (1 in all)" in told(**with_s2a(parts, prompt_dump=cut("five", 5)))
    one = cut("one", 1)
    assert "no other one for its prompt" in told(**with_s2a(parts, dump=one, prompt_dump=one))
    assert "--max_utts 0 must be at least 1" in told("--max_utts=0")
    for more in (["temperature=0.5"], ["--prompt_dump", str(parts.dump)]):
        assert "are for S2A" in told(*more)
    assert "name a dump with acoustic codes" in told(s2a=parts.s2a)
