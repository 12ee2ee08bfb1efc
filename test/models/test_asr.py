"""Discrete-token ASR: lengths, losses, greedy CTC, time masks."""

import pytest
import torch

from tokenchain_toolkit.config.asr import INPUT_LAYERS
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.models.asr import encoder_frames


def losses_of(asr, batch):
    return asr(batch.semantic_BT, batch.semantic_lengths_B, batch.text_BL, batch.text_lengths_B)


@pytest.mark.parametrize("input_layer", INPUT_LAYERS)
@torch.no_grad()
def test_encoder_frames_is_what_the_encoder_gives(make_asr, input_layer):
    asr = make_asr(input_layer=input_layer)
    for length in range(1, 24):
        semantic_BT, lengths_B = torch.zeros(1, length, dtype=torch.long), torch.tensor([length])
        expected = encoder_frames(length, input_layer)
        if expected == 0:
            with pytest.raises(Exception, match="short"):
                asr.encode(semantic_BT, lengths_B)
        else:
            memory_BSD, memory_lengths_B = asr.encode(semantic_BT, lengths_B)
            assert memory_BSD.shape[1] == expected and memory_lengths_B.tolist() == [expected]


@pytest.mark.parametrize("input_layer", INPUT_LAYERS)
@torch.no_grad()
def test_padding_adds_no_encoder_frames(make_asr, make_batch, input_layer):
    lengths = list(range(INPUT_LAYERS[input_layer][1], 24))
    batch = make_batch(lengths, [1] * len(lengths))
    _, memory_lengths_B = make_asr(input_layer=input_layer).encode(batch.semantic_BT, batch.semantic_lengths_B)
    assert memory_lengths_B.tolist() == [encoder_frames(length, input_layer) for length in lengths]


def test_the_loss_mixes_its_two_parts_and_reaches_every_parameter(make_asr, make_batch):
    asr = make_asr(ctc_weight=0.3).train()
    output = losses_of(asr, make_batch([30, 21, 12], [4, 3, 2]))
    torch.testing.assert_close(output.loss, 0.7 * output.attention_loss + 0.3 * output.ctc_loss)
    output.loss.backward()
    assert torch.isfinite(output.loss)
    silent = [name for name, p in asr.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not silent


@torch.no_grad()
def test_a_batch_of_equal_lengths_is_the_mean_of_its_utterances(make_asr, make_batch):
    asr = make_asr()
    together = make_batch([24] * 3, [4] * 3)
    batch = losses_of(asr, together)
    singles = []
    for index in range(3):
        row = slice(index, index + 1)
        singles.append(
            asr(
                together.semantic_BT[row],
                together.semantic_lengths_B[row],
                together.text_BL[row],
                together.text_lengths_B[row],
            )
        )
    for name in ("loss", "ctc_loss", "attention_loss", "accuracy"):
        mean = torch.stack([getattr(single, name) for single in singles]).mean()
        torch.testing.assert_close(getattr(batch, name), mean)


@torch.no_grad()
def test_padding_ids_of_text_do_not_matter(make_asr, make_batch):
    asr, batch = make_asr(), make_batch([30, 30], [5, 2])
    expected = losses_of(asr, batch).loss
    batch.text_BL[1, 2:] = 7
    torch.testing.assert_close(losses_of(asr, batch).loss, expected)


@torch.no_grad()
@pytest.mark.parametrize("lengths", [[4, 2], [1, 0], [0, 0]])
def test_text_may_be_padded_beyond_the_longest(make_asr, make_batch, lengths):
    asr, batch = make_asr(), make_batch([30, 21], [4, 2])
    memory_BSD, memory_lengths_B = asr.encode(batch.semantic_BT, batch.semantic_lengths_B)
    lengths_B, longest = torch.tensor(lengths), max(lengths)
    narrow, wide = (
        asr.decode(memory_BSD, memory_lengths_B, text_BL, lengths_B)
        for text_BL in (batch.text_BL[:, :longest], torch.nn.functional.pad(batch.text_BL, (0, 3)))
    )
    for narrow_BL, wide_BL in zip(narrow, wide, strict=True):
        assert wide_BL.shape[1] == 8
        torch.testing.assert_close(wide_BL[:, : longest + 1], narrow_BL)


def test_greedy_ctc_merges_repeats_and_drops_blanks_and_padding(make_asr, monkeypatch):
    asr = make_asr()
    path_BS = torch.tensor([[0, 3, 3, 0, 3, 4, 4], [5, 5, 0, 6, 6, 2, 2], [0, 0, 0, 0, 0, 0, 0]])
    monkeypatch.setattr(asr.ctc, "argmax", lambda memory_BSD: path_BS)
    assert asr.ctc_greedy(torch.zeros(3, 7, 1), torch.tensor([7, 5, 7])) == [[3, 3, 4], [5, 6], []]


@torch.no_grad()
def test_time_masks_are_for_training_only(make_asr, make_batch):
    batch = make_batch([60], [4])
    masked, plain = (make_asr(dropout=0.0, num_time_masks=n, time_mask_ratio=0.5) for n in (5, 0))
    quiet = losses_of(masked, batch).loss
    torch.testing.assert_close(losses_of(plain, batch).loss, quiet)
    torch.testing.assert_close(losses_of(plain.train(), batch).loss, quiet)
    torch.manual_seed(0)
    assert not torch.allclose(losses_of(masked.train(), batch).loss, quiet)


def test_an_unknown_input_layer_is_refused(make_asr):
    with pytest.raises(ConfigError, match="model.input_layer=conv2d: choose one of"):
        make_asr(input_layer="conv2d")
