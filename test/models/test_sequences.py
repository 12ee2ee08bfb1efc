"""Operations on padded batches, against slow references."""

import torch

from tokenchain_toolkit.models.sequences import IGNORE_ID, add_sos_eos, gather_span, pack_left, valid_mask


def test_valid_mask_counts_the_lengths():
    assert valid_mask(torch.tensor([0, 2, 3]), 3).tolist() == [[False] * 3, [True, True, False], [True] * 3]


def test_pack_left_equals_joining_row_by_row():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        sizes = torch.randint(0, 6, (3,), generator=generator).tolist()
        sizes[0] += 1
        parts = [torch.randn(4, size, 2, generator=generator) for size in sizes]
        lengths = [torch.randint(0, size + 1, (4,), generator=generator) for size in sizes]
        lengths[0][0] = sizes[0]  # at least one row is not empty
        packed_BND, total_B = pack_left(parts, lengths)
        rows = [torch.cat([part[b, : n[b]] for part, n in zip(parts, lengths, strict=True)]) for b in range(4)]
        assert total_B.tolist() == [len(row) for row in rows]
        assert packed_BND.shape == (4, max(map(len, rows)), 2)
        for packed_ND, row_ND in zip(packed_BND, rows, strict=True):
            assert torch.equal(packed_ND[: len(row_ND)], row_ND)
            assert not packed_ND[len(row_ND) :].any()


def test_pack_left_passes_the_gradient_to_real_positions_only():
    part_BND = torch.randn(2, 3, 1, requires_grad=True)
    packed_BND, _ = pack_left([part_BND, torch.randn(2, 2, 1)], [torch.tensor([1, 3]), torch.tensor([2, 0])])
    packed_BND.sum().backward()
    assert part_BND.grad.squeeze(-1).tolist() == [[1, 0, 0], [1, 1, 1]]


def test_add_sos_eos_shifts_by_one():
    text_BL, lengths_B = torch.tensor([[4, 5, 6], [7, 3, 3], [3, 3, 3]]), torch.tensor([3, 1, 0])
    inputs_BL, targets_BL = add_sos_eos(text_BL, lengths_B, sos_eos_id=9)
    assert inputs_BL.tolist() == [[9, 4, 5, 6], [9, 7, 9, 9], [9, 9, 9, 9]]
    x = IGNORE_ID
    assert targets_BL.tolist() == [[4, 5, 6, 9], [7, 9, x, x], [9, x, x, x]]


def test_gather_span_takes_a_window_of_each_row():
    states_BND = torch.arange(10.0).reshape(2, 5, 1)
    assert gather_span(states_BND, torch.tensor([0, 2]), 3).squeeze(-1).tolist() == [[0, 1, 2], [7, 8, 9]]
    assert gather_span(states_BND, torch.tensor([3, 4]), 3).squeeze(-1).tolist() == [[3, 4, 4], [9, 9, 9]]
