"""What a recipe's dry run shows, as commands."""

from tokenchain_toolkit.recipe.commands import parse_commands
from tokenchain_toolkit.recipe.sets import roles_of

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


def test_sets_have_the_role_that_the_commands_give_them():
    roles = {str(folder): role for folder, role in roles_of(parse_commands(SHOWN)).items()}
    assert roles == {
        "data/train": "training",
        "data/more": "training",
        "data/dev": "validation",
        "data/test one": "test",
    }
