"""Sampling from T2S: the batched, cached loop equals the plain one; cuts of the distribution keep what they should."""

import pytest
import torch

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.t2s_sampling import draw, sample_semantic


def sample(t2s, batch, *, seed=0, **config):
    return sample_semantic(
        t2s,
        batch.text_BL,
        batch.text_lengths_B,
        prefix_BP=batch.prompt_BP,
        prefix_lengths_B=batch.prompt_lengths_B,
        config=T2SSamplingConfig(**config),
        generator=torch.Generator().manual_seed(seed),
    )


@torch.no_grad()
def greedy_reference(t2s, batch, index, *, cap):
    """One utterance, no padding, no cache: the likeliest token until the end symbol or ``cap`` frames."""
    text_1LD = t2s.embed_text(batch.text_BL[index : index + 1, : batch.text_lengths_B[index]])
    prefix_1P = batch.prompt_BP[index : index + 1, : batch.prompt_lengths_B[index]]
    row = slice(index, index + 1)
    prompt = t2s.assemble(text_1LD, batch.text_lengths_B[row], prefix_1P, batch.prompt_lengths_B[row])
    inputs_1ND, position_1N, tokens = prompt.embeddings_BND, prompt.position_BN, []
    while True:
        mask_1N = torch.ones(inputs_1ND.shape[:2], dtype=torch.long)
        hidden_1ND = t2s.llama(
            inputs_embeds=inputs_1ND, attention_mask=mask_1N, position_ids=position_1N, use_cache=False
        ).last_hidden_state
        token = int(t2s.head(hidden_1ND[0, -1]).argmax())
        if token == t2s.end_id or len(tokens) == cap:
            return tokens, token == t2s.end_id
        tokens.append(token)
        inputs_1ND = torch.cat([inputs_1ND, t2s.embed_semantic(torch.tensor([[token]]))], dim=1)
        position_1N = torch.cat([position_1N, position_1N[:, -1:] + 1], dim=1)


# With seed 17 an utterance ends just at its cap.
@pytest.fixture(scope="module", params=[(6, 0.0), (17, 0.0), (6, 2.5)])
def lively_t2s(make_t2s, request):
    """Random weights, scaled up until the tokens vary and some utterances end before the cap."""
    seed, stride = request.param
    t2s = make_t2s(seed=seed, text_stride=stride)
    with torch.no_grad():
        for parameter in (t2s.embed_text.weight, t2s.llama.embed_tokens.weight, t2s.head.weight):
            parameter.mul_(10)
        for parameter in t2s.llama.layers.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    return t2s


@pytest.fixture(scope="module")
def batch(make_batch):
    return make_batch([1] * 6, [4, 1, 7, 2, 5, 3], [3, 0, 6, 1, 0, 2])


def test_batched_generation_equals_the_plain_loop(lively_t2s, batch):
    found = sample(lively_t2s, batch, temperature=0.0, max_frames_per_token=4.0)
    expected = [greedy_reference(lively_t2s, batch, i, cap=4 * n) for i, n in enumerate(batch.text_lengths_B.tolist())]
    assert {True, False} == {ended for _, ended in expected}, "the test needs both kinds of ending"
    assert any(len(set(tokens)) > 2 for tokens, _ in expected)
    for speech, (tokens, ended) in zip(found, expected, strict=True):
        assert speech.ended == ended
        if tokens:
            assert speech.semantic_T.tolist() == tokens
        else:
            assert len(speech.semantic_T) == 1


def test_the_likeliest_alone_is_greedy(lively_t2s, batch):
    greedy = sample(lively_t2s, batch, temperature=0.0, max_frames_per_token=4.0)
    for cut in ({"top_k": 1, "top_p": 1.0}, {"top_p": 1e-6}):
        found = sample(lively_t2s, batch, temperature=1.3, max_frames_per_token=4.0, **cut)
        assert all(torch.equal(a.semantic_T, b.semantic_T) for a, b in zip(greedy, found, strict=True))


def test_every_output_has_a_frame_and_keeps_to_its_cap(lively_t2s, batch):
    for speech, units in zip(sample(lively_t2s, batch, max_frames_per_token=2.5), batch.text_lengths_B, strict=True):
        assert 1 <= len(speech.semantic_T) <= int(2.5 * units)
        assert speech.semantic_T.min() >= 0 and speech.semantic_T.max() < lively_t2s.end_id
        assert speech.ended or len(speech.semantic_T) == int(2.5 * units)


def test_the_seed_decides(lively_t2s, batch):
    def tokens(seed):
        return [speech.semantic_T.tolist() for speech in sample(lively_t2s, batch, seed=seed, temperature=2.0)]

    assert tokens(1) == tokens(1) != tokens(2)


def test_what_was_learned_by_heart_is_spoken(trained_t2s, recipe):
    from tokenchain_toolkit.config.training import DataConfig
    from tokenchain_toolkit.data.corpus import load_corpus
    from tokenchain_toolkit.data.dataset import TokenDataset, collate

    saved = load_model(trained_t2s, kind="t2s")
    corpus = load_corpus(recipe.root / "dump", recipe.root / "data", text_tokenizer=saved.text_tokenizer)
    dataset = TokenDataset(corpus, DataConfig(), seed=0, epoch=0)
    found = sample(saved.module, collate([dataset[index] for index in range(len(dataset))]), temperature=0.0)
    assert all(speech.ended for speech in found)
    for index, speech in enumerate(found):
        assert speech.semantic_T.tolist() == corpus.dump.semantic_of(index).tolist()


def test_top_p_keeps_the_likeliest_that_reach_it():
    logits_BK = torch.tensor([0.1, 0.5, 0.15, 0.25]).log().expand(2000, 4)

    def drawn(**config):
        config = T2SSamplingConfig(temperature=1.0, **config)
        return set(draw(logits_BK, config=config, generator=torch.Generator().manual_seed(0)).tolist())

    assert drawn(top_p=0.0) == drawn(top_p=0.3) == {1}
    assert drawn(top_p=0.6) == {1, 3}
    assert drawn(top_p=1.0) == {0, 1, 2, 3}
    assert drawn(top_p=1.0, top_k=3) == {1, 2, 3}
    assert drawn(top_p=0.6, top_k=3) == {1, 3}


def test_draws_follow_the_tempered_distribution():
    logits_K = torch.tensor([0.0, 1.0, 2.0])
    config = T2SSamplingConfig(temperature=0.5, top_p=1.0)
    drawn_B = draw(logits_K.expand(20000, 3), config=config, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        torch.bincount(drawn_B, minlength=3) / 20000, (logits_K / 0.5).softmax(-1), atol=0.015, rtol=0
    )
