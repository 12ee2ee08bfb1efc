import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tokenchain_toolkit.bin import report, score
from tokenchain_toolkit.data.kaldi import read_table, write_table
from tokenchain_toolkit.data.stamp import StageStamp
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import write_json, write_text
from tokenchain_toolkit.metrics.score_rows import ScoreRow, read_score_rows
from tokenchain_toolkit.report.audio import read_players, spread
from tokenchain_toolkit.report.curves import draw, read_curves
from tokenchain_toolkit.report.facts import read_skipped, read_stale
from tokenchain_toolkit.report.interval_plot import draw_changes
from tokenchain_toolkit.report.paper import CLAIMS, claims_beside_ours
from tokenchain_toolkit.report.results import (
    Comparison,
    clearly_lowest,
    collect_rows,
    comparisons,
    format_change,
    format_rate,
    headlines,
    metric_name,
    result_table,
)
from tokenchain_toolkit.report.settings import ReportConfig, ReportInputs

ROW = ScoreRow("chain_a", "chain", 3, "read", "wer", 0.055, 0.049, 0.0625, 10, "decode", "abc")


def build(recipe) -> str:
    assert report.main(["--title", "tiny"]) == 0
    return (recipe / "report.html").read_text()


def inputs(recipe) -> ReportInputs:
    return ReportInputs(exp=recipe / "exp", data=recipe / "data", dump=recipe / "dump")


def test_scores_travel_into_results_and_markdown(recipe):
    build(recipe)
    rows = {(row["experiment"], row["metric"]): row for row in json.loads((recipe / "results.json").read_text())}
    assert rows["chain_baseline", "wer"]["value"] == pytest.approx(2 / 3)
    assert rows["chain_st_argmax", "wer"]["value"] == pytest.approx(1 / 3)
    assert rows["chain_st_argmax", "wer_change"]["value"] == pytest.approx(-0.5)
    markdown = (recipe / "RESULTS.md").read_text()
    assert "| read | WER | 12 | 66.7 [66.7, 66.7] | 33.3 [33.3, 33.3] |" in markdown
    assert "| -50.0 % [-50.0, -50.0] | better |" in markdown
    assert "| exp/chain_baseline | 1 min 01 s |" in markdown


def test_a_second_run_writes_the_same_bytes(recipe):
    names = ("RESULTS.md", "results.json", "report.html")
    build(recipe)
    first = [(recipe / name).read_bytes() for name in names]
    build(recipe)
    assert [(recipe / name).read_bytes() for name in names] == first


def test_the_page_loads_nothing_and_escapes_transcripts(recipe):
    page = build(recipe)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:|//)""", page)
    assert {link[0] for link in re.findall(r'\bhref="([^"]*)"', page)} == {"#"}
    assert not re.search(r"<(script|link|iframe|img)\b", page)
    assert "<b>two</b>" not in page
    assert "&lt;b&gt;two&lt;/b&gt;" in page


def test_the_page_shows_every_part(recipe):
    page = build(recipe)
    for part in ("data:audio/wav;base64,UklGR", "valid/wer_ctc", "too short (2)", "num_clusters", "11.6 % lower"):
        assert part in page
    assert page.count("<svg") == 2
    assert page.count("<audio") == 2 * 8


def test_without_scores_the_command_says_what_to_run(tmp_path, caplog):
    assert report.main(["--exp", str(tmp_path), "--out", str(tmp_path), "--title", "t"]) == 1
    assert "run the score stage first" in caplog.text
    assert not (tmp_path / "report.html").exists()


def test_what_was_made_from_something_that_has_changed_is_called_stale(recipe, caplog):
    stamp = StageStamp(recipe / "exp/late", inputs=[Path("data/read/text"), Path("data/read/wav.scp")], config={})
    assert stamp.begin()
    stamp.finish()
    assert "Not up to date" not in build(recipe) + (recipe / "RESULTS.md").read_text()
    (recipe / "data/read/wav.scp").unlink()  # removed to save space
    assert read_stale(ReportInputs(exp=Path("exp"), data=Path("data"), dump=Path("dump"))) == {}
    write_text(recipe / "data/read/text", (recipe / "data/read/text").read_text().replace("three", "four"))
    page = build(recipe)
    assert "<code>exp/late</code> was made from data/read/text" in page
    assert "- `exp/late` was made from data/read/text, changed since" in (recipe / "RESULTS.md").read_text()
    assert "3 outputs are not up to date, such as exp/late; the report names them" in caplog.text
    assert "<code>exp/chain_st_argmax/decode_read/score.json</code> was made from data/read/text" in page


@pytest.mark.parametrize("name", ["RESULTS.md", "report.html"])
def test_a_page_that_somebody_wrote_is_not_replaced(recipe, caplog, name):
    build(recipe)
    build(recipe)
    write_text(recipe / name, "# My own results\nBuilt with TokenChain.\n")
    assert report.main(["--title", "tiny"]) == 1
    assert f"{name} was not made by this command" in caplog.text
    assert (recipe / name).read_text().startswith("# My own")


@pytest.mark.parametrize(
    ("name", "content"), [("model.json", '{"epoch": 2}'), ("text.json", "u1 one"), ("text", "u1 one")]
)
def test_scores_do_not_replace_a_file_of_another_kind(recipe, capsys, caplog, name, content):
    target = recipe / "exp/asr" / name
    write_text(target, content)
    words = ["--hyp=exp/chain_baseline/decode_read/text", "--ref=data/read/text", "--set=read", "--experiment=a"]
    try:
        assert score.main([*words, "--model=asr", f"--out={target}"]) == 1
    except SystemExit as refused:
        assert refused.code == 2
    told = capsys.readouterr().err + caplog.text
    assert any(each in told for each in ("holds something else than scores", "no JSON file", "must end in .json"))
    assert target.read_text() == content


def test_a_figure_stands_out_only_where_no_interval_of_another_overlaps():
    low, near, far = (
        replace(ROW, experiment=name, value=value, ci_low=value - 0.01, ci_high=value + 0.01)
        for name, value in (("low", 0.05), ("near", 0.06), ("far", 0.09))
    )
    assert clearly_lowest([far, low]) is low
    assert clearly_lowest([far, None, low, near]) is None
    assert clearly_lowest([low]) is None
    assert clearly_lowest([replace(low, ci_high=None), far]) is None
    assert clearly_lowest([replace(each, metric="wavlm_similarity") for each in (low, far)]) is None
    (tile,) = headlines([far, low, near])
    assert (tile.row, tile.alike) == (low, [near])


def test_scores_alone_are_enough(recipe):
    for path in sorted(recipe.rglob("*")):
        if path.is_file() and path.name != "score.json":
            path.unlink()
    assert "nothing comparable" in build(recipe)


def test_two_files_with_the_same_row_are_refused(recipe):
    text = (recipe / "exp/chain_baseline/decode_read/score.json").read_text()
    write_text(recipe / "exp/other/score.json", text)
    with pytest.raises(DataError, match="both hold wer of chain_baseline on read"):
        collect_rows(recipe / "exp")


def test_a_score_file_with_other_fields_is_refused(tmp_path):
    write_text(tmp_path / "score.json", '[{"experiment": "a", "colour": "red"}]')
    with pytest.raises(DataError, match="colour"):
        read_score_rows(tmp_path / "score.json")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.2, 0.1, "no difference seen"), (-0.2, -0.1, "better"), (0.1, 0.2, "worse"), (0.0, 0.2, "no difference seen")],
)
def test_the_verdict_follows_the_interval(low, high, verdict):
    change = replace(ROW, metric="wer_change", value=(low + high) / 2, ci_low=low, ci_high=high, baseline="chain_b")
    assert Comparison(change, None, ROW).verdict == verdict
    opposite = {"better": "worse", "worse": "better"}.get(verdict, verdict)
    assert Comparison(replace(change, metric="wavlm_similarity_change"), None, ROW).verdict == opposite


def test_a_change_on_a_few_utterances_is_not_judged():
    change = replace(ROW, metric="wer_change", value=-0.2, ci_low=-0.3, ci_high=-0.1, baseline="chain_b")
    assert Comparison(replace(change, n=10), None, ROW).verdict == "better"
    few = replace(change, n=9)
    assert Comparison(few, None, ROW).verdict == "fewer than 10 utterances, so no verdict"
    assert (format_change(change), format_change(few)) == ("-20.0 % [-30.0, -10.0]", "-20.0 %")
    assert "[" in format_rate(ROW) and "[" not in format_rate(replace(ROW, n=9))


def test_only_changes_that_have_a_verdict_are_counted(recipe):
    build(recipe)
    assert "1 change is judged here" in (recipe / "RESULTS.md").read_text()
    path = recipe / "exp/chain_st_argmax/decode_read/score.json"
    path.write_text(path.read_text().replace('"n": 12', '"n": 9'))
    build(recipe)
    assert "0 changes are judged here" in (recipe / "RESULTS.md").read_text()


def test_only_error_rates_are_drawn_where_left_is_better():
    change = replace(ROW, metric="wer_change", baseline="chain_b")
    similarity = Comparison(replace(change, metric="wavlm_similarity_change"), None, ROW)
    assert draw_changes([similarity]) == ""
    drawn = draw_changes([similarity, Comparison(change, None, ROW)])
    assert "WER" in drawn and "Similarity" not in drawn


def test_a_comparison_at_other_epochs_says_so():
    other = replace(ROW, experiment="chain_b", epoch=5)
    unequal, equal = Comparison(ROW, other, ROW), Comparison(ROW, replace(other, epoch=3), ROW)
    assert (unequal.epochs, equal.epochs) == ("3 against 5", "3")
    assert [bool(beside.ours) for beside in claims_beside_ours([unequal])] == [False] * len(CLAIMS)
    assert claims_beside_ours([equal])[0].ours == ["chain_a, read, WER: +5.5 % [+4.9, +6.2]"]


def test_a_chain_is_compared_with_what_it_started_from_beside_its_baseline(recipe):
    folder = recipe / "exp"
    before = {utt_id: "1 2 3" for utt_id in read_table(folder / "chain_baseline/decode_read/text")}
    write_table(folder / "asr/decode_read/text", before)
    write_json(folder / "asr/model.json", {"epoch": 2})
    common = ["--ref=data/read/text", "--set=read"]
    options = {"chain_st_argmax": ["chain_baseline", "asr"], "asr": []}
    for experiment, others in options.items():
        against = [f"exp/{other}/decode_read/text" for other in others]
        words = ["--experiment", experiment, "--model", experiment.split("_")[0], "--trained", f"exp/{experiment}"]
        words += ["--hyp", f"exp/{experiment}/decode_read/text", "--out", f"exp/{experiment}/decode_read/score.json"]
        assert score.main([*common, *words, *(["--baseline", *against] if against else [])]) == 0
    page = build(recipe)
    found = {each.change.baseline: each for each in comparisons(collect_rows(folder))}
    assert found["chain_baseline"].change.value == pytest.approx(-1 / 2)
    assert found["asr"].change.value == pytest.approx(-2 / 3)
    # Both have two epochs, and those of the recogniser were before the chain's.
    assert (found["asr"].since_start, found["asr"].equal_epochs) == (True, False)
    assert (found["chain_baseline"].since_start, found["chain_baseline"].equal_epochs) == (False, True)
    claimed = [line for each in claims_beside_ours(list(found.values())) for line in each.ours]
    assert len(claimed) == 1 and "-50.0 %" in claimed[0]
    assert "chain_st_argmax against asr · read · WER" in page
    assert all(
        "Against asr, which the chains started from" in text for text in (page, (recipe / "RESULTS.md").read_text())
    )


def test_values_are_shown_in_percent_only_where_they_are_rates():
    assert format_rate(ROW) == "5.5 [4.9, 6.2]"
    assert format_rate(replace(ROW, metric="similarity", value=0.5, ci_low=None)) == "0.50"
    assert (format_rate(None), metric_name("t2s_wer"), metric_name("resynthesis_wer")) == (
        "–",
        "T2S-WER",
        "Resynthesis-WER",
    )


def test_each_epoch_of_an_experiment_is_a_column():
    table = result_table([ROW, replace(ROW, epoch=4), replace(ROW, experiment="asr")])
    assert table.columns == ["asr", "chain_a (epoch 3)", "chain_a (epoch 4)"]
    assert [row.epoch for row in table.lines[0][3] if row] == [3, 3, 4]


def test_curves_average_an_epoch_and_prefer_epoch_columns(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,loss_step,loss_epoch,acc\n0,0,9,,\n0,1,7,,\n0,1,,8,\n1,2,,4,0.5\n1,2,,,0.7\n")
    assert read_curves(path) == {"loss": [(0, 8), (1, 4)], "acc": [(1, pytest.approx(0.6))]}


def test_runs_of_one_epoch_stand_over_their_names():
    points = {"chain_baseline": {"valid/loss": [(0.0, 2.0)]}, "chain_st_argmax": {"valid/loss": [(0.0, 3.0)]}}
    svg = draw("chain", points)
    assert ">baseline<" in svg and ">st_argmax<" in svg
    points["chain_baseline"]["valid/loss"].append((1.0, 1.5))
    assert ">baseline<" not in draw("chain", points)


def test_what_hardly_changes_is_drawn_without_an_offset():
    svg = draw("asr", {"asr": {"train/lr": [(0.0, 1234.5), (1.0, 1234.6)]}})
    labels = [
        float(text.replace("\N{MINUS SIGN}", "-")) for text in re.findall(r">([\d.\N{MINUS SIGN}e+]+)</text>", svg)
    ]
    assert any(1230 < label < 1240 for label in labels) and "+1.2" not in svg


def test_players_keep_within_the_size_limit(recipe):
    played = read_players(inputs(recipe), ReportConfig(audio_megabytes=0.02))[0]
    sizes = [len(uri) for utterance in played.utterances for _, uri in utterance.players]
    assert 0 < sum(sizes) <= 20_000
    assert played.num_synthesized == 12


def test_players_hold_the_natural_recording_first(recipe):
    utterance = read_players(inputs(recipe), ReportConfig())[0].utterances[0]
    assert [source for source, _ in utterance.players] == ["natural", "t2s"]


def test_what_every_system_has_spoken_is_played(recipe):
    wavs = {utt_id: f"data/read/wav/{utt_id}.wav" for utt_id in ("u3", "u5")}
    write_table(recipe / "exp/s2a/synth_read/wav.scp", wavs)
    (played,) = read_players(inputs(recipe), ReportConfig())
    assert [each.utt_id for each in played.utterances] == ["u3", "u5"] and played.num_synthesized == 2
    assert [source for source, _ in played.utterances[0].players] == ["natural", "s2a", "t2s"]


def test_spread_covers_the_whole_list():
    assert spread(list("abcdefgh"), 4) == list("aceg")
    assert spread(["a"], 4) == ["a"]


def test_skipped_utterances_are_counted_by_reason(recipe):
    (skipped,) = read_skipped(inputs(recipe))
    assert (skipped.count, skipped.reasons) == (3, [("too short", 2), ("no samples", 1)])


def test_the_speed_of_synthesis_is_shown_against_real_time(recipe):
    speed = {"num_utts": 3, "speech_seconds": 90.0, "seconds": 4.0, "num_threads": 1}
    write_json(recipe / "exp/t2s/synth_read/speed.json", {**speed, "network_passes": 23, "guided": True})
    write_json(recipe / "exp/codec/synth_read/speed.json", {**speed, "network_passes": None})
    page = build(recipe)
    results = (recipe / "RESULTS.md").read_text()
    assert "| exp/t2s/synth_read | 3 | 1 min 30 s | 22.5 | 1 | 23 of twice the batch |" in results
    assert "| exp/codec/synth_read | 3 | 1 min 30 s | 22.5 | 1 | – |" in results
    assert page.count(">22.5<") == 2
