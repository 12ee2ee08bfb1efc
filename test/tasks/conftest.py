"""Configurations and runs of tiny tasks."""

import csv

import pytest

from tokenchain_toolkit.config.training import DataConfig, OptimConfig, TrainingConfig


@pytest.fixture
def settings():
    """A function that gives the common sections of a tiny run: four epochs of several batches, with prompts."""

    def build(**changes):
        training = {"max_epochs": 4, "batch_frames": 100, "accelerator": "cpu", "precision": "32-true"}
        return {
            "training": TrainingConfig(**{**training, "average_best": 2, "seed": 5, **changes}),
            "optim": OptimConfig(lr=0.003, warmup_steps=4, schedule="warmup_cosine"),
            "data": DataConfig(min_prompt_frames=2, max_prompt_frames=5),
        }

    return build


@pytest.fixture
def run_fit(make_corpus):
    """A function that trains a task in a folder and gives its weights and the rows of ``metrics.csv``."""
    from tokenchain_toolkit.data.module import TokenDataModule
    from tokenchain_toolkit.data.unpaired import ChainDataModule, UnpairedData
    from tokenchain_toolkit.tasks.chain import ChainTask
    from tokenchain_toolkit.tasks.fit import fit

    def run(task, folder, unpaired=None):
        corpus, settings = make_corpus(), {"data": task.config.data, "training": task.config.training}
        if isinstance(task, ChainTask):
            data = ChainDataModule(corpus, corpus, unpaired=unpaired or UnpairedData(), **settings)
        else:
            data = TokenDataModule(corpus, corpus, **settings)
        state = fit(task, data, folder=folder)
        with (folder / "metrics.csv").open() as handle:
            rows = list(csv.DictReader(handle))
        return state, [{name: value for name, value in row.items() if name != "seconds"} for row in rows]

    return run


@pytest.fixture
def make_asr_task(manifest, make_asr, settings):
    from tokenchain_toolkit.config.asr import ASRConfig
    from tokenchain_toolkit.tasks.asr import ASRTask

    def build(**changes):
        model = make_asr(time_mask_ratio=0.2).config
        return ASRTask(ASRConfig(model=model, **settings(**changes)), manifest=manifest, vocab_size=9)

    return build


@pytest.fixture
def make_t2s_task(manifest, make_t2s, settings):
    from tokenchain_toolkit.config.t2s import T2SConfig
    from tokenchain_toolkit.tasks.t2s import T2STask

    def build(**changes):
        model = make_t2s(history_dropout=0.2).config
        return T2STask(T2SConfig(model=model, **settings(**changes)), manifest=manifest, vocab_size=9)

    return build


@pytest.fixture
def make_s2a_task(manifest, settings):
    from tokenchain_toolkit.config.s2a import S2AConfig, S2AModelConfig
    from tokenchain_toolkit.tasks.s2a import S2ATask

    def build(**changes):
        model = S2AModelConfig(hidden_dim=16, num_layers=1, num_heads=2, feed_forward_dim=32, conv_kernel=3)
        return S2ATask(S2AConfig(model=model, **settings(**changes)), manifest=manifest)

    return build


@pytest.fixture
def make_chain_task(manifest, make_asr, make_t2s, settings):
    from tokenchain_toolkit.config.chain import (
        BalanceConfig,
        ChainConfig,
        ChainModelConfig,
        TemperatureConfig,
        UnpairedConfig,
    )
    from tokenchain_toolkit.tasks.chain import ChainTask

    def build(feedback="st_gumbel", *, balance=None, model=None, unpaired=None, **changes):
        chain = ChainModelConfig(
            feedback=feedback,
            temperature=TemperatureConfig("linear", 2.0, 0.5),
            balance=balance or BalanceConfig(),
            **(model or {}),
        )
        asr, t2s = make_asr(time_mask_ratio=0.2), make_t2s(history_dropout=0.2)
        config = ChainConfig(model=chain, unpaired=unpaired or UnpairedConfig(), **settings(**changes))
        return ChainTask(config, manifest=manifest, asr=asr, t2s=t2s)

    return build
