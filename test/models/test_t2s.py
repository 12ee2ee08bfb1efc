"""T2S: padding does not leak, prefixes are optional, the gradient reaches the text."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.unit_durations import learn_unit_durations

FRAMES, UNITS, PROMPTS = [9, 5, 14], [3, 6, 1], [4, 0, 2]


def loss_of(t2s, batch, text_BLD=None):
    text = t2s.read_ids(batch.text_BL, batch.text_lengths_B)
    return t2s(
        text if text_BLD is None else replace(text, embeddings_BLD=text_BLD),
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


def aligned_positions(t2s, text_lengths, num_frames):
    text_lengths_B = torch.tensor(text_lengths)
    text = t2s.read_ids(torch.tensor([[2, 3, 4, 3]] * len(text_lengths)), text_lengths_B)
    prefix_BP, history_BT = torch.zeros(len(text_lengths), 2).long(), torch.zeros(len(text_lengths), 8).long()
    prefix_lengths_B = torch.full_like(text_lengths_B, 2)
    return t2s.assemble(
        text, prefix_BP, prefix_lengths_B, torch.tensor(num_frames), history_BT, torch.tensor(num_frames)
    )


def test_aligned_text_stands_where_it_is_expected_to_be_said(make_t2s):
    t2s = make_t2s(text_positions="aligned")
    t2s.unit_frames_V[[2, 3, 4]] = torch.tensor([2.0, 4.0, 1.0])
    t2s.extra_frames.fill_(1.0)
    # 1 frame besides and 2 + 4 + 1 of units in 8 frames, then a text of half of them in 3.5, at twice the rate.
    inputs = aligned_positions(t2s, [3, 2], [8, 3])
    assert inputs.position_BN[0].tolist() == [1.5, 4.5, 7.0, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    scale = 3 / 7
    expected = torch.tensor([1.5 * scale, 4.5 * scale, -2, -1, 0, 1, 2, 3])
    torch.testing.assert_close(inputs.position_BN[1, : len(expected)], expected)


@torch.no_grad()
@pytest.mark.parametrize("positions", ["order", "aligned"])
def test_one_hot_weights_are_the_ids_that_they_stand_for(make_t2s, make_batch, positions):
    t2s, batch = make_t2s(text_positions=positions), make_batch(FRAMES, UNITS, PROMPTS)
    t2s.unit_frames_V[:] = torch.linspace(1, 9, len(t2s.unit_frames_V))
    one_hot_BLV = torch.nn.functional.one_hot(batch.text_BL, len(t2s.unit_frames_V)).float()
    t2s.unit_frames_V += 1 / 3  # no number of few bits
    by_ids = t2s.read_ids(batch.text_BL, batch.text_lengths_B)
    by_weights = t2s.read_weights(one_hot_BLV, batch.text_lengths_B)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(t2s.read_weights(one_hot_BLV, batch.text_lengths_B).frames_BL, by_ids.frames_BL)
    torch.testing.assert_close(by_weights.embeddings_BLD, by_ids.embeddings_BLD)
    torch.testing.assert_close(by_weights.frames_BL, by_ids.frames_BL)


@torch.no_grad()
def test_where_the_text_is_expected_changes_what_is_said(make_t2s, make_batch):
    t2s, batch = make_t2s(text_positions="aligned"), make_batch(FRAMES, UNITS, PROMPTS)
    before = loss_of(t2s, batch)
    t2s.unit_frames_V[:] = torch.linspace(1, 9, len(t2s.unit_frames_V))
    assert not torch.equal(loss_of(t2s, batch), before)


@torch.no_grad()
def test_aligned_text_padded_beyond_the_longest_is_as_good(make_t2s, make_batch):
    t2s, batch = make_t2s(text_positions="aligned"), make_batch([1, 1], [2, 1])
    padded = replace(batch, text_BL=torch.nn.functional.pad(batch.text_BL, (0, 9), value=3))
    torch.testing.assert_close(loss_of(t2s, padded), loss_of(t2s, batch))


def test_unknown_text_positions_are_refused(make_t2s):
    with pytest.raises(ConfigError, match="model.text_positions=near: choose one of order, aligned"):
        make_t2s(text_positions="near")


@pytest.mark.parametrize("sizes", ["all alike", "telling"])
def test_durations_are_found_without_alignments(sizes):
    generator = np.random.default_rng(0)
    true_V = generator.uniform(2, 20, 30)
    unit_sizes = np.full(30, 3) if sizes == "all alike" else np.round(true_V)
    texts = [generator.integers(2, 28, generator.integers(1, 12)) for _ in range(2000)]
    frames = [true_V[text_L].sum() + 6 + generator.normal(0, 2) for text_L in texts]
    found_V, extra = learn_unit_durations(texts, frames, unit_sizes=unit_sizes)
    assert np.abs(found_V[2:28] - true_V[2:28]).max() < 1 and extra == pytest.approx(6, abs=1)
    if sizes == "telling":  # of units that were never said, their size is all that is known
        assert np.abs(found_V - true_V).max() < 1.5


def test_silence_is_not_taken_for_speech_where_the_number_of_units_tells_little():
    generator = np.random.default_rng(0)
    true_V = np.array([1.0] * 20 + [40.0] * 20)
    # Short units make up most of a text, and long ones its length.
    counts = zip(generator.integers(0, 40, 3000), generator.integers(1, 9, 3000), strict=True)
    texts = [
        np.concatenate([generator.integers(0, 20, short), generator.integers(20, 40, long)]) for short, long in counts
    ]
    frames = [true_V[text_L].sum() + 10 for text_L in texts]
    found_V, extra = learn_unit_durations(texts, frames, unit_sizes=np.full(40, 2))
    assert extra == pytest.approx(10, abs=3) and np.abs(found_V - true_V).max() < 2


def test_no_unit_lasts_less_than_nothing_and_no_speech_less_than_a_frame(make_t2s):
    t2s = make_t2s()
    sizes = [1] * len(t2s.unit_frames_V)
    t2s.learn_durations([np.array([2, 2, 2]), np.array([3])], [1, 40], unit_sizes=sizes)
    assert (t2s.unit_frames_V >= 0).all() and t2s.extra_frames > 0
    t2s.learn_durations([np.full(3, 2), np.full(5, 2)], [2, 10], unit_sizes=sizes)  # 4 for each unit, and 10 less
    assert t2s.extra_frames < 0
    frames_B = t2s.expected_frames(t2s.read_ids(torch.tensor([[2, 2, 2], [2, 2, 2]]), torch.tensor([3, 1])))
    assert frames_B.tolist() == pytest.approx([2, 1], abs=0.01)
