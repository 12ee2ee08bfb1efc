"""What a recipe's dry run shows, as commands."""

import pytest

from tokenchain_toolkit.data.audio_scan import AudioRules
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.recipe.commands import audio_rules_of, parse_commands
from tokenchain_toolkit.recipe.sets import purposes_of

SHOWN = """== stage 1: data
local/data.sh
== stage 2: validate
python3 -m tokenchain_toolkit.bin.validate data/train data/dev data/test\\ one --num_jobs 2
== stage 7: train_asr
mkdir -p exp
python3 -m tokenchain_toolkit.bin.train_asr --config conf/train_asr.yaml --train_data data/train data/more \
--valid_data data/dev --out exp/asr --overwrite
python3 -m tokenchain_toolkit.bin.score --baseline=exp/chain/text --metric wer cer
python3 -c 'print("not one of ours")'
""".splitlines()


def test_commands_have_their_stage_and_options():
    validate, train, score = parse_commands(SHOWN)
    assert (validate.stage, validate.name) == ("validate", "validate")
    assert validate.arguments == ("data/train", "data/dev", "data/test one")
    assert train.stage == "train_asr" and train.one("out") == "exp/asr" and train.one("seed") is None
    assert train.options["train_data"] == ("data/train", "data/more") and train.options["overwrite"] == ()
    assert score.options == {"baseline": ("exp/chain/text",), "metric": ("wer", "cer")}


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ("", AudioRules()),
        ("--overwrite --max_seconds 90", AudioRules(max_seconds=90.0)),
        ("--sample_rate 8000 --min_seconds=0.5 --show 3", AudioRules(sample_rate=8000, min_seconds=0.5)),
        ("--allow_resample --max_seconds 9 --max_seconds 10", AudioRules(max_seconds=10.0, allow_resample=True)),
    ],
)
def test_audio_is_judged_by_the_options_of_validate(options, rules):
    shown = [f"{line} {options}" if ".validate " in line else line for line in SHOWN]
    assert audio_rules_of(parse_commands(shown)) == rules


def test_a_threshold_that_is_no_number_is_named():
    (shown,) = [f"{line} --max_seconds long" for line in SHOWN if ".validate " in line]
    with pytest.raises(ConfigError, match="--max_seconds long, .*; mend --validate_args in run.sh"):
        audio_rules_of(parse_commands([shown]))


def test_sets_have_the_role_that_the_commands_give_them():
    roles = {str(folder): role for folder, role in purposes_of(parse_commands(SHOWN)).roles().items()}
    assert roles == {
        "data/train": "training",
        "data/more": "training",
        "data/dev": "validation",
        "data/test one": "test",
    }
