"""Typed configurations: who wins, what is refused, and that the saved file reproduces the run."""

import pytest

from tokenchain_toolkit.config.asr import ASRConfig, ASRDecodingConfig, ASRModelConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.load import config_dict, load_config, merge_into, save_config
from tokenchain_toolkit.config.s2a import S2AConfig
from tokenchain_toolkit.config.schemas import BY_NAME
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.config.text import BPEConfig
from tokenchain_toolkit.config.tokenizer import TokenizerConfig
from tokenchain_toolkit.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write_yaml(text):
        path = tmp_path / "given.yaml"
        path.write_text(text)
        return path

    return write_yaml


def test_a_setting_without_a_file_is_named_itself():
    with pytest.raises(ConfigError, match=r"^optim\.lrr=1 model\.x=2: "):
        load_config(ASRConfig, None, ["optim.lrr=1", "model.x=2"])


def test_command_line_beats_yaml_beats_default(write):
    path = write("optim: {lr: 0.5, warmup_steps: 7}\n")
    config = load_config(ASRConfig, path, ["optim.lr=0.25"])
    assert config.optim.lr == 0.25
    assert config.optim.warmup_steps == 7
    assert config.optim.beta2 == ASRConfig().optim.beta2
    assert load_config(ASRConfig, None) == load_config(ASRConfig, write("")) == ASRConfig()


@pytest.mark.parametrize(
    ("schema", "name", "refused", "allowed"),
    [
        (ASRConfig, "dropout", (-0.1, 1.0), 0.0),
        (ASRConfig, "ctc_weight", (-0.1, 1.5), 1.0),
        (T2SConfig, "text_dropout", (-0.1, 1.0), 0.9),
        (T2SConfig, "history_dropout", (-0.1, 1.1), 1.0),
        (ChainConfig, "history_dropout", (-0.1, 1.1), 1.0),
        (S2AConfig, "condition_dropout", (-0.1, 1.0), 0.5),
    ],
)
def test_shares_are_shares(schema, name, refused, allowed):
    assert getattr(load_config(schema, None, [f"model.{name}={allowed}"]).model, name) == allowed
    for share in refused:
        with pytest.raises(ConfigError, match=rf"model\.{name}={share} must be in \[0, 1"):
            load_config(schema, None, [f"model.{name}={share}"])


@pytest.mark.parametrize(
    ("schema", "setting", "said"),
    [
        (ASRConfig, "optim.lr=-0.1", "must be at least 0"),
        (ASRConfig, "optim.warmup_steps=-5", "must be at least 0"),
        (ASRConfig, "optim.beta2=1.0", r"must be in \[0, 1\)"),
        (ASRConfig, "optim.final_lr_ratio=2.0", r"must be in \[0, 1\]"),
        (ASRConfig, "training.gradient_clip=nan", "must be at least 0"),
        (ASRConfig, "model.attention_heads=5", "encoder_dim=256 must be a multiple of attention_heads=5"),
        (T2SConfig, "model.num_heads=5", "must be a multiple of 2 x num_heads=5"),
        (ASRConfig, "model.input_layer=conv2d", "model.input_layer=conv2d: choose one of conv1d1"),
        (ASRConfig, "model.cgmlp_kernel=30", "must be odd"),
        (ASRConfig, "model.cgmlp_units=7", "must be even"),
        (ASRConfig, "training.precision=half", "training.precision=half: choose one of auto"),
        (ASRConfig, "data.paired_share=0", "data.paired_share=0.0 must be above 0"),
        (T2SConfig, "model.num_layers=0", "model.num_layers=0 must be at least 1"),
        (S2AConfig, "model.num_heads=0", "must be a multiple of 2 x num_heads=0"),
        (S2AConfig, "model.start=zeros", "model.start=zeros: choose one of random, codebooks"),
        (ChainConfig, "model.feedback=hard", "model.feedback=hard: choose one of none"),
        (ChainConfig, "model.temperature.end=0", "temperature.end=0.0 must be above 0"),
        (ChainConfig, "model.balance.kind=none", "balance.kind=none: choose one of dwa"),
        (ChainConfig, "evaluation.heads=[feet]", "evaluation.heads names feet"),
        (BPEConfig, "model_type=words", "model_type=words: choose one of bpe"),
        (TokenizerConfig, "semantic.mfcc.window_length=-1", "semantic.mfcc.window_length=-1 must be at least 2"),
        (TokenizerConfig, "codec.head.kernel_size=4", "codec.head.kernel_size=4 must be odd"),
        (ASRDecodingConfig, "beam_size=0", "must be at least 1"),
        (ASRDecodingConfig, "ctc_weight=7", r"must be in \[0, 1\]"),
        (ASRDecodingConfig, "max_length_ratio=-1", "must be at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_they_are_read(schema, setting, said):
    with pytest.raises(ConfigError, match=said):
        load_config(schema, None, [setting])


def _leaves(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("schema", [*BY_NAME.values(), ChainConfig], ids=lambda schema: schema.__name__)
def test_no_value_of_a_setting_ends_in_anything_but_a_configuration_or_its_refusal(schema):
    for name, value in _leaves(config_dict(schema())):
        accepted = []
        for odd in ("-1", "0", "nan", "1e9", "nonsense", "null", "''"):
            try:
                load_config(schema, None, [f"{name}={odd}"])
                accepted.append(odd)
            except ConfigError as error:
                assert name.rpartition(".")[2] in str(error), error
        if isinstance(value, float):
            assert "nan" not in accepted, name


@pytest.mark.parametrize("name", ["max_epochs=0", "batch_frames=-5", "devices=0", "average_best=-1"])
def test_counts_are_not_below_what_can_be(name):
    with pytest.raises(ConfigError, match=f"training.{name} must be at least"):
        load_config(ASRConfig, None, [f"training.{name}"])


@pytest.mark.parametrize("text", ["optim: {lr: 3e-5}\n", "optim:\n  lr: 3.0e-05\n"])
def test_exponents_are_numbers(write, text):
    assert load_config(ASRConfig, write(text)).optim.lr == 3e-5
    assert load_config(ASRConfig, None, ["optim.lr=3e-5"]).optim.lr == 3e-5


@pytest.mark.parametrize(
    ("text", "overrides", "named"),
    [
        ("optim: {rate: 1}\n", [], "rate"),
        ("", ["model.blocks=3"], "blocks"),
        ("", ["lr"], "lr"),
        ("optim: {lr: fast}\n", [], "fast"),
        ("", ["training.max_epochs=many"], "many"),
        ("", ["training.max_epochs=1.5"], "1.5"),
        ("", ["optim=3"], "ASRConfig"),
        ("optim: [1, 2]\n", [], "ASRConfig"),
        ("optim: {lr: 1\n", [], "given.yaml: line 2: "),
        ("optim:\n  lr: 1\n bad: [2\n", [], "given.yaml: line 3: "),
        ("- lr\n", [], "given.yaml"),
        ("just words\n", [], "given.yaml"),
    ],
)
def test_what_does_not_fit_is_named(write, text, overrides, named):
    with pytest.raises(ConfigError, match=named) as caught:
        load_config(ASRConfig, write(text), overrides)
    assert "given.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml: no such configuration file"):
        load_config(ASRConfig, tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("schema", [ASRConfig, T2SConfig, ChainConfig, S2AConfig, TokenizerConfig])
def test_the_saved_file_alone_gives_the_configuration_back(tmp_path, schema):
    overrides = ["sample_rate=8000"] if schema is TokenizerConfig else ["optim.lr=1e-7", "training.seed=11"]
    config = load_config(schema, None, overrides)
    save_config(config, tmp_path / "config.yaml")
    assert config != schema()
    assert load_config(schema, tmp_path / "config.yaml") == config


def test_plain_values_make_a_configuration_and_unknown_ones_fail():
    assert merge_into(ASRModelConfig, config_dict(ASRModelConfig(embed_dim=3))) == ASRModelConfig(embed_dim=3)
    with pytest.raises(ConfigError, match="ASRModelConfig.*width"):
        merge_into(ASRModelConfig, {"width": 3})
