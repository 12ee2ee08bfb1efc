"""S2A: padding does not leak, the loss is at masked positions alone."""

import numpy as np
import pytest
import torch

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models import s2a as s2a_module
from tokenchain_toolkit.models.batch import join_prompt
from tokenchain_toolkit.models.s2a import EMBEDDING_STD, mask_codes

MASK = 7


@pytest.mark.parametrize("with_gradient", [True, False])  # PyTorch has another path for inference
def test_padding_does_not_leak(make_s2a, make_batch, with_gradient):
    s2a, batch = make_s2a(), make_batch([9, 5], [1, 1], [3, 2])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    level_B = torch.tensor([0, 2])
    with torch.set_grad_enabled(with_gradient):
        padded_BNK = s2a(
            torch.nn.functional.pad(semantic_BN, (0, 4), value=3),
            torch.nn.functional.pad(codes_BNQ, (0, 0, 0, 4), value=MASK),
            lengths_B,
            level_B,
        )
        for row, length in enumerate(lengths_B.tolist()):
            one = slice(row, row + 1)
            alone_BNK = s2a(semantic_BN[one, :length], codes_BNQ[one, :length], lengths_B[one], level_B[one])
            torch.testing.assert_close(padded_BNK[one, :length], alone_BNK, atol=1e-5, rtol=1e-4)


def test_join_prompt_puts_the_prompt_first(make_batch):
    batch = make_batch([4, 6], [1, 1], [3, 0])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    assert lengths_B.tolist() == [7, 6]
    assert torch.equal(semantic_BN[0], torch.cat([batch.prompt_BP[0], batch.semantic_BT[0, :4]]))
    assert torch.equal(codes_BNQ[0, 3:7], batch.codes_BTQ[0, :4])
    assert torch.equal(codes_BNQ[1, :6], batch.codes_BTQ[1])


def test_a_frame_of_several_semantic_tokens_hears_each_and_their_order(make_s2a, make_batch):
    s2a, batch = make_s2a(tokens_per_frame=2), make_batch([9, 5], [1, 1], [3, 2])
    batch.semantic_BT = torch.stack([batch.semantic_BT, (batch.semantic_BT + 1) % 12], dim=2)
    batch.prompt_BP = torch.stack([batch.prompt_BP, (batch.prompt_BP + 1) % 12], dim=2)
    semantic_BN2, codes_BNQ, lengths_B = join_prompt(batch)
    assert semantic_BN2.shape == (*codes_BNQ.shape[:2], 2)
    assert torch.equal(semantic_BN2[0, 3:12], batch.semantic_BT[0, :9])
    level_B = torch.tensor([0, 1])
    straight, swapped, changed = (
        s2a(tokens, codes_BNQ, lengths_B, level_B)
        for tokens in (semantic_BN2, semantic_BN2.flip(2), semantic_BN2.clone().index_fill_(2, torch.tensor(1), 0))
    )
    assert not torch.allclose(straight, swapped) and not torch.allclose(straight, changed)


def test_mask_codes_hides_the_chosen_level_where_told_and_all_above_it_at_targets():
    codes_BNQ = torch.ones(2, 3, 3, dtype=torch.long)
    is_target_BN = torch.tensor([[False, True, True], [False, True, True]])
    masked_BN = torch.tensor([[False, True, False], [False, False, True]])
    hidden_BNQ = mask_codes(codes_BNQ, is_target_BN, masked_BN, torch.tensor([0, 1]), mask_id=MASK) == MASK
    assert hidden_BNQ[0].int().tolist() == [[0, 0, 0], [1, 1, 1], [0, 1, 1]]
    assert hidden_BNQ[1].int().tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1]]


def test_the_loss_is_at_masked_target_positions_alone(make_s2a, make_batch):
    s2a, batch = make_s2a(), make_batch([9, 5, 12], [1, 1, 1], [3, 2, 0])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    seen = {}

    def remember(module, args, logits_BNK):
        logits_BNK.retain_grad()
        seen.update(codes_BNQ=args[1], level_B=args[3], logits_BNK=logits_BNK)

    s2a.register_forward_hook(remember)
    generator = torch.Generator().manual_seed(1)
    output = s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, generator=generator)
    output.loss.backward()
    level_BN1 = seen["level_B"][:, None, None].expand(-1, semantic_BN.shape[1], 1)
    hidden_BN = seen["codes_BNQ"].gather(2, level_BN1).squeeze(2) == MASK
    assert hidden_BN.any() and torch.equal(seen["logits_BNK"].grad.abs().sum(-1) > 0, hidden_BN)
    frame_N = torch.arange(semantic_BN.shape[1])
    is_target_BN = (frame_N >= batch.prompt_lengths_B[:, None]) & (frame_N < lengths_B[:, None])
    assert not (hidden_BN & ~is_target_BN).any()
    truth_BN = codes_BNQ.gather(2, level_BN1).squeeze(2)
    expected = torch.nn.functional.cross_entropy(seen["logits_BNK"][hidden_BN], truth_BN[hidden_BN])
    torch.testing.assert_close(output.loss, expected)


@torch.no_grad()
def test_the_same_generator_gives_the_same_loss(make_s2a, make_batch):
    s2a, batch = make_s2a(), make_batch([9, 5], [1, 1], [3, 2])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)

    def loss(seed):
        generator = torch.Generator().manual_seed(seed)
        return s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, generator=generator).loss

    assert torch.equal(loss(0), loss(0)) and not torch.equal(loss(0), loss(1))


@pytest.mark.parametrize(("level_sampling", "weights"), [("linear", [3, 2, 1]), ("uniform", [1, 1, 1])])
@torch.no_grad()
def test_training_draws_the_quantizers_as_configured(make_s2a, make_batch, level_sampling, weights):
    s2a, batch = make_s2a(level_sampling=level_sampling), make_batch([3] * 2000, [1] * 2000, [0] * 2000)
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    drawn = []
    s2a.register_forward_hook(lambda module, args, logits_BNK: drawn.append(args[3]))
    generator = torch.Generator().manual_seed(0)
    s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, generator=generator)
    shares_Q = torch.bincount(drawn[0], minlength=3) / 2000
    torch.testing.assert_close(shares_Q, torch.tensor(weights) / sum(weights), atol=0.04, rtol=0)


def test_an_unknown_level_sampling_is_refused(make_s2a):
    with pytest.raises(ConfigError, match="level_sampling=cosine"):
        make_s2a(level_sampling="cosine")


def test_gradient_checkpointing_changes_no_gradient(make_s2a, make_batch):
    batch = make_batch([9, 5], [1, 1], [3, 2])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)

    def gradients(checkpointing):
        s2a = make_s2a(gradient_checkpointing=checkpointing, num_layers=2).train()
        generator = torch.Generator().manual_seed(0)
        s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, generator=generator).loss.backward()
        return {name: parameter.grad for name, parameter in s2a.named_parameters() if parameter.grad is not None}

    plain, twice = gradients(False), gradients(True)
    assert plain.keys() == twice.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(twice[name], gradient, atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_a_hidden_condition_has_no_influence(make_s2a, make_batch):
    s2a, batch = make_s2a(condition_dropout=0.5), make_batch([9, 5], [1, 1], [3, 2])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    level_B, hidden_B = torch.tensor([0, 1]), torch.tensor([True, False])
    first_BNK = s2a(semantic_BN, codes_BNQ, lengths_B, level_B, hidden_B=hidden_B)
    other_BNK = s2a((semantic_BN + 1) % 12, codes_BNQ, lengths_B, level_B, hidden_B=hidden_B)
    torch.testing.assert_close(other_BNK[0], first_BNK[0])
    assert not torch.allclose(other_BNK[1], first_BNK[1])


def test_training_hides_the_condition_of_a_share_of_utterances_and_validation_of_none(make_s2a, make_batch):
    s2a, batch = make_s2a(condition_dropout=0.3), make_batch([4] * 400, [1] * 400, [3] * 400)
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    seen = []
    s2a.register_forward_hook(
        lambda module, args, options, logits: seen.append((args[1], options["hidden_B"])), with_kwargs=True
    )
    for training in (True, False):
        s2a.train(training)
        s2a.compute_loss(semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B)
    (codes_BNQ, hidden_B), (_, hidden_in_validation) = seen
    assert 0.2 < hidden_B.float().mean() < 0.4 and hidden_in_validation is None
    assert torch.equal((codes_BNQ[:, :3] == MASK).all(dim=(1, 2)), hidden_B)


@torch.no_grad()
def test_heads_that_start_from_codebooks_score_codes_that_are_alike_alike(make_s2a, make_batch):
    s2a, batch = make_s2a(), make_batch([9, 5], [1, 1], [3, 2])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    before = [float(head.std()) for head in s2a.heads]
    entries = np.random.default_rng(0).normal(size=(MASK, 5)).astype(np.float32)
    entries[1] = entries[0] + 0.01  # two that are nearly the same
    s2a.start_from([entries, 7 * entries, entries - 3])
    for level in range(3):
        level_B = torch.full_like(lengths_B, level)
        scores_KX = s2a(semantic_BN, codes_BNQ, lengths_B, level_B).flatten(0, 1).T
        distances_KK = torch.cdist(scores_KX, scores_KX)
        assert distances_KK[0, 1] < 0.1 * distances_KK[distances_KK > 0].mean()
        assert float(s2a.heads[level].std()) == pytest.approx(before[level], rel=0.2)


@torch.no_grad()
def test_embeddings_that_start_from_codebooks_add_up_as_the_codec_does(make_s2a):
    s2a = make_s2a()
    masks_QD = s2a.embed_codes.weight.view(3, MASK + 1, -1)[:, MASK].clone()
    generator = np.random.default_rng(0)
    books = [size * generator.normal(size=(MASK, 5)).astype(np.float32) for size in (4, 2, 1)]
    # Two frames of other codes that the codec rebuilds alike.
    books = [book - book.mean(0) for book in books]
    books[1][1] = books[1][0] + books[0][0] - books[0][1]
    books[1] -= books[1].mean(0)
    s2a.start_from(books)
    codes_QXD = s2a.embed_codes.weight.view(3, MASK + 1, -1)
    one_D, other_D, third_D = (codes_QXD[0, a] + codes_QXD[1, b] for a, b in ((0, 0), (1, 1), (2, 2)))
    torch.testing.assert_close(one_D, other_D)
    assert not torch.allclose(one_D, third_D, atol=0.1)
    assert torch.equal(codes_QXD[:, MASK], masks_QD)
    assert float(codes_QXD[0, :MASK].std()) == pytest.approx(EMBEDDING_STD, rel=0.2)


def test_the_masked_shares_of_training_follow_the_cosine(make_s2a, make_batch):
    s2a, batch, seen = make_s2a(), make_batch([40] * 1000, [1] * 1000, [2] * 1000), []
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    s2a.register_forward_hook(lambda module, args, logits_BNK: seen.append((args[1], args[3])))
    with torch.no_grad():
        s2a.compute_loss(
            semantic_BN, codes_BNQ, lengths_B, batch.prompt_lengths_B, generator=torch.Generator().manual_seed(0)
        )
    ((codes_BNQ, level_B),) = seen
    hidden_BN = codes_BNQ.gather(2, level_B[:, None, None].expand(-1, 42, 1)).squeeze(2) == MASK
    share_B = hidden_BN[:, 2:].float().mean(1)
    # Of cos(pi u / 2), u uniform: the mean, and how much lies below a half.
    assert float(share_B.mean()) == pytest.approx(2 / np.pi, abs=0.03)
    assert float((share_B < 0.5).float().mean()) == pytest.approx(1 / 3, abs=0.05)


@torch.no_grad()
def test_a_code_counts_by_its_quantizer_the_scores_by_theirs_and_a_frame_by_its_place(make_s2a, monkeypatch):
    s2a, lengths_B = make_s2a(), torch.tensor([12])
    semantic_BN = torch.full((1, 12), 3)

    def scores(*codes, level=2):
        codes_BNQ = torch.tensor(codes).expand(1, 12, 3)
        return s2a(semantic_BN, codes_BNQ, lengths_B, torch.tensor([level]))

    assert not torch.allclose(scores(1, 4, MASK), scores(4, 1, MASK)), "which quantizer a code is of"
    assert not torch.allclose(scores(1, 4, MASK)[0, 4], scores(1, 4, MASK)[0, 7]), "places of equal frames"
    other = scores(1, 4, MASK, level=1)
    s2a.heads[1] = s2a.heads[2]
    assert not torch.allclose(scores(1, 4, MASK, level=1), other), "each quantizer has scores of its own"
    assert not torch.allclose(scores(1, 4, MASK, level=1), scores(1, 4, MASK)), "which quantizer is asked for"
    # Without places, attention alone does not know which frames are neighbours.
    monkeypatch.setattr(s2a_module, "sinusoids", lambda length, dim, device: torch.zeros(length, dim))
    order_N = torch.tensor([0, 6, 2, 3, 4, 5, 1, 7, 8, 9, 10, 11])
    codes_BNQ = torch.randint(0, MASK, (1, 12, 3), generator=torch.Generator().manual_seed(0))
    straight, swapped = (
        s2a(semantic_BN, codes, lengths_B, torch.tensor([2])) for codes in (codes_BNQ, codes_BNQ[:, order_N])
    )
    assert not torch.allclose(straight[:, order_N], swapped, atol=1e-4)


@torch.no_grad()
def test_half_precision_throughout(make_s2a, make_batch):
    s2a, batch = make_s2a().to(torch.bfloat16), make_batch([9, 5], [1, 1], [3, 2])
    semantic_BN, codes_BNQ, lengths_B = join_prompt(batch)
    assert s2a(semantic_BN, codes_BNQ, lengths_B, torch.tensor([0, 2])).dtype == torch.bfloat16
