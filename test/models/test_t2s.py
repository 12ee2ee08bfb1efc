"""T2S: padding does not leak, prefixes are optional, the gradient reaches the text."""

from dataclasses import replace

import pytest
import torch

FRAMES, UNITS, PROMPTS = [9, 5, 14], [3, 6, 1], [4, 0, 2]


def loss_of(t2s, batch, text_BLD=None):
    return t2s(
        t2s.embed_text(batch.text_BL) if text_BLD is None else text_BLD,
        batch.text_lengths_B,
        batch.semantic_BT,
        batch.semantic_lengths_B,
        prefix_BP=batch.prompt_BP,
        prefix_lengths_B=batch.prompt_lengths_B,
    ).loss


def single(batch, index):
    """One utterance of a batch, without its padding."""

    def cut(values, lengths):
        return values[index : index + 1, : lengths[index]]

    row = slice(index, index + 1)
    return replace(
        batch,
        semantic_BT=cut(batch.semantic_BT, batch.semantic_lengths_B),
        semantic_lengths_B=batch.semantic_lengths_B[row],
        text_BL=cut(batch.text_BL, batch.text_lengths_B),
        text_lengths_B=batch.text_lengths_B[row],
        prompt_BP=cut(batch.prompt_BP, batch.prompt_lengths_B),
        prompt_lengths_B=batch.prompt_lengths_B[row],
    )


@torch.no_grad()
def test_a_padded_batch_is_the_frame_weighted_mean_of_its_utterances(make_t2s, make_batch):
    t2s, batch = make_t2s(), make_batch(FRAMES, UNITS, PROMPTS)
    weights = batch.semantic_lengths_B + 1.0  # and the end symbol
    singles = torch.stack([loss_of(t2s, single(batch, index)) for index in range(3)])
    assert singles.std() > 1e-3
    torch.testing.assert_close(loss_of(t2s, batch), (singles * weights).sum() / weights.sum())


@torch.no_grad()
def test_what_stands_at_padding_does_not_matter(make_t2s, make_batch):
    t2s, batch = make_t2s(), make_batch(FRAMES, UNITS, PROMPTS)
    expected = loss_of(t2s, batch)
    for values, lengths in (
        (batch.semantic_BT, batch.semantic_lengths_B),
        (batch.text_BL, batch.text_lengths_B),
        (batch.prompt_BP, batch.prompt_lengths_B),
    ):
        for row, length in zip(values, lengths.tolist(), strict=True):
            row[length:] = 5
    assert torch.equal(loss_of(t2s, batch), expected)


@torch.no_grad()
def test_a_prefix_of_no_frames_is_no_prefix(make_t2s, make_batch):
    t2s, batch = make_t2s(), make_batch(FRAMES, UNITS)
    assert batch.prompt_BP.shape == (3, 0)
    unused = replace(batch, prompt_BP=torch.full((3, 4), 2))
    torch.testing.assert_close(loss_of(t2s, unused), loss_of(t2s, batch))
    used = replace(unused, prompt_lengths_B=torch.tensor([4, 4, 4]))
    assert not torch.allclose(loss_of(t2s, used), loss_of(t2s, batch))


def test_the_gradient_reaches_the_text_and_not_its_padding(make_t2s, make_batch):
    t2s, batch = make_t2s(), make_batch(FRAMES, UNITS, PROMPTS)
    text_BLD = t2s.embed_text(batch.text_BL).detach().requires_grad_()
    loss_of(t2s, batch, text_BLD).backward()
    for gradient_LD, length in zip(text_BLD.grad, UNITS, strict=True):
        assert gradient_LD[:length].abs().sum(-1).min() > 0
        assert not gradient_LD[length:].any()


@torch.no_grad()
def test_later_tokens_do_not_influence_earlier_ones(make_t2s, make_batch):
    t2s, batch = make_t2s(), make_batch([8], [3])
    longer, shorter = loss_of(t2s, batch) * 9, loss_of(t2s, replace(batch, semantic_lengths_B=torch.tensor([7]))) * 8
    batch.semantic_BT[0, 7] = (batch.semantic_BT[0, 7] + 1) % 12
    changed = loss_of(t2s, replace(batch, semantic_lengths_B=torch.tensor([7]))) * 8
    assert torch.equal(changed, shorter) and not torch.allclose(longer, shorter)


@pytest.mark.parametrize(("name", "value"), [("history_dropout", 0.5), ("label_smoothing", 0.3), ("dropout", 0.5)])
@torch.no_grad()
def test_regularisation_is_for_training_only(make_t2s, make_batch, name, value):
    batch = make_batch(FRAMES, UNITS, PROMPTS)
    plain, regular = make_t2s(), make_t2s(**{name: value})
    quiet = loss_of(plain, batch)
    assert torch.equal(loss_of(plain.train(), batch), quiet)
    assert torch.equal(loss_of(regular, batch), quiet)
    torch.manual_seed(0)
    assert not torch.equal(loss_of(regular.train(), batch), quiet)


@torch.no_grad()
def test_a_history_that_is_dropped_whole_is_not_heard(make_t2s, make_batch):
    t2s, batch = make_t2s(history_dropout=1.0).train(), make_batch([6], [3])
    heard = []
    t2s.llama.register_forward_pre_hook(
        lambda module, args, kwargs: heard.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    for shift in (0, 1):
        loss_of(t2s, replace(batch, semantic_BT=(batch.semantic_BT + shift) % 12))
    assert torch.equal(*heard)


def test_with_a_text_stride_speech_counts_frames_and_text_advances_by_the_stride(make_t2s):
    t2s = make_t2s(text_stride=2.5)
    text_BLD = torch.zeros(1, 4, t2s.config.hidden_dim)
    prefix_BP, history_BT = torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 3, dtype=torch.long)
    inputs = t2s.assemble(text_BLD, torch.tensor([3]), prefix_BP, torch.tensor([2]), history_BT, torch.tensor([3]))
    assert inputs.position_BN.tolist() == [[0, 2.5, 5, -2, -1, 0, 1, 2, 3]]
