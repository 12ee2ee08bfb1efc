"""The error ladder and the faults of T2S in the report: figures, verdicts, players within the limit."""

import re

import pytest

from tokenchain_toolkit.bin import report, score
from tokenchain_toolkit.data.kaldi import read_table, write_table
from tokenchain_toolkit.files import read_json, write_json
from tokenchain_toolkit.report.ladder import Cell, read_ladders
from tokenchain_toolkit.report.settings import ReportConfig, ReportInputs
from tokenchain_toolkit.report.t2s_faults import read_faults

RUNGS = (("natural", None), ("codec", "natural"), ("s2a", "codec"), ("chain_st_argmax", "s2a"))
METRICS = ["wer", "resemblyzer_similarity", "resemblyzer_similarity_to_other", "resemblyzer_nearer_to_own", "dnsmos"]
UTTERANCES = ("u3", "u7", "u1")


def figure(value, change):
    ends = {"ci_low": value - 0.05, "ci_high": value + 0.05}
    changed = None if change is None else {"value": change, "ci_low": change - 0.05, "ci_high": change + 0.05}
    return {"value": value, **ends, "n": 30, "change": changed}


def figures(place, above):
    """Each rung has more errors and another voice than the one above."""
    change = None if above is None else 0.1 * place
    worse = None if above is None else -0.1 * place
    rates = {"wer": figure(0.1 * place, change), "resemblyzer_similarity_to_other": figure(0.5, worse)}
    good = {"resemblyzer_similarity": figure(0.9, worse), "resemblyzer_nearer_to_own": figure(1.0, change)}
    return rates | good | {"dnsmos": figure(3.0, None if above is None else 0.01)}


@pytest.fixture
def with_ladder(recipe):
    """The fabricated recipe with a ladder of one set, an audit and what was drawn again."""
    heard = {
        name: {"wav": "data/read/wav/u1.wav", "text": f"read at {name} <i>", "word_errors": place, "figures": {}}
        for place, (name, _) in enumerate(RUNGS)
    }
    ladder = {
        "set": "read",
        "num_utts": 3,
        "metrics": METRICS,
        "settings": {
            metric: {"model": f"model of {metric[:4]}", "weights_sha256": "0123456789abcdef", "language": None}
            for metric in METRICS
        },
        "not_measured": {},
        "left_out": {"dnsmos": {"u3": "codec: it is silent"}},
        "rungs": [
            {"name": name, "above": above, "wavs": "somewhere", "figures": figures(place, above)}
            for place, (name, above) in enumerate(RUNGS)
        ],
        "utterances": {utt_id: {"text": "one two", "rungs": heard} for utt_id in UTTERANCES},
        "worst": list(UTTERANCES),
    }
    write_json(recipe / "exp/ladder_read/ladder.json", ladder)
    share = {"value": 0.25, "ci_low": 0.0, "ci_high": 0.5, "num_faulty": 3, "num_utts": 12}
    faults = ("runaway", "early_stop", "repetition", "skip", "any")
    folder = recipe / "exp/chain_st_argmax"
    audit = {"drawn": str(folder / "t2s_read"), "shares": dict.fromkeys(faults, share)}
    write_json(folder / "t2s_decode_read/audit.json", audit)
    bad = {"first_draw": {"any": 7}, "kept_draw": {"any": 2}}
    write_json(folder / "t2s_read/retries.json", {"drawn_again": 5, "bad_utts": bad})
    settings = {"model": "whisper", "sample_rate": 16000, "normaliser": "words"}
    measures = {"measures": {"resemblyzer_wer": {"settings": settings}}}
    scores = folder / "t2s_decode_read"
    recogniser = {"model": "exp/asr", "weights_sha256": "89abcdef" * 8, "sample_rate": 16000, "normaliser": "none"}
    write_json(scores / "recogniser.json", recogniser)
    write_table(scores / "text", read_table(recipe / "data/read/text"))
    options = ["--hyp", scores / "text", "--ref", recipe / "data/read/text", "--set", "read", "--model", "chain"]
    options += ["--experiment", "chain_st_argmax", "--metric_name", "t2s_wer", "--out", scores / "score.json"]
    assert score.main([str(word) for word in options]) == 0
    write_json(recipe / "exp/s2a/measures_read/measures.json", measures)
    return recipe


def inputs(recipe):
    return ReportInputs(exp=recipe / "exp", data=recipe / "data", dump=recipe / "dump")


def test_every_rung_and_what_it_costs_stand_in_the_tables(with_ladder):
    assert report.main(["--title", "tiny"]) == 0
    markdown = (with_ladder / "RESULTS.md").read_text()
    assert "on the same 3 utterances at every step" in markdown
    assert (
        "| S2A from true tokens | 20.0 [15.0, 25.0] | 0.90 [0.85, 0.95] | 0.50 [0.45, 0.55] | 100.0 [95.0, 105.0]"
        in markdown
    )
    costs = next(line for line in markdown.splitlines() if line.startswith("| T2S of chain_st_argmax |"))
    assert "+30.0 [+25.0, +35.0], worse" in costs and "-0.30 [-0.35, -0.25], worse" in costs
    assert costs.count("worse") == 2 and "+30.0 [+25.0, +35.0], better" in costs and "no difference seen" in costs
    assert "- WER: model of wer (weights sha256 01234567…)." in markdown
    assert "- T2S-WER: exp/asr (normaliser none, sample rate 16000, weights sha256 89abcdef…)" in markdown
    assert "- Resemblyzer-WER: whisper (normaliser words, sample rate 16000)" in markdown
    assert "- DNSMOS: without 1 utterance," in markdown and "the first is u3 (codec: it is silent)." in markdown
    assert "| read | chain_st_argmax | 12 | 25.0 [0.0, 50.0] |" in markdown and "| – | 5 | 7 | 2 |" in markdown


@pytest.mark.parametrize(
    ("listener", "told"), [("exp/chain/asr", "exp/chain/asr"), ("exp/asr", "exp/asr, which is the judge, too")]
)
def test_who_listened_stands_beside_what_was_drawn_again(with_ladder, listener, told):
    path = with_ladder / "exp/chain_st_argmax/t2s_read/retries.json"
    write_json(path, read_json(path) | {"listener": listener})
    assert report.main(["--title", "tiny"]) == 0
    assert f"| {told} | 5 | 7 | 2 |" in (with_ladder / "RESULTS.md").read_text()
    assert f"<td>{told}</td>" in (with_ladder / "report.html").read_text()


def test_the_worst_are_heard_at_every_rung_in_order(with_ladder):
    assert report.main(["--title", "tiny"]) == 0
    page = (with_ladder / "report.html").read_text()
    section = page[page.index('id="ladder"') : page.index('id="faults"')]
    assert section.count("<audio") == len(UTTERANCES) * len(RUNGS)
    assert re.findall(r"<code>(u\d)</code>", section) == list(UTTERANCES)
    steps = re.findall(r"<figcaption>([^,]*), \d errors?", section)[: len(RUNGS)]
    assert steps == [
        "natural speech",
        "codec&#39;s round trip",
        "S2A from true tokens",
        "S2A from T2S of chain_st_argmax",
    ]
    assert "read at codec &lt;i&gt;" in section and "<i>" not in section


def test_players_of_the_worst_keep_within_the_limit(with_ladder):
    (whole,) = read_ladders(inputs(with_ladder), ReportConfig())
    sizes = [sum(len(rung.audio) for rung in utterance.rungs) for utterance in whole.worst]
    limit = (sizes[0] + sizes[1] // 2) / 1e6
    (cut,) = read_ladders(inputs(with_ladder), ReportConfig(ladder_megabytes=limit))
    heard = [[bool(rung.audio) for rung in utterance.rungs] for utterance in cut.worst]
    assert heard == [[True] * 4, [False] * 4, [False] * 4]
    assert [utterance.utt_id for utterance in cut.worst] == list(UTTERANCES)


def test_what_is_not_installed_is_told(with_ladder):
    path = with_ladder / "exp/ladder_read/ladder.json"
    path.write_text(path.read_text().replace('"not_measured": {}', '"not_measured": {"dnsmos": "install it"}'))
    (shown,) = read_ladders(inputs(with_ladder), ReportConfig())
    assert "Without dnsmos: install it." in shown.notes


@pytest.mark.parametrize(("num_utts", "shown"), [(9, "25.0"), (10, "25.0 [0.0, 50.0]")])
def test_shares_of_fewer_than_ten_utterances_have_no_interval(with_ladder, num_utts, shown):
    path = with_ladder / "exp/chain_st_argmax/t2s_decode_read/audit.json"
    path.write_text(path.read_text().replace('"num_utts": 12', f'"num_utts": {num_utts}'))
    (line,) = read_faults(with_ladder / "exp")
    assert set(line.shares) == {shown}


def test_a_recipe_without_ladder_and_audit_has_neither_section(recipe):
    assert report.main(["--title", "tiny"]) == 0
    assert read_faults(recipe / "exp") == []
    assert 'id="ladder"' not in (recipe / "report.html").read_text()
    assert "Error ladder" not in (recipe / "RESULTS.md").read_text()


def test_a_ladder_of_a_few_utterances_has_figures_alone(with_ladder):
    path = with_ladder / "exp/ladder_read/ladder.json"
    path.write_text(path.read_text().replace('"n": 30', '"n": 9'))
    (shown,) = read_ladders(inputs(with_ladder), ReportConfig())
    assert [line.cells[0].text for line in shown.figures] == ["0.0", "10.0", "20.0", "30.0"]
    assert shown.costs[0].cells[0] == Cell("+10.0", "fewer than 10 utterances, so no verdict")
