"""What the ASR reads: by which head, from which distribution, and with which probability."""

import copy
import itertools
from collections import Counter

import pytest
import torch

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.chain import ChainModelConfig
from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.dataset import TokenDataset, collate
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.models.asr_reading import read_ctc, read_free_running, read_teacher_forced
from tokenchain_toolkit.models.chain import ChainModel
from tokenchain_toolkit.models.sequences import valid_mask

READERS = {"free_running": read_free_running, "ctc": read_ctc}


@pytest.fixture
def asr(trained_asr):
    """A recogniser that knows what it reads, and when it ends."""
    return load_model(trained_asr, kind="asr").module


@pytest.fixture
def unsure(asr):
    """The same, less sure of everything."""
    unsure = copy.deepcopy(asr)
    with torch.no_grad():
        for head in (unsure.decoder.output_layer, unsure.ctc.ctc_lo):
            head.weight.mul_(0.25)
    return unsure


@pytest.fixture
def batch(make_corpus):
    """Utterances that it has learned, of several lengths."""
    dataset = TokenDataset(make_corpus(), DataConfig(), seed=0, epoch=0)
    return collate([dataset[index] for index in (4, 2, 1)])


def texts_of(read):
    return [row[:n].tolist() for row, n in zip(read.text_BL, read.lengths_B.tolist(), strict=True)]


def memory_of(asr, batch):
    return asr.encode(batch.semantic_BT, batch.semantic_lengths_B)


def short_memory(asr, batch, copies):
    """Three encoder frames of one utterance, many times."""
    memory_BSD, lengths_B = asr.encode(batch.semantic_BT[:1, :9], torch.tensor([9]))
    assert lengths_B.tolist() == [3]
    return memory_BSD.expand(copies, -1, -1), lengths_B.expand(copies)


@torch.no_grad()
def test_greedy_free_running_is_a_beam_search_of_size_one(asr, batch):
    for index, frames in enumerate(batch.semantic_lengths_B.tolist()):
        semantic_1T = batch.semantic_BT[index : index + 1, :frames]
        memory_BSD, lengths_B = asr.encode(semantic_1T, torch.tensor([frames]))
        search = BeamSearch(asr, ASRDecodingConfig(beam_size=1, ctc_weight=0.0))
        texts = texts_of(read_free_running(asr, memory_BSD, lengths_B, generator=None))
        assert texts == search.recognise([semantic_1T[0].numpy()]) and texts[0]


@torch.no_grad()
def test_the_best_ctc_path_is_the_greedy_one(asr, batch):
    memory_BSD, lengths_B = memory_of(asr, batch)
    texts = texts_of(read_ctc(asr, memory_BSD, lengths_B, generator=None))
    assert texts == asr.ctc_greedy(memory_BSD, lengths_B) and any(texts)


@torch.no_grad()
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_texts_are_drawn_as_often_as_their_probability_says(unsure, batch, reader):
    copies = 20000
    memory_BSD, lengths_B = short_memory(unsure, batch, copies)
    read = reader(unsure, memory_BSD, lengths_B, generator=torch.Generator().manual_seed(0))
    found = Counter(tuple(text) for text in texts_of(read))
    probability = dict(zip(map(tuple, texts_of(read)), read.log_prob_B.exp().tolist(), strict=True))
    assert len(found) > 20
    for text, count in found.most_common(12):
        expected = probability[text]
        assert count / copies == pytest.approx(expected, abs=5 * (expected / copies) ** 0.5), text
    assert sum(probability.values()) <= 1.001


@torch.no_grad()
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("sampled", [False, True])
def test_texts_hold_only_units_that_t2s_knows_and_never_more_than_there_are_frames(asr, batch, reader, sampled):
    memory_BSD, lengths_B = memory_of(asr, batch)
    generator = torch.Generator().manual_seed(1) if sampled else None
    read = reader(asr, memory_BSD, lengths_B, generator=generator)
    units = read.text_BL[valid_mask(read.lengths_B, read.text_BL.shape[1])]
    assert len(units) and units.min() > 0 and units.max() < asr.sos_eos_id
    assert (read.lengths_B <= lengths_B).all() and read.log_prob_B.isfinite().all()
    probs_BLV = read.logits_BLV.softmax(-1)
    assert not probs_BLV[..., [0, asr.sos_eos_id]].any()
    assert (read.noise_BLV is None) == (not sampled)
    if sampled:
        assert read.noise_BLV.shape == read.logits_BLV.shape


@torch.no_grad()
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_other_utterances_and_padding_change_nothing(asr, batch, reader):
    memory_BSD, lengths_B = memory_of(asr, batch)
    together = reader(asr, memory_BSD, lengths_B, generator=None)
    for index, frames in enumerate(lengths_B.tolist()):
        alone = reader(asr, memory_BSD[index : index + 1, :frames], lengths_B[index : index + 1], generator=None)
        assert texts_of(alone) == texts_of(together)[index : index + 1]
        torch.testing.assert_close(alone.log_prob_B[0], together.log_prob_B[index])


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_gradients_reach_the_memory_and_dropout_is_as_before(asr, batch, reader):
    asr.train()
    memory_BSD, lengths_B = memory_of(asr, batch)
    memory_BSD = memory_BSD.detach().requires_grad_()
    read = reader(asr, memory_BSD, lengths_B, generator=torch.Generator().manual_seed(1))
    assert all(module.training for module in asr.modules())
    for value in (read.log_prob_B.sum(), read.logits_BLV[..., 2].sum()):
        (gradient,) = torch.autograd.grad(value, memory_BSD, retain_graph=True)
        assert gradient.any() and gradient.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("sampled", [False, True])
def test_dropout_does_not_come_between_what_is_read_and_its_scores(unsure, batch, reader, sampled):
    memory_BSD, lengths_B = memory_of(unsure, batch)
    for module in unsure.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5

    def read_in(mode):
        generator = torch.Generator().manual_seed(2) if sampled else None
        return reader(unsure.train(mode), memory_BSD, lengths_B, generator=generator)

    read, quiet = read_in(True), read_in(False)
    scores_BLV = read.logits_BLV if read.noise_BLV is None else read.logits_BLV + read.noise_BLV
    is_text_BL = valid_mask(read.lengths_B, read.text_BL.shape[1])
    assert torch.equal(scores_BLV.argmax(-1)[is_text_BL], read.text_BL[is_text_BL])
    torch.testing.assert_close(read.log_prob_B, quiet.log_prob_B)


@torch.no_grad()
def test_teacher_forcing_reads_the_likeliest_text_unit_after_each_unit_of_the_reference(asr, batch):
    logits_BLV, _ = asr.decode(*memory_of(asr, batch), batch.text_BL, batch.text_lengths_B)
    read = read_teacher_forced(asr, logits_BLV[:, :-1], batch.text_lengths_B, generator=None)
    assert torch.equal(read.text_BL, logits_BLV[:, :-1, 1 : asr.sos_eos_id].argmax(-1) + 1)
    assert read.text_BL.shape == batch.text_BL.shape and read.log_prob_B is None


def test_the_score_function_gives_the_gradient_of_the_expected_loss(unsure, make_t2s, make_batch):
    """Against the exact one, by going through all paths of three frames."""
    config = ChainModelConfig(feedback="score_function", reading="ctc", num_samples=8000)
    asr, batch = unsure, make_batch([9], [2])
    chain = ChainModel(config, asr=asr, t2s=make_t2s()).eval()
    weight = asr.ctc.ctc_lo.weight
    loss = chain(batch, temperature=1.0, generator=torch.Generator().manual_seed(0)).t2s.loss
    (estimate,) = torch.autograd.grad(loss, weight)

    memory_BSD, lengths_B = memory_of(asr, batch)
    log_probs_SV = asr.ctc.ctc_lo(memory_BSD)[0, :, : asr.sos_eos_id].log_softmax(-1)
    losses, expected = {}, torch.zeros(())
    for path in itertools.product(range(asr.sos_eos_id), repeat=3):
        text = tuple(unit for unit, _ in itertools.groupby(path) if unit != 0)
        if text not in losses:
            text_BL = torch.tensor([text or (1,)])
            with torch.no_grad():
                losses[text] = chain.reconstruct_from_ids(text_BL, batch, torch.tensor([len(text)])).loss
        expected = expected + log_probs_SV[range(3), path].sum().exp() * losses[text]
    (exact,) = torch.autograd.grad(expected, weight)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=0.01)
    assert torch.cosine_similarity(estimate.flatten(), exact.flatten(), dim=0) > 0.9
    assert float(estimate.norm()) == pytest.approx(float(exact.norm()), rel=0.25)
