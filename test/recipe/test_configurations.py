"""Configurations of a recipe: those that stages read are there, and all load."""

from pathlib import Path

from tokenchain_toolkit.bin.check_configs import main
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


def test_the_command_names_all_faults_and_files_that_are_no_configuration(new_recipe, edit, caplog):
    caplog.set_level("INFO")
    asr, t2s, other = (str(new_recipe / "conf" / f"{name}.yaml") for name in ("train_asr", "train_t2s", "notes"))
    assert main([asr, t2s]) == 0 and not caplog.messages
    for path in (asr, t2s):
        edit(Path(path), "max_epochs", "max_epoch")
    assert main([asr, t2s]) == 1
    first, second, last = caplog.messages
    assert f"problem: {asr}: " in first and f"problem: {t2s}: " in second and "2 configurations cannot be" in last
    assert main([other]) == 1 and f"{other} is no file that a stage reads" in caplog.messages[-1]


def test_a_file_that_no_stage_reads_is_the_authors_own(new_recipe):
    (new_recipe / "conf" / "notes.yaml").write_text("anything: goes\n")
    assert not check_configurations(new_recipe, COMMANDS).problems
