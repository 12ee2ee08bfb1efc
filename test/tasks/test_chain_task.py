"""Chain training against its baseline: the same batches, dropout and masks; only the feedback differs."""

import pytest
import torch

from tokenchain_toolkit.config.chain import BalanceConfig


def spied_run(task, run_fit, folder):
    """Train; give each step's utterances, prompts and L_ASR, and the modules that were in training mode."""
    steps, modes = [], set()
    whole = task.chain.forward

    def forward(batch, **options):
        output = whole(batch, **options)
        if task.trainer.training:
            steps.append((batch.utt_ids, batch.prompt_BP.tolist(), float(output.asr.loss.detach())))
            modes.add((task.chain.asr.training, task.chain.t2s.training))
        return output

    task.chain.forward = forward
    _, rows = run_fit(task, folder)
    return steps, modes, rows


def test_the_chain_and_its_baseline_see_the_same_batches_and_dropout(make_chain_task, run_fit, tmp_path):
    runs = {
        feedback: spied_run(make_chain_task(feedback, max_epochs=2), run_fit, tmp_path / feedback)[0]
        for feedback in ("none", "st_argmax", "st_gumbel")
    }
    batches = {name: [step[:2] for step in steps] for name, steps in runs.items()}
    assert batches["none"] == batches["st_argmax"] == batches["st_gumbel"]
    half = len(batches["none"]) // 2
    assert batches["none"][:half] != batches["none"][half:]
    # Until the first update the recognisers are equal, so equal losses mean equal dropout and time masks.
    assert len({steps[0][2] for steps in runs.values()}) == 1
    assert len({steps[-1][2] for steps in runs.values()}) == 3


@pytest.mark.parametrize("freeze", [False, True])
def test_loaded_models_are_trained_in_training_mode(make_chain_task, run_fit, tmp_path, freeze):
    task = make_chain_task("st_argmax", model={"t2s_training": "frozen" if freeze else "joint"}, max_epochs=2)
    before = {name: value.clone() for name, value in task.chain.t2s.state_dict().items()}
    _, modes, _ = spied_run(task, run_fit, tmp_path)
    assert modes == {(True, not freeze)}
    kept = [torch.equal(value, before[name]) for name, value in task.chain.t2s.state_dict().items()]
    assert all(kept) if freeze else not all(kept)


def test_uncertainty_weights_are_learned_and_logged(make_chain_task, run_fit, tmp_path):
    task = make_chain_task("st_argmax", balance=BalanceConfig(kind="uncertainty"), max_epochs=3)
    _, rows = run_fit(task, tmp_path)
    weights = [(float(row["train/asr_weight"]), float(row["train/rec_weight"])) for row in rows]
    assert weights[-1] != weights[0] and task.log_variances.abs().max() > 0


def test_weights_decay_and_the_variances_of_the_losses_do_not(make_chain_task):
    task = make_chain_task("st_argmax", balance=BalanceConfig(kind="uncertainty"), model={"t2s_training": "frozen"})
    task.config.optim.weight_decay = 0.1
    models, variances = task.configure_optimizers().param_groups
    assert (models["weight_decay"], variances["weight_decay"]) == (0.1, 0.0)
    assert variances["params"] == [task.log_variances]
    assert {id(each) for each in models["params"]} == {id(each) for each in task.chain.asr.parameters()}


def test_what_there_is_to_feed_back_is_logged(make_chain_task, run_fit, tmp_path):
    _, [*_, row] = run_fit(make_chain_task("st_argmax"), tmp_path / "chain")
    for name in ("rec_loss_true", "rec_loss_recognised", "rec_loss_shuffled", "rec_gradient", "estimator_cosine"):
        assert float(row[f"valid/{name}"]) != 0
    _, [*_, baseline] = run_fit(make_chain_task("none"), tmp_path / "baseline")
    assert float(baseline["valid/rec_loss_true"]) == pytest.approx(float(baseline["valid/rec_loss"]), rel=1e-3)
    assert "valid/rec_gradient" not in baseline


def test_the_supervised_loss_of_t2s_is_logged(make_chain_task, run_fit, tmp_path):
    _, [row] = run_fit(make_chain_task("st_argmax", model={"supervised_t2s": 0.5}, max_epochs=1), tmp_path)
    assert float(row["valid/supervised_loss"]) == pytest.approx(float(row["valid/rec_loss_true"]), rel=1e-3)
    losses, weights = (
        [float(row[f"train/{name}"]) for name in names]
        for names in (("asr_loss", "rec_loss", "supervised_loss"), ("asr_weight", "rec_weight"))
    )
    assert float(row["train/loss"]) == pytest.approx(
        sum(w * loss for w, loss in zip([*weights, 0.5], losses, strict=True)), rel=1e-4
    )


def test_the_temperature_follows_its_schedule(make_chain_task, run_fit, tmp_path):
    _, rows = run_fit(make_chain_task("st_gumbel"), tmp_path)
    taus = [float(row["train/temperature"]) for row in rows]
    assert taus == sorted(taus, reverse=True)
    assert 1.6 < taus[0] < 2.0 and 0.5 < taus[-1] < 0.9


def test_no_two_updates_or_seeds_share_their_noise(make_chain_task, run_fit, tmp_path):
    noises = []
    for seed in (0, 1):
        task = make_chain_task(max_epochs=2, seed=seed)
        whole = task._sampling_generator

        def remembered(batch_idx, whole=whole):
            generator = whole(batch_idx)
            noises.append(generator.initial_seed())
            return generator

        task._sampling_generator = remembered
        run_fit(task, tmp_path / str(seed))
    assert len(noises) > 4 and len(set(noises)) == len(noises)
