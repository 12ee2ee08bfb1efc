"""A fabricated recipe: two sets, a baseline and a chain, curves, speech, and one transcript with markup in it."""

import numpy as np
import pytest

from tokenchain_toolkit.bin import score
from tokenchain_toolkit.data.audio import write_audio
from tokenchain_toolkit.data.kaldi import write_table
from tokenchain_toolkit.files import write_json, write_text

MARKUP = "one <b>two</b> three"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    references = {f"u{number}": MARKUP for number in range(12)}
    hypotheses = {
        "chain_baseline": dict.fromkeys(references, "one <b>2</b> 3"),
        "chain_st_argmax": dict.fromkeys(references, "one <b>2</b> three"),
    }
    write_table(tmp_path / "data/read/text", references)
    wavs = {}
    for utt_id in references:
        wavs[utt_id] = f"data/read/wav/{utt_id}.wav"
        write_audio(tmp_path / wavs[utt_id], np.zeros(800, dtype=np.float32), sample_rate=8000)
    write_table(tmp_path / "data/read/wav.scp", wavs)
    write_table(tmp_path / "exp/t2s/synth_read/wav.scp", wavs)
    for experiment, table in hypotheses.items():
        folder = tmp_path / "exp" / experiment
        write_table(folder / "decode_read/text", table)
        write_text(
            folder / "metrics.csv",
            "epoch,step,train/loss,valid/wer_ctc\n0,0,3.0,\n0,1,2.0,\n0,1,,0.9\n1,2,1.0,\n1,3,,0.5\n",
        )
        options = {"hyp": folder / "decode_read/text", "ref": "data/read/text", "set": "read", "model": "chain"}
        options |= {"experiment": experiment, "trained": folder, "out": folder / "decode_read/score.json"}
        options["command"] = "decode"
        write_json(folder / "model.json", {"epoch": 2})
        if experiment != "chain_baseline":
            options["baseline"] = "exp/chain_baseline/decode_read/text"
        assert score.main([f"--{name}={value}" for name, value in options.items()]) == 0
    write_json(tmp_path / "exp/chain_baseline/.done", {"seconds": 61.0})
    write_json(tmp_path / "exp/tokenizer_mfcc/manifest.json", {"semantic": {"num_clusters": 77}})
    write_text(tmp_path / "dump/mfcc/read/skipped.tsv", "v1\ttoo short\nv2\ttoo short\nv3\tno samples\n")
    return tmp_path
