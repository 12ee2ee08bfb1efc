"""Decoding of acoustic codes: prompts stay, levels come in order, the surest frames first, every one is filled."""

import math
from dataclasses import replace

import pytest
import torch

from tokenchain_toolkit.config.s2a import S2ADecodingConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.inference import s2a_decoding
from tokenchain_toolkit.inference.s2a_decoding import decode_codes, num_passes
from tokenchain_toolkit.models.batch import join_prompt

MASK = 7
CONFIG = S2ADecodingConfig(first_level_steps=4, later_level_steps=2)


@pytest.fixture(scope="module")
def inputs(make_batch):
    """Prompt and target of three utterances, with nonsense where the target's codes stand."""
    batch = make_batch([9, 5, 12], [1, 1, 1], [3, 2, 0])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    frame_N = torch.arange(semantic_BN.shape[1])
    is_target_BN = (frame_N >= batch.prompt_lengths_B[:, None]) & (frame_N < lengths_B[:, None])
    codes_BNQ = codes_BNQ.masked_fill(is_target_BN[..., None], 5)
    return semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, is_target_BN


def decode(s2a, inputs, *, seed=0, config=CONFIG):
    semantic_BN, codes_BNQ, lengths_B, prompt_lengths_B, _ = inputs
    generators = [torch.Generator().manual_seed(seed + row) for row in range(len(lengths_B))]
    return decode_codes(s2a, semantic_BN, codes_BNQ, lengths_B, prompt_lengths_B, config=config, generators=generators)


def test_prompts_stay_and_targets_are_codes(make_s2a, inputs):
    _, codes_BNQ, _, _, is_target_BN = inputs
    before = codes_BNQ.clone()
    found_BNQ = decode(make_s2a(), inputs)
    assert torch.equal(found_BNQ[~is_target_BN], before[~is_target_BN])
    assert found_BNQ.min() >= 0 and found_BNQ.max() < MASK
    assert len(set(found_BNQ[is_target_BN].flatten().tolist())) > 3
    assert torch.equal(codes_BNQ, before), "the caller's codes were changed"


def test_levels_are_decoded_in_order(make_s2a, inputs):
    s2a, is_target_BN, calls = make_s2a(), inputs[-1], []
    s2a.register_forward_hook(lambda module, args, logits: calls.append((args[1].clone(), args[3].clone())))
    decode(s2a, inputs)
    assert len(calls) == num_passes(CONFIG, num_quantizers=3) == 8
    assert [int(level_B[0]) for _, level_B in calls] == [0] * 4 + [1] * 2 + [2] * 2
    left = []
    for codes_BNQ, level_B in calls:
        level, hidden_BNQ = int(level_B[0]), codes_BNQ == MASK
        assert (level_B == level).all()
        assert not hidden_BNQ[~is_target_BN].any() and not hidden_BNQ[..., :level].any()
        assert hidden_BNQ[..., level + 1 :][is_target_BN].all()
        left.append(int(hidden_BNQ[..., level].sum()))
    total = int(is_target_BN.sum())
    assert left[0] == left[4] == left[6] == total
    assert left[:4] == sorted(set(left[:4]), reverse=True), "each pass settles some positions"


def test_a_settled_position_is_not_drawn_again(make_s2a, inputs):
    s2a, calls = make_s2a(), []
    s2a.register_forward_hook(lambda module, args, logits: calls.append(args[1][..., 0].clone()))
    found_BNQ = decode(s2a, inputs)
    for codes_BN in calls[:4]:
        known_BN = codes_BN != MASK
        assert torch.equal(codes_BN[known_BN], found_BNQ[..., 0][known_BN])


# At temperature 0 the drawn code is the likeliest; at 1 it often is not, and its own probability counts.
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_as_many_frames_as_the_cosine_says_stay_masked_and_they_are_the_least_sure(
    make_s2a, inputs, monkeypatch, temperature
):
    s2a, calls, noises = make_s2a(), [], []
    s2a.heads.data *= 3
    s2a.register_forward_hook(lambda module, args, logits: calls.append((args[1][..., 0] == MASK, logits)))
    draw = s2a_decoding._gumbel_noise
    monkeypatch.setattr(s2a_decoding, "_gumbel_noise", lambda *args: noises.append(draw(*args)) or noises[-1])
    decode(s2a, inputs, config=S2ADecodingConfig(first_level_steps=4, temperature=temperature))
    lengths_B, is_target_BN = (inputs[2] - inputs[3]).tolist(), inputs[-1]
    for step in range(3):
        (before_BN, logits_BNK), (after_BN, _) = calls[step : step + 2]
        of_codes_BNK, of_frames_BN = noises[2 * step : 2 * step + 2]
        drawn_BN1 = (logits_BNK + temperature * of_codes_BNK).argmax(-1, keepdim=True)
        sure_BN = logits_BNK.log_softmax(-1).gather(2, drawn_BN1)[..., 0]
        sure_BN = sure_BN + temperature * (1 - (step + 1) / 4) * of_frames_BN
        for row, length in enumerate(lengths_B):
            left = math.floor(length * math.cos(math.pi / 2 * (step + 1) / 4))
            assert int((after_BN & is_target_BN)[row].sum()) == left
            settled_N = before_BN[row] & ~after_BN[row] & is_target_BN[row]
            assert sure_BN[row][settled_N].min() > sure_BN[row][after_BN[row] & is_target_BN[row]].max()


def test_top_k_does_not_change_which_frames_are_sure(make_s2a, inputs):
    s2a = make_s2a()
    s2a.heads.data *= 3
    cold = S2ADecodingConfig(first_level_steps=4, temperature=0.0)
    calls = []
    s2a.register_forward_hook(lambda module, args, logits: calls.append(args[1]))
    decode(s2a, inputs, config=cold)
    plain = calls.copy()
    calls.clear()
    decode(s2a, inputs, config=replace(cold, top_k=1))
    assert all(torch.equal(one, other) for one, other in zip(plain, calls, strict=True))


def test_codes_are_drawn_from_the_tempered_distribution(make_s2a, make_batch, monkeypatch):
    s2a, logits_K = make_s2a(), torch.arange(MASK) / 2
    semantic_BN, codes_BNQ, lengths_B = join_prompt(make_batch([8000], [1], [2]))
    monkeypatch.setattr(s2a, "forward", lambda *args: logits_K.expand(1, 8002, MASK))
    config = S2ADecodingConfig(first_level_steps=1, temperature=0.5)
    found_BNQ = decode(s2a, (semantic_BN, codes_BNQ, lengths_B, torch.tensor([2]), None), config=config)
    shares_K = torch.bincount(found_BNQ[0, 2:, 0], minlength=MASK) / 8000
    torch.testing.assert_close(shares_K, (logits_K / 0.5).softmax(-1), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"first_level_steps": 0}, "first_level_steps=0 must be at least 1"),
        ({"later_level_steps": 0}, "later_level_steps=0 must be at least 1"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"prompt_frames": 0}, "prompt_frames=0 must be at least 1"),
        ({"temperature": -1.0}, "temperature=-1.0 must be at least 0"),
        ({"top_k": -1}, "top_k=-1 must be at least 0"),
        ({"guidance": -0.5}, "guidance=-0.5 must be at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        S2ADecodingConfig(**settings)


def test_the_seed_decides_unless_the_temperature_is_zero(make_s2a, inputs):
    s2a = make_s2a()
    assert torch.equal(decode(s2a, inputs, seed=1), decode(s2a, inputs, seed=1))
    assert not torch.equal(decode(s2a, inputs, seed=1), decode(s2a, inputs, seed=2))
    cold = S2ADecodingConfig(first_level_steps=4, temperature=0.0)
    assert torch.equal(decode(s2a, inputs, seed=1, config=cold), decode(s2a, inputs, seed=2, config=cold))


def test_one_cold_pass_takes_the_likeliest_codes(make_s2a, inputs):
    s2a, calls = make_s2a(), []
    s2a.register_forward_hook(lambda module, args, logits: calls.append(logits))
    config = S2ADecodingConfig(first_level_steps=1, later_level_steps=1, temperature=0.0)
    found_BNQ, is_target_BN = decode(s2a, inputs, config=config), inputs[-1]
    for level, logits_BNK in enumerate(calls):
        assert torch.equal(found_BNQ[..., level][is_target_BN], logits_BNK.argmax(-1)[is_target_BN])


def test_top_k_draws_from_the_likeliest_codes_alone(make_s2a, inputs):
    s2a, calls = make_s2a(), []
    s2a.register_forward_hook(lambda module, args, logits: calls.append(logits))
    config = S2ADecodingConfig(first_level_steps=1, later_level_steps=1, temperature=5.0, top_k=2)
    found_BNQ, is_target_BN = decode(s2a, inputs, config=config), inputs[-1]
    for level, logits_BNK in enumerate(calls):
        ranks_BN = (logits_BNK > logits_BNK.gather(2, found_BNQ[..., level : level + 1])).sum(-1)
        assert set(ranks_BN[is_target_BN].tolist()) == {0, 1}


def test_guidance_moves_the_scores_away_from_those_without_the_condition(make_s2a, inputs):
    s2a, calls = make_s2a(condition_dropout=0.1), []
    torch.nn.init.normal_(s2a.no_semantic_D)
    s2a.register_forward_hook(lambda module, args, logits: calls.append((args[1], logits)))
    config = S2ADecodingConfig(first_level_steps=1, later_level_steps=1, temperature=0.0, guidance=1.5)
    found_BNQ, is_target_BN = decode(s2a, inputs, config=config), inputs[-1]
    for level, (codes_2BNQ, logits_2BNK) in enumerate(calls):
        given_BNQ, hidden_BNQ = codes_2BNQ.chunk(2)
        assert (hidden_BNQ[~is_target_BN] == MASK).all() and (given_BNQ[~is_target_BN] != MASK).all()
        with_BNK, without_BNK = logits_2BNK.chunk(2)
        guided_BNK = 2.5 * with_BNK - 1.5 * without_BNK
        assert torch.equal(found_BNQ[..., level][is_target_BN], guided_BNK.argmax(-1)[is_target_BN])
    assert not torch.equal(found_BNQ, decode(s2a, inputs, config=S2ADecodingConfig(1, 1, 0.0)))


def test_guidance_needs_a_model_that_knows_the_lack_of_a_condition(make_s2a, inputs):
    with pytest.raises(ConfigError, match="model.condition_dropout"):
        decode(make_s2a(), inputs, config=S2ADecodingConfig(guidance=1.0))
