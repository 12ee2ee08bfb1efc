import json
import re

import numpy as np
import pytest
import yaml

from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.files import read_json, write_json, write_text
from tokenchain_toolkit.report.grid import build_grid_report
from tokenchain_toolkit.report.grid_claims import OPEN, REFUTED, SEEN, claims_beside_grids
from tokenchain_toolkit.report.grid_results import measure_grids

NUM_UTTS, WORDS, SEEDS = 120, 20, (0, 1, 2)
COMMAND = "python -m tokenchain_toolkit.bin.run_grid --config study.yaml --out exp/study"


class Study:
    """Writes the files of fabricated runs as the grid runner does."""

    def __init__(self, out):
        self.out = out
        self.runs = []
        self.targets = []

    def add(self, arm, seed, errors, *, grid="enough", baseline="baseline", metrics=None, extra_labels=(), config=None):
        """One run; ``errors`` is set -> head -> errors of every utterance by epoch, (E, U)."""
        folder = "/".join([grid, arm, *dict(extra_labels).values(), f"seed{seed}"])
        other = "/".join([grid, baseline, *dict(extra_labels).values(), f"seed{seed}"]) if baseline else None
        num_epochs = len(next(iter(next(iter(errors.values())).values()))) - 1
        for epoch in range(num_epochs + 1):
            sets = {
                name: {
                    head: {f"u{u:03d}": [int(count), WORDS] for u, count in enumerate(errors_EU[epoch])}
                    for head, errors_EU in heads.items()
                }
                | {"t2s_unfinished": seed}
                for name, heads in errors.items()
            }
            entry = {"epoch": epoch, "sets": sets}
            write_json(self.out / folder / "evaluation" / f"epoch{epoch:03d}.json", entry)
        if metrics:
            write_text(self.out / folder / "metrics.csv", metrics)
        if config:
            write_text(self.out / folder / "config.yaml", yaml.safe_dump(config))
        labels = {"feedback": arm, **dict(extra_labels), "seed": seed}
        overrides = [f"model.feedback={arm}", f"training.seed={seed}"]
        run = {"grid": grid, "labels": labels, "folder": folder, "baseline": other, "epochs": num_epochs}
        self.runs.append(run | {"target_sets": self.targets, "overrides": overrides})
        write_json(self.out / "runs.json", self.runs)

    def measure(self):
        """Results by grid."""
        return {grid.name: grid for grid in measure_grids(self.out)}

    def build(self):
        """The page that the report writes."""
        return build_grid_report(self.out, title="tiny", command=COMMAND).read_text()


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def drawn(seed, *, rate=0.25, num_epochs=2):
    """Errors (E, U) of a run, a multiple of 5 in every utterance, fewer with every epoch."""
    generator = np.random.default_rng(seed)
    return np.stack([5 * generator.binomial(4, rate / (1 + 0.2 * epoch), NUM_UTTS) for epoch in range(num_epochs + 1)])


def level(*rates):
    """Errors (E, U) of a run whose rate is the same in every utterance."""
    return np.repeat(np.array([[round(WORDS * rate)] for rate in rates]), NUM_UTTS, axis=1)


def result_of(study, arm, *, grid="enough", place=0, head="joint"):
    return study.measure()[grid].sets[place].heads[head].arms[arm]


def fill(study):
    """Three arms of three seeds: the baseline, one that is a fifth better throughout, one that is another draw."""
    for seed in SEEDS:
        base_EU = drawn(seed)
        for arm, errors_EU in {"baseline": base_EU, "fifth": base_EU * 4 // 5, "noise": drawn(seed + 10)}.items():
            heads = {"joint": errors_EU, "ctc": errors_EU + 1, "t2s": errors_EU[:, :40]}
            study.add(arm, seed, {"read": heads})
    return study


def test_a_fifth_fewer_errors_everywhere_is_better_by_a_fifth(study):
    change = result_of(fill(study), "fifth").last_change
    assert change.interval.value == pytest.approx(-0.2)
    assert -0.26 < change.interval.ci_low < change.interval.ci_high < -0.14
    assert (change.epoch, change.num_agreeing, change.num_seeds) == (2, 3, 3)
    assert change.verdict == "better"


def test_the_other_way_round_is_worse(study):
    for seed in SEEDS:
        study.add("baseline", seed, {"read": {"joint": drawn(seed) * 4 // 5}})
        study.add("more", seed, {"read": {"joint": drawn(seed)}})
    assert result_of(study, "more").last_change.verdict == "worse"


def test_another_draw_of_the_same_is_no_difference(study):
    changes = result_of(fill(study), "noise").changes
    assert sorted(changes) == [1, 2]
    assert {change.verdict for change in changes.values()} == {"no difference seen"}


def test_seeds_that_disagree_are_no_difference_however_sure_the_utterances(study):
    for seed, rate in zip(SEEDS, (0.2, 0.4, 0.35), strict=True):
        study.add("baseline", seed, {"read": {"joint": level(0.5, 0.3)}})
        study.add("erratic", seed, {"read": {"joint": level(0.5, rate)}})
    change = result_of(study, "erratic").last_change
    assert change.interval.value == pytest.approx(0.05 / 0.9)
    assert (change.num_agreeing, change.verdict) == (2, "no difference seen")


def test_self_training_is_what_a_chain_has_to_beat_and_no_chain_itself(study):
    configs = {
        "baseline": {"model": {"feedback": "none"}, "unpaired": {"feedback": "none", "labels": None}},
        "labels": {"model": {"feedback": "none"}, "unpaired": {"feedback": "none", "labels": "text"}},
        "speech": {"model": {"feedback": "none"}, "unpaired": {"feedback": "st_argmax", "labels": None}},
        "both": {"model": {"feedback": "st_argmax"}, "unpaired": {"feedback": "none", "labels": "text"}},
    }
    for seed in SEEDS:
        for arm, rate in {"baseline": 0.4, "labels": 0.2, "speech": 0.3, "both": 0.15}.items():
            study.add(arm, seed, {"read": {"joint": level(0.5, rate)}}, config=configs[arm])
    arms = study.measure()["enough"].sets[0].main.arms
    assert {name: list(result.rivals) for name, result in arms.items()} == {
        "baseline": [],
        "labels": [],
        "speech": ["labels"],
        "both": ["labels"],
    }
    # Better than the baseline by a quarter, and yet worse than self-training by a half.
    change = arms["speech"].rivals["labels"]
    assert (change.interval.value, change.verdict, change.num_agreeing) == (pytest.approx(0.5), "worse", 3)
    assert arms["both"].rivals["labels"].interval.value == pytest.approx(-0.25)
    assert study.measure()["enough"].num_comparisons == 5
    page = study.build()
    assert "chains against self-training" in page
    markdown = (study.out / "RESULTS.md").read_text()
    assert "| WER | speech | labels | +50.0 % [+50.0, +50.0] | 3 of 3 | worse |" in markdown
    claims = markdown.partition("## The paper's claims")[2]
    assert "speech, read" in claims and "labels, read" not in claims


def test_an_annealed_temperature_is_compared_with_constant_ones_that_differ_in_nothing_else(study):
    def config(seed, schedule, **model):
        link = {"feedback": "st_gumbel", "temperature": {"schedule": schedule, "start": 1.0}}
        return {"model": {**link, **model}, "training": {"seed": seed}}

    for seed in SEEDS:
        study.add("baseline", seed, {"read": {"joint": level(0.5, 0.4)}}, config={"model": {"feedback": "none"}})
        for arm, rate, schedule, model in (
            ("constant", 0.4, "constant", {}),
            ("annealed", 0.3, "cosine", {}),
            ("argmax", 0.2, "constant", {"feedback": "st_argmax"}),
        ):
            errors = {"read": {"joint": level(0.5, rate)}}
            study.add(arm, seed, errors, config=config(seed, schedule, **model))
    arms = study.measure()["enough"].sets[0].main.arms
    assert [name for name, result in arms.items() if result.rivals] == ["annealed"]
    assert list(arms["annealed"].rivals) == ["constant"]
    claimed = {each.claim.measure: each.ours for each in claims_beside_grids(measure_grids(study.out))}
    (ours,) = claimed["annealed"]
    assert (
        ours.mark == SEEN and "annealed, read: -25.0 %" in ours.text and "against constant after 1 epoch" in ours.text
    )


def test_rates_are_means_over_seeds(study):
    for seed, rate in zip(SEEDS, (0.2, 0.3, 0.4), strict=True):
        study.add("baseline", seed, {"read": {"joint": level(0.5, rate)}})
    rates = result_of(study, "baseline").rates
    assert rates[0].value == rates[0].ci_low == rates[0].ci_high == pytest.approx(0.5)
    assert rates[1].value == pytest.approx(0.3)
    assert 0.2 <= rates[1].ci_low < 0.3 < rates[1].ci_high <= 0.4


def test_epochs_to_the_baselines_final_rate(study):
    for seed in SEEDS:
        study.add("baseline", seed, {"read": {"joint": level(0.5, 0.4, 0.3, 0.2)}})
        study.add("fast", seed, {"read": {"joint": level(0.5, 0.3, 0.1, 0.1)}})
        study.add("never", seed, {"read": {"joint": level(0.5, 0.45, 0.4, 0.35)}})
    fast, never = result_of(study, "fast"), result_of(study, "never")
    assert (fast.reached.value, fast.reached.ci_low, fast.earlier.value) == pytest.approx((1.5, 1.5, 1.5))
    assert (never.reached.value, never.earlier.ci_high) == (np.inf, -np.inf)
    study.build()
    (grid,) = read_json(study.out / "results.json")
    assert grid["sources"][0]["heads"]["joint"]["arms"]["never"]["reached"]["value"] is None
    markdown = (study.out / "RESULTS.md").read_text()
    assert (
        "| fast | -25.0 % [-25.0, -25.0] | -66.7 % [-66.7, -66.7] | -50.0 % [-50.0, -50.0] | 1.5 [1.5, 1.5] |"
        in markdown
    )
    assert (
        "| never | +12.5 % [+12.5, +12.5] | +33.3 % [+33.3, +33.3] | +75.0 % [+75.0, +75.0] | not reached |" in markdown
    )


def test_a_longer_run_is_compared_at_equal_epochs(study):
    for seed in SEEDS:
        study.add("baseline", seed, {"read": {"joint": level(0.5, 0.4)}})
        study.add("longer", seed, {"read": {"joint": level(0.5, 0.4, 0.1)}})
    longer = result_of(study, "longer")
    assert (longer.last_epoch, longer.last_change.epoch, longer.last_change.interval.value) == (2, 1, 0)
    assert longer.last_change.num_agreeing == 3


def test_only_seeds_of_both_sides_are_compared(study):
    for seed in SEEDS:
        study.add("soft", seed, {"read": {"joint": level(0.5, 0.1 if seed == 2 else 0.3)}})
    for seed in SEEDS[:2]:
        study.add("baseline", seed, {"read": {"joint": level(0.5, 0.3)}})
    soft = result_of(study, "soft")
    assert (soft.num_seeds, soft.last_change.num_seeds, soft.last_change.interval.value) == (3, 2, 0)


def test_without_a_finished_baseline_nothing_is_compared(study):
    study.add("soft", 0, {"read": {"joint": level(0.5, 0.3)}})
    assert result_of(study, "soft").last_change is None
    page = study.build()
    assert "No arm is compared with a baseline" in page
    assert "No arm is compared with a baseline" in (study.out / "RESULTS.md").read_text()


def test_arms_are_named_by_the_axes_that_differ(study):
    for arm in ("baseline", "soft"):
        for t2s in ("joint", "frozen"):
            labels = {"t2s": t2s, "data": "all"}
            study.add(arm, 0, {"read": {"joint": level(0.5, 0.3)}}, extra_labels=labels.items())
    arms = study.measure()["enough"].arms
    assert {arm.name: arm.baseline for arm in arms} == {
        "baseline · joint": None,
        "baseline · frozen": None,
        "soft · joint": "baseline · joint",
        "soft · frozen": "baseline · frozen",
    }
    assert arms[-1].overrides == ["model.feedback=soft", "training.seed=0"]


def test_what_differs_between_seeds_is_no_setting_of_the_arm(study):
    assert fill(study).measure()["enough"].arms[1].overrides == ["model.feedback=fifth"]


def test_an_adaptation_learns_its_targets_and_forgets_all_other_sets(study):
    study.targets = ["a_talk"]
    for seed in SEEDS:
        for arm, target in (("baseline", 0.6), ("adapted", 0.3)):
            far, near, hard = level(0.9, target), level(0.2, 0.25), level(0.95, 1.0)
            sets = {"a_talk": far, "read": near, "read_hard": hard}
            study.add(arm, seed, {name: {"joint": each, "t2s": each} for name, each in sets.items()})
    (grid,) = measure_grids(study.out)
    assert [each.name for each in grid.sets] == ["read", "read_hard", "a_talk"]
    assert grid.targets[0].main.arms["adapted"].since_start.value == pytest.approx(-2 / 3)
    assert grid.sources[0].main.arms["adapted"].since_start.value == pytest.approx(0.25)
    markdown = study.build() and (study.out / "RESULTS.md").read_text()
    assert "| adapted | a_talk | 90.0 | 30.0 | -66.7 % [-66.7, -66.7] |" in markdown
    assert "that of a_talk, and what is forgotten of the other is told by read, read_hard." in markdown
    page = (study.out / "report.html").read_text()
    assert "WER of a_talk against that of read<" in page and "WER of a_talk against that of read_hard<" in page
    ours = {each.claim.measure: each.ours for each in claims_beside_grids([grid])}
    assert [line.mark for line in ours["adapted"]] == [line.mark for line in ours["t2s_adapted"]] == [OPEN, SEEN]
    assert "adapted, a_talk: -50.0 % [-50.0, -50.0] against the baseline" in ours["adapted"][1].text
    assert ours["change"] == ours["earlier"] == []
    assert [line.text.split(": ")[0] for line in ours["forgotten"]] == [
        f"enough, {arm}, {name}" for name in ("read", "read_hard") for arm in ("baseline", "adapted")
    ]


def test_several_sets_of_one_domain_are_no_adaptation(study):
    for seed in SEEDS:
        for arm, rate in (("baseline", 0.4), ("chain", 0.3)):
            sets = {"clean": level(0.5, rate), "other": level(0.9, 2 * rate)}
            study.add(arm, seed, {name: {"joint": each, "t2s": each} for name, each in sets.items()})
    (grid,) = measure_grids(study.out)
    ours = {each.claim.measure: each.ours for each in claims_beside_grids([grid])}
    for measure in ("change", "earlier"):
        assert [(line.mark, line.text.split(": ")[0]) for line in ours[measure]] == [
            (SEEN, "enough, chain, clean"),
            (SEEN, "enough, chain, other"),
        ]
    assert ours["adapted"] == ours["t2s_adapted"] == ours["forgotten"] == []
    assert "daptation and forgetting" not in study.build() + (study.out / "RESULTS.md").read_text()


def test_a_claim_is_ticked_only_where_the_interval_leaves_no_doubt(study):
    fill(study)
    for seed in SEEDS:
        study.add("bad", seed, {"read": {"joint": drawn(seed) + 1, "ctc": drawn(seed), "t2s": drawn(seed)[:, :40]}})
    ours = {each.claim.measure: each.ours for each in claims_beside_grids(measure_grids(study.out))}
    marks = {line.text.split(", ")[1]: line.mark for line in ours["change"]}
    assert marks == {"fifth": SEEN, "noise": OPEN, "bad": REFUTED}
    assert "-20.0 % [" in ours["change"][0].text


def test_diagnostics_are_means_over_seeds_of_the_last_epoch(study):
    for seed in SEEDS:
        rows = f"epoch,step,valid/rec_gradient,valid/other\n0,1,9,9\n1,2,{seed},9\n"
        study.add("baseline", seed, {"read": {"joint": level(0.5, 0.3)}})
        study.add("soft", seed, {"read": {"joint": level(0.5, 0.3)}}, metrics=rows)
    (diagnostic,) = study.measure()["enough"].diagnostics
    assert (diagnostic.name, diagnostic.values) == ("valid/rec_gradient", {"soft": 1.0})
    assert re.search(
        r"\| valid/rec_gradient \| – \| 1 \| norm", study.build() and (study.out / "RESULTS.md").read_text()
    )


def test_every_head_is_shown_with_its_change_and_t2s_with_what_it_left_unfinished(study):
    page = fill(study).build()
    markdown = (study.out / "RESULTS.md").read_text()
    for name in ("WER", "WER, CTC alone", "T2S-WER"):
        assert re.search(rf"\| {name} \| fifth \| 2 \| [\d.]+ \[.*\] \| -\d.* \| 3 of 3 \| better \|", markdown)
    assert "baseline 1.0, fifth 1.0, noise 1.0." in markdown
    assert "WER, attention alone" not in markdown
    assert page.count("<svg") == 2
    assert "T2S-WER in percent, read" in page


def test_the_documents_say_where_they_come_from_and_load_nothing(study):
    page = fill(study).build()
    for text in (page, (study.out / "RESULTS.md").read_text()):
        assert COMMAND in text
        assert re.search(r"(?i)commit [^|]*\b([0-9a-f]{7,}|unknown)", text)
        assert "5–13 % lower" in text
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:|//)""", page)
    assert not re.search(r"<(script|link|iframe|img)\b", page)


def test_settings_are_escaped_and_a_second_report_is_the_same(study):
    study.add("<b>soft</b>", 0, {"read": {"joint": level(0.5, 0.3)}})
    page = study.build()
    assert "<b>soft</b>" not in page
    written = {name: (study.out / name).read_bytes() for name in ("RESULTS.md", "results.json", "report.html")}
    study.build()
    assert {name: (study.out / name).read_bytes() for name in written} == written


def test_ids_of_two_grids_do_not_meet_on_the_page(study):
    for grid in ("one", "two"):
        for arm in ("baseline", "soft"):
            study.add(arm, 0, {"read": {"joint": level(0.5, 0.3)}}, grid=grid)
    ids = re.findall(r'<clipPath id="([^"]*)"', study.build())
    assert ids
    assert len(ids) == len(set(ids))


def test_runs_that_do_not_fit_together_are_refused(study):
    study.add("baseline", 0, {"read": {"joint": level(0.5, 0.3)}})
    study.add("soft", 0, {"read": {"joint": level(0.5, 0.3)[:, 1:]}})
    with pytest.raises(DataError, match=r"enough/soft/seed0, epoch 0: the utterances or references of read \(joint\)"):
        study.measure()


def test_a_missing_epoch_is_named(study):
    study.add("baseline", 0, {"read": {"joint": level(0.5, 0.4, 0.3)}})
    (study.out / "enough/baseline/seed0/evaluation/epoch001.json").unlink()
    with pytest.raises(DataError, match="baseline/seed0/evaluation lacks epoch 1"):
        study.measure()


def test_seeds_with_unequal_epochs_are_refused(study):
    study.add("baseline", 0, {"read": {"joint": level(0.5, 0.4)}})
    study.add("baseline", 1, {"read": {"joint": level(0.5, 0.4, 0.3)}})
    with pytest.raises(DataError, match="the runs of .* have unequal epochs"):
        study.measure()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "run the grid first"), ("[]", "lists no finished run"), (json.dumps([{"grid": "a"}]), "baseline, epochs")],
)
def test_a_list_of_runs_that_says_nothing_is_refused(study, content, message):
    if content is not None:
        write_text(study.out / "runs.json", content)
    with pytest.raises(DataError, match=message):
        study.measure()
