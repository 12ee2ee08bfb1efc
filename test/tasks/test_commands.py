"""The training commands: skip what is up to date, redo what changed, refuse other tokenizers and bad data."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tokenchain_toolkit.bin import train_asr, train_chain, train_s2a, train_t2s
from tokenchain_toolkit.data.kaldi import read_data_dir, write_data_dir
from tokenchain_toolkit.data.manifest import read_manifest
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.tasks import experiment

SHORT = ["training.max_epochs=1", "training.batch_frames=100", "training.accelerator=cpu", "training.precision=32-true"]
TINY_ASR = [
    *("model.embed_dim=8", "model.encoder_dim=8", "model.encoder_blocks=1", "model.attention_heads=2"),
    *("model.cgmlp_units=8", "model.cgmlp_kernel=3", "model.merge_kernel=3", "model.feed_forward_units=8"),
    *("model.decoder_layers=1", "model.decoder_units=8", *SHORT),
]
TINY_T2S = [
    *("model.hidden_dim=8", "model.num_layers=1", "model.num_heads=2", "model.feed_forward_dim=8", *SHORT),
]


def rows_of(folder):
    with (folder / "metrics.csv").open() as handle:
        return list(csv.DictReader(handle))


def test_an_asr_learns_eight_utterances_by_heart(trained_asr):
    first, *_, last = rows_of(trained_asr)
    assert float(last["valid/accuracy"]) > 0.9 and float(last["valid/ctc_ter"]) < 0.05
    assert float(last["train/loss"]) < 0.1 * float(first["train/loss"])


def test_a_second_run_has_nothing_to_do_and_a_changed_one_is_redone(recipe, tmp_path, caplog):
    out = tmp_path / "asr"
    assert train_asr.main(recipe.arguments(out, *TINY_ASR)) == 0
    assert {path.name for path in out.iterdir()} >= {
        *("config.yaml", "manifest.json", "metrics.csv", "model.json", "model.safetensors", "token_list", ".done")
    }
    written = (out / "model.safetensors").stat().st_mtime_ns
    caplog.clear()
    assert train_asr.main(recipe.arguments(out, *TINY_ASR)) == 0
    assert "asr is up to date" in caplog.text
    # Where it runs is nothing that a model is made from: a killed training goes on with other devices, too.
    elsewhere = ["training.device_frames=50", "training.num_workers=1", "training.num_nodes=2"]
    assert train_asr.main(recipe.arguments(out, *TINY_ASR, *elsewhere)) == 0
    assert (out / "model.safetensors").stat().st_mtime_ns == written
    caplog.clear()
    assert train_asr.main(recipe.arguments(out, *TINY_ASR, "training.max_epochs=2")) == 0
    assert "up to date" not in caplog.text and len(rows_of(out)) == 2
    assert json.loads((out / "model.json").read_text())["epoch"] == 2


def test_the_written_configuration_is_the_run(recipe, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert train_asr.main(recipe.arguments(first, *TINY_ASR, "training.seed=3")) == 0
    again = recipe.arguments(second, config=first / "config.yaml")
    assert train_asr.main(again) == 0
    weights, expected = (load_file(folder / "model.safetensors") for folder in (second, first))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"num_clusters": 13}, "semantic.num_clusters: 12 against 13"), ({"centroids": "f"}, "semantic.centroids_sha256")],
)
def test_tokens_of_another_tokenizer_are_refused(
    recipe, trained_asr, trained_t2s, other_manifest, tmp_path, caplog, changes, field
):
    name = f"other_{field[9:14]}_"
    added = recipe.add_set(name, ["abc", "bad"], manifest=other_manifest(**changes))
    assert train_asr.main(recipe.arguments(tmp_path / "asr", *TINY_ASR, valid_dump=added["train_dump"])) == 1
    assert field in caplog.text and f"{name}dump" in caplog.text
    caplog.clear()
    models = {"asr": trained_asr, "t2s": trained_t2s, "valid_data": added["train_data"], **added}
    chain = recipe.arguments(tmp_path / "chain", *SHORT, with_text=False, valid_dump=added["train_dump"], **models)
    assert train_chain.main(chain) == 1
    assert field in caplog.text
    assert not (tmp_path / "chain" / "asr").exists()


@pytest.mark.parametrize("count", [60, 120])
def test_infeasible_utterances_are_listed_or_refused(recipe, manifest, tmp_path, caplog, count):
    texts = ["abc"] * (count - 1) + ["abcdeabcde"]
    spoken = {f"utt{count - 1:03d}": np.arange(9, dtype=np.int16)}  # three encoder frames for eleven units
    added = recipe.add_set(f"odd{count}_", texts, manifest=manifest, spoken=spoken)
    out = tmp_path / "asr"
    status = train_asr.main(recipe.arguments(out, *TINY_ASR, "training.batch_frames=1000", **added))
    reason = "3 encoder frames for a transcript that needs 11"
    if count == 60:  # 1.7 %
        assert status == 1 and "1 of 60 utterances cannot be used" in caplog.text and reason in caplog.text
        assert not (out / "model.safetensors").exists()
    else:
        assert status == 0
        assert (out / "skipped.tsv").read_text() == f"utt119\t{reason}\n"


def test_a_chain_starts_from_its_models_and_writes_both(recipe, trained_asr, trained_t2s, tmp_path):
    out = tmp_path / "chain"
    extra = ["optim.lr=0.0", *SHORT, "training.average_best=0"]
    models = {"asr": trained_asr, "t2s": trained_t2s}
    assert train_chain.main(recipe.arguments(out, *extra, with_text=False, **models)) == 0
    for kind, source in models.items():
        weights, before = load_file(out / kind / "model.safetensors"), load_file(source / "model.safetensors")
        assert weights.keys() == before.keys()
        assert all(torch.equal(weights[name], before[name]) for name in before)
        assert load_model(out / kind, kind=kind).text_tokenizer.vocab_size == 9
        assert read_manifest(out / kind / "manifest.json") == read_manifest(source / "manifest.json")
    (row,) = rows_of(out)
    assert float(row["valid/t2s_accuracy"]) > 0.9


def test_a_chain_does_not_mind_that_its_models_are_trained_anew_meanwhile(
    recipe, trained_asr, trained_t2s, tmp_path, monkeypatch
):
    models = {"asr": tmp_path / "asr", "t2s": tmp_path / "t2s"}
    for kind, source in (("asr", trained_asr), ("t2s", trained_t2s)):
        shutil.copytree(source, models[kind])

    def fit_and_lose(*arguments, **options):
        for folder in models.values():
            shutil.rmtree(folder)
        return fit(*arguments, **options)

    fit = experiment.fit
    monkeypatch.setattr(experiment, "fit", fit_and_lose)
    out = tmp_path / "chain"
    assert train_chain.main(recipe.arguments(out, *SHORT, with_text=False, **models)) == 0
    assert all(load_model(out / kind, kind=kind).text_tokenizer.vocab_size == 9 for kind in models)


def test_models_of_different_text_units_are_refused(recipe, trained_asr, tmp_path, caplog):
    from tokenchain_toolkit.text.bpe import train_bpe

    train_bpe(["abc de", "ab"], tmp_path / "other_list", vocab_size=10)
    other = tmp_path / "t2s"
    assert train_t2s.main(recipe.arguments(other, *TINY_T2S, token_list=tmp_path / "other_list")) == 0
    models = {"asr": trained_asr, "t2s": other}
    assert train_chain.main(recipe.arguments(tmp_path / "chain", *SHORT, with_text=False, **models)) == 1
    assert "different text units" in caplog.text


def test_s2a_trains_and_loads(recipe, tmp_path):
    prompts = ["data.min_prompt_frames=2", "data.max_prompt_frames=5"]
    assert train_s2a.main(recipe.arguments(tmp_path / "s2a", *TINY_T2S, *prompts, with_text=False)) == 0
    s2a = load_model(tmp_path / "s2a", kind="s2a").module
    assert s2a.num_quantizers == 3 and s2a.codebook_size == 7


@pytest.mark.parametrize("missing", ["text", ".done"])
def test_a_missing_input_is_named(recipe, tmp_path, caplog, missing):
    replaced = {"train_data" if missing == "text" else "train_dump": tmp_path / "nowhere"}
    assert train_asr.main(recipe.arguments(tmp_path / "asr", *TINY_ASR, **replaced)) == 1
    assert "nowhere" in caplog.text and "missing" in caplog.text


def test_an_unknown_setting_is_named(recipe, tmp_path, caplog):
    assert train_asr.main(recipe.arguments(tmp_path / "asr", "model.blocks=2")) == 1
    assert "blocks" in caplog.text and not (tmp_path / "asr").exists()


def test_a_chain_uses_what_the_paired_share_leaves_and_the_sets_given(
    recipe, manifest, trained_asr, trained_t2s, tmp_path
):
    more = recipe.add_set("more_", ["a deed", "bead"], manifest=manifest, prefix="more")
    # What speech alone was said to be is not looked at.
    (more["train_data"] / "text").write_text("more000 42!\nmore001 ?\n")
    (tmp_path / "novel").mkdir()
    (tmp_path / "novel" / "text").write_text("line1 a bad bed\nline2 decade\n")
    labels = {"utt000": "abc", "utt001": "cab de", "utt002": "ea", "utt003": "bad", "utt004": "deed"}
    labels |= {"utt005": "ace bed", "utt006": "dab", "utt007": "be ad", "more000": "a deed", "more001": ""}
    (tmp_path / "labels").write_text("".join(f"{utt_id} {text}\n" for utt_id, text in labels.items()))
    models = {"asr": trained_asr, "t2s": trained_t2s}
    arguments = recipe.arguments(tmp_path / "chain", *SHORT, "data.paired_share=0.5", with_text=False, **models)
    ratios = [
        "unpaired.speech_ratio=1",
        "unpaired.feedback=st_argmax",
        "unpaired.text_ratio=1",
        "unpaired.sampling.temperature=0",
    ]
    evaluated = [f"--eval_data={recipe.root / 'data'}", f"--eval_dump={recipe.root / 'dump'}"]
    alone = [f"--speech_data={more['train_data']}", f"--speech_dump={more['train_dump']}"]
    arguments += [*ratios, f"unpaired.labels={tmp_path / 'labels'}", f"--text_data={tmp_path / 'novel'}"]
    arguments += [*alone, *evaluated]
    assert train_chain.main(arguments) == 0
    (row,) = rows_of(tmp_path / "chain")
    for name in ("speech_rec_loss", "speech_asr_loss", "text_asr_loss"):
        assert float(row[f"train/{name}"]) > 0
    assert float(row["train/label_error"]) == 0
    assert "more001\tits label is empty" in (tmp_path / "chain" / "skipped.tsv").read_text()
    (entry,) = json.loads((tmp_path / "chain" / "evaluation" / "epoch001.json").read_text())["sets"].values()
    assert len(entry["joint"]) == 8
    # Another file of labels makes another experiment; of these every word is wrong.
    (tmp_path / "labels").write_text("".join(f"{utt_id} e\n" for utt_id in labels))
    before = (tmp_path / "chain" / "asr" / "model.safetensors").stat().st_mtime_ns
    assert train_chain.main(arguments) == 0
    assert (tmp_path / "chain" / "asr" / "model.safetensors").stat().st_mtime_ns > before
    assert float(rows_of(tmp_path / "chain")[0]["train/label_error"]) == 1


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["unpaired.speech_ratio=1", "unpaired.feedback=soft"], "there is no speech alone"),
        (["unpaired.text_ratio=1"], "there is no text alone"),
        (["--text_data=."], "unpaired.text_ratio=0 leaves them unused"),
        (["unpaired.text_ratio=1", "--text_data=./empty"], "text: line2 has no text; remove the line"),
        (["--speech_data=."], "--speech_data names 1 folders and --speech_dump 0"),
        (["data.paired_share=0.5", "unpaired.speech_ratio=1", "unpaired.labels={labels}"], "has no line for utt"),
    ],
)
def test_speech_and_text_alone_that_are_not_there_are_named(
    recipe, trained_asr, trained_t2s, tmp_path, caplog, extra, message
):
    (tmp_path / "text").write_text("line1 abc\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "text").write_text("line1 abc\nline2\n")
    extra = [each.replace("=.", f"={tmp_path}").format(labels=tmp_path / "text") for each in extra]
    models = {"asr": trained_asr, "t2s": trained_t2s}
    arguments = recipe.arguments(tmp_path / "chain", *SHORT, with_text=False, **models)
    assert train_chain.main([*arguments, *extra]) == 1
    assert message in caplog.text


def test_utterances_that_are_the_only_ones_of_their_speakers_are_counted(recipe, manifest, tmp_path, caplog):
    added = recipe.add_set("alone_", ["abc", "bad", "cab de", "ea"], manifest=manifest)
    data = read_data_dir(added["train_data"])
    speakers = dict(zip(data.texts, ("ann", "bob", "ann", "cy"), strict=True))
    write_data_dir(added["train_data"], wavs=data.wavs, texts=data.texts, speakers=speakers)
    prompts = ["data.min_prompt_frames=2", "data.max_prompt_frames=5"]
    for command, with_text, said in ((train_s2a, False, "is cut into its prompt"), (train_t2s, True, "go without a")):
        caplog.clear()
        out = tmp_path / command.__name__
        assert command.main(recipe.arguments(out, *TINY_T2S, *prompts, with_text=with_text, **added)) == 0
        assert "2 of 4 training utterances (50.0 %) are the only ones" in caplog.text and said in caplog.text
    caplog.clear()
    assert train_s2a.main(recipe.arguments(tmp_path / "two", *TINY_T2S, *prompts, with_text=False)) == 0
    assert "the only ones of their speakers" not in caplog.text
