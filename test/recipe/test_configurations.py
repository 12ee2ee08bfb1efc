"""Configurations of a recipe: those that stages read are there, and all load."""

from tokenchain_toolkit.recipe.commands import StageCommand
from tokenchain_toolkit.recipe.configurations import check_configurations

COMMANDS = [StageCommand("train_asr", "train_asr", (), {"config": ("conf/train_asr.yaml",)})]


def test_good_configurations(new_recipe):
    assert not check_configurations(new_recipe, COMMANDS).problems


def test_a_missing_file_names_the_stage_that_reads_it(new_recipe):
    (new_recipe / "conf" / "train_asr.yaml").unlink()
    (problem,) = check_configurations(new_recipe, COMMANDS).problems
    assert problem.startswith("conf/train_asr.yaml is missing, which the stage train_asr reads; copy ")
    assert problem.endswith("start/conf/train_asr.yaml and fit it to the corpus")


def test_keys_that_do_not_load_are_named_also_where_no_stage_reads_them_now(new_recipe, edit):
    edit(new_recipe / "conf" / "train_asr.yaml", "max_epochs", "max_epoch")
    edit(new_recipe / "conf" / "chain_st_gumbel.yaml", "feedback: st_gumbel", "feedback: [1]")
    asr, chain = check_configurations(new_recipe, COMMANDS).problems
    assert "train_asr.yaml: " in asr and "max_epoch" in asr and "ASRConfig" in asr and "mend or remove" in asr
    assert "chain_st_gumbel.yaml: " in chain and "feedback" in chain


def test_a_file_that_no_stage_reads_is_the_authors_own(new_recipe):
    (new_recipe / "conf" / "notes.yaml").write_text("anything: goes\n")
    assert not check_configurations(new_recipe, COMMANDS).problems
