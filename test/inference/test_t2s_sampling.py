"""Sampling from T2S: the batched, cached loop equals the plain one; cuts keep what they should; retries mend."""

import numpy as np
import pytest
import torch

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.inference import t2s_sampling
from tokenchain_toolkit.inference.judged_draws import SampledSpeech
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.t2s_sampling import draw, sample_semantic
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms


def streams(seed, count):
    return [np.random.default_rng((seed, row)) for row in range(count)]


def chances(count):
    """Uniform numbers for that many draws."""
    return torch.from_numpy(np.random.default_rng(0).random((count, 2)))


def sample(t2s, batch, *, seed=0, natural=None, paces=None, listener=None, **config):
    return sample_semantic(
        t2s,
        batch.text_BL,
        batch.text_lengths_B,
        prefix_BP=batch.prompt_BP,
        prefix_lengths_B=batch.prompt_lengths_B,
        config=T2SSamplingConfig(**config),
        streams=streams(seed, len(batch.text_BL)),
        natural=natural,
        paces=paces,
        listener=listener,
    )


@torch.no_grad()
def scores_after(t2s, prompt, tokens):
    """Log-probabilities of the next token, without padding and cache."""
    inputs_1ND = torch.cat([prompt.embeddings_BND, t2s.embed_semantic(torch.tensor([tokens]).long())], dim=1)
    later_1N = prompt.position_BN[:, -1:] + torch.arange(1, len(tokens) + 1)
    hidden_1ND = t2s.llama(
        inputs_embeds=inputs_1ND,
        attention_mask=torch.ones(inputs_1ND.shape[:2], dtype=torch.long),
        position_ids=torch.cat([prompt.position_BN, later_1N], dim=1),
        use_cache=False,
    ).last_hidden_state
    return t2s.head(hidden_1ND[0, -1]).log_softmax(-1)


@torch.no_grad()
def greedy_reference(t2s, batch, index, *, cap, guidance=0.0):
    """One utterance: the likeliest token until the end symbol or ``cap`` frames, by guidance away from no text."""
    row = slice(index, index + 1)
    text = t2s.read_ids(batch.text_BL[row, : batch.text_lengths_B[index]], batch.text_lengths_B[row])
    nothing = t2s.read_ids(batch.text_BL[row, :0], torch.tensor([0]))
    prefix = batch.prompt_BP[row, : batch.prompt_lengths_B[index]], batch.prompt_lengths_B[row]
    given, without = (t2s.assemble(each, *prefix, t2s.expected_frames(text)) for each in (text, nothing))
    tokens = []
    while True:
        scores_K = scores_after(t2s, given, tokens)
        scores_K = scores_K + guidance * (scores_K - scores_after(t2s, without, tokens))
        token = int(scores_K.argmax())
        if token == t2s.end_id or len(tokens) == cap:
            return tokens, token == t2s.end_id
        tokens.append(token)


# With seed 17 an utterance ends just at its cap.
@pytest.fixture(scope="module", params=[(6, "order"), (17, "order"), (6, "aligned")])
def lively_t2s(make_t2s, request):
    """Random weights, scaled up until the tokens vary and some utterances end before the cap."""
    seed, positions = request.param
    t2s = make_t2s(seed=seed, text_positions=positions, text_dropout=0.1)
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


def test_guidance_moves_away_from_what_would_be_said_without_the_text(lively_t2s, batch):
    guided, plain = (
        sample(lively_t2s, batch, temperature=0.0, max_frames_per_token=4.0, guidance=guidance) for guidance in (1.5, 0)
    )
    for index, speech in enumerate(guided):
        cap = 4 * int(batch.text_lengths_B[index])
        tokens, ended = greedy_reference(lively_t2s, batch, index, cap=cap, guidance=1.5)
        assert speech.ended == ended and speech.semantic_T.tolist()[: len(tokens)] == tokens
    assert [one.semantic_T.tolist() for one in guided] != [one.semantic_T.tolist() for one in plain]


def test_guidance_needs_a_model_that_knows_speech_without_text(make_t2s, batch):
    with pytest.raises(ConfigError, match=r"guidance needs a T2S that was trained with model\.text_dropout"):
        sample(make_t2s(), batch, guidance=1.0)


def test_faster_speech_has_its_text_closer_together_and_is_expected_to_be_shorter(make_t2s, batch, monkeypatch):
    t2s, first = make_t2s(text_positions="aligned"), {}

    def draw_nothing(t2s, prompts, caps_B, *, config, streams):
        first.setdefault(config.speaking_rate, (prompts[0].position_BN, caps_B))
        return [SampledSpeech(torch.zeros(1, dtype=torch.long), ended=True) for _ in caps_B]

    monkeypatch.setattr(t2s_sampling, "_draw_speech", draw_nothing)
    for rate in (1.0, 2.0):
        sample(t2s, batch, retries=1, speaking_rate=rate, natural=SpeechNorms(frames_per_token=10.0))
    (plain_BN, plain_caps_B), (fast_BN, fast_caps_B) = first[1.0], first[2.0]
    for plain_N, fast_N, units in zip(plain_BN, fast_BN, batch.text_lengths_B.tolist(), strict=True):
        torch.testing.assert_close(fast_N[:units] * 2, plain_N[:units])
        assert torch.equal(fast_N[units:], plain_N[units:])
    assert torch.equal(fast_caps_B * 2, plain_caps_B)


def test_speech_of_a_slow_speaker_is_expected_to_be_longer_and_that_of_a_fast_one_not_shorter(
    make_t2s, batch, monkeypatch
):
    t2s, seen = make_t2s(text_positions="aligned"), {}

    def draw_nothing(t2s, prompts, caps_B, *, config, streams):
        seen["positions"], seen["caps"] = prompts[0].position_BN, caps_B
        return [SampledSpeech(torch.zeros(1, dtype=torch.long), ended=True) for _ in caps_B]

    monkeypatch.setattr(t2s_sampling, "_draw_speech", draw_nothing)
    found = []
    for paces in (None, [2.0, 0.5, *[1.0] * (len(batch.text_BL) - 2)]):
        sample(t2s, batch, retries=1, paces=paces, natural=SpeechNorms(frames_per_token=10.0))
        found.append(dict(seen))
    plain, paced = found
    for row, units in enumerate(batch.text_lengths_B.tolist()):
        pace = 2 if row == 0 else 1
        assert paced["caps"][row] == plain["caps"][row] * pace
        torch.testing.assert_close(paced["positions"][row, :units], plain["positions"][row, :units] * pace)


def test_the_pace_of_a_speaker_is_that_of_one_utterance(make_t2s):
    t2s, text_L = make_t2s(text_positions="aligned"), np.asarray([1, 2, 2], np.int32)
    t2s.unit_frames_V[:] = torch.arange(len(t2s.unit_frames_V)).float()
    t2s.extra_frames.fill_(5.0)
    assert t2s.pace_of(text_L, 20) == pytest.approx(20 / (1 + 2 + 2 + 5))
    assert t2s.pace_of(text_L, 0) == t2s.pace_of(text_L[:0], 20) == 1.0
    assert make_t2s(text_positions="order").pace_of(text_L, 20) == 1.0


def test_a_speaking_rate_needs_a_model_that_knows_how_long_it_is_to_speak(make_t2s, batch):
    with pytest.raises(ConfigError, match=r"speaking_rate needs a T2S that was trained with model\.text_positions"):
        sample(make_t2s(text_positions="order"), batch, speaking_rate=1.2)
    with pytest.raises(ConfigError, match="speaking_rate=0.0 must be from 0.1 to 10"):
        sample(make_t2s(), batch, speaking_rate=0.0)


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
        return set(draw(logits_BK, chances(2000), config=config).tolist())

    assert drawn(top_p=0.0) == drawn(top_p=0.3) == {1}
    assert drawn(top_p=0.6) == {1, 3}
    assert drawn(top_p=1.0) == {0, 1, 2, 3}
    assert drawn(top_p=1.0, top_k=3) == {1, 2, 3}
    assert drawn(top_p=0.6, top_k=3) == {1, 3}


def test_draws_follow_the_tempered_distribution():
    logits_K = torch.tensor([0.0, 1.0, 2.0])
    config = T2SSamplingConfig(temperature=0.5, top_p=1.0)
    drawn_B = draw(logits_K.expand(20000, 3), chances(20000), config=config)
    torch.testing.assert_close(
        torch.bincount(drawn_B, minlength=3) / 20000, (logits_K / 0.5).softmax(-1), atol=0.015, rtol=0
    )


# Of the lively model's draws at this temperature some do not end, some loop, some are too short, and some are good.
WILD = {"temperature": 1.5, "max_frames_per_token": 5.0}
NORMS = SpeechNorms(frames_per_token=3.0, longest_loop=4)


def tokens_of(found):
    return [speech.semantic_T.tolist() for speech in found]


@torch.no_grad()
def plain_draws(t2s, batch, *, seed, per_unit, temperature):
    """No cache, no retries: what the first draws have to be."""
    rows = list(range(len(batch.text_BL)))
    caps = [int(per_unit * units) for units in batch.text_lengths_B]
    tokens = [[] for _ in rows]
    chance_RT = [stream.random((cap + 1, 2))[:, 0] for stream, cap in zip(streams(seed, len(rows)), caps, strict=True)]

    def is_done(row):
        return t2s.end_id in tokens[row] or len(tokens[row]) > caps[row]

    while rows:
        text = t2s.read_ids(batch.text_BL[rows], batch.text_lengths_B[rows])
        inputs = t2s.assemble(
            text,
            batch.prompt_BP[rows],
            batch.prompt_lengths_B[rows],
            t2s.expected_frames(text),
            torch.tensor([tokens[row] for row in rows], dtype=torch.long),
            torch.full((len(rows),), len(tokens[rows[0]])),
        )
        mask_RN = torch.arange(inputs.embeddings_BND.shape[1])[None, :] < inputs.lengths_B[:, None]
        hidden_RND = t2s.llama(
            inputs_embeds=inputs.embeddings_BND,
            attention_mask=mask_RN.long(),
            position_ids=inputs.position_BN,
            use_cache=False,
        ).last_hidden_state
        logits_RK = t2s.head(hidden_RND[torch.arange(len(rows)), inputs.lengths_B - 1])
        scores_RK, order_RK = (logits_RK / temperature).sort(dim=-1, descending=True)
        for row, mass_K, order_K in zip(rows, scores_RK.softmax(-1).double(), order_RK, strict=True):
            passed = mass_K.cumsum(0) / mass_K.sum() > chance_RT[row][len(tokens[row])]
            tokens[row].append(int(order_K[passed.nonzero()[0, 0]]))
        rows = [row for row in rows if not is_done(row)]
    return tokens


def test_without_retries_the_draws_are_those_of_a_plain_loop(lively_t2s, batch):
    found = sample(lively_t2s, batch, top_p=1.0, natural=NORMS, **WILD)
    settings = {"per_unit": WILD["max_frames_per_token"], "temperature": WILD["temperature"]}
    plain = plain_draws(lively_t2s, batch, seed=0, **settings)
    for speech, tokens in zip(found, plain, strict=True):
        if speech.semantic_T.tolist() != [lively_t2s.end_id - 1]:
            assert speech.semantic_T.tolist() == tokens[: len(speech.semantic_T)]
    assert all(speech.draws == 1 for speech in found) and len({len(speech.semantic_T) for speech in found}) > 2


def test_what_is_drawn_does_not_depend_on_what_is_beside_it(lively_t2s, batch):
    together = sample(lively_t2s, batch, natural=NORMS, retries=3, **WILD)
    for row, speech in enumerate(together):
        one = slice(row, row + 1)
        (alone,) = sample_semantic(
            lively_t2s,
            batch.text_BL[one, : batch.text_lengths_B[row]],
            batch.text_lengths_B[one],
            prefix_BP=batch.prompt_BP[one, : batch.prompt_lengths_B[row]],
            prefix_lengths_B=batch.prompt_lengths_B[one],
            config=T2SSamplingConfig(retries=3, **WILD),
            streams=[np.random.default_rng((0, row))],
            natural=NORMS,
        )
        assert alone.semantic_T.tolist() == speech.semantic_T.tolist() and alone.draws == speech.draws
    assert len({speech.draws for speech in together}) > 1


def test_a_model_that_places_its_text_knows_how_long_speech_should_be(make_t2s, batch, monkeypatch):
    short = SampledSpeech(torch.tensor([1]), ended=True)
    monkeypatch.setattr(t2s_sampling, "_draw_speech", lambda t2s, prompts, caps_B, **_: [short] * len(caps_B))
    for positions, faults in (("order", ()), ("aligned", ("length",))):
        t2s = make_t2s(text_positions=positions)
        t2s.extra_frames.fill_(20.0)
        assert {speech.faults for speech in sample(t2s, batch)} == {faults}


def test_only_bad_draws_are_drawn_again(lively_t2s, batch, monkeypatch):
    asked, draw_speech = [], t2s_sampling._draw_speech

    def recorded(t2s, prompts, caps_B, **options):
        (prompt,) = prompts
        asked.append((prompt.embeddings_BND, prompt.position_BN, prompt.lengths_B, caps_B))
        return draw_speech(t2s, prompts, caps_B, **options)

    monkeypatch.setattr(t2s_sampling, "_draw_speech", recorded)
    first = sample(lively_t2s, batch, seed=7, natural=NORMS, **WILD)
    bad = [bool(speech.faults) for speech in first]
    assert len(asked) == 1 and 0 < sum(bad) < 6, "the test needs both kinds"
    found = sample(lively_t2s, batch, seed=7, natural=NORMS, retries=3, **WILD)
    assert all(torch.equal(whole[torch.tensor(bad)], part) for whole, part in zip(asked[1], asked[2], strict=True))
    assert sum(len(caps_B) for *_, caps_B in asked[1:]) == sum(speech.draws for speech in found)
    for before, after, was_bad in zip(first, found, bad, strict=True):
        assert (after.draws > 1) == was_bad
        assert was_bad or torch.equal(before.semantic_T, after.semantic_T)
        assert not after.faults or after.draws == 4
    again = sample(lively_t2s, batch, seed=7, natural=NORMS, retries=3, **WILD)
    assert tokens_of(again) == tokens_of(found)


def test_the_expected_length_caps_what_may_be_drawn_again(lively_t2s, batch):
    norms = SpeechNorms(frames_per_token=2.0, extra_frames=1.0)
    options = {"natural": norms, "length_tolerance": 1.5, "temperature": 1.5}
    for speech, units in zip(
        sample(lively_t2s, batch, retries=1, **options), batch.text_lengths_B.tolist(), strict=True
    ):
        assert len(speech.semantic_T) <= 1.5 * (2 * units + 1)
    uncapped = sample(lively_t2s, batch, **options)
    assert any(
        len(s.semantic_T) > 1.5 * (2 * n + 1) for s, n in zip(uncapped, batch.text_lengths_B.tolist(), strict=True)
    )


def test_settings_win_over_what_natural_speech_is_like(lively_t2s, batch):
    configured = {"frames_per_token": NORMS.frames_per_token, "longest_loop": NORMS.longest_loop, "retries": 2, **WILD}
    other = SpeechNorms(frames_per_token=50.0, extra_frames=70.0, longest_loop=1)
    learned = sample(lively_t2s, batch, natural=NORMS, retries=2, **WILD)
    for natural in (None, other):
        found = sample(lively_t2s, batch, natural=natural, **configured)
        assert tokens_of(found) == tokens_of(learned)
    assert any(speech.draws > 1 for speech in learned)


def test_without_norms_only_the_end_is_judged(lively_t2s, batch):
    short = sample(lively_t2s, batch, temperature=1.5, max_frames_per_token=2.0)
    found = short + sample(lively_t2s, batch, temperature=1.5, max_frames_per_token=20.0)
    assert {speech.ended for speech in found} == {True, False}
    judged = ("length",) if lively_t2s.config.text_positions == "aligned" else ()  # which such a model itself expects
    assert all(set(speech.faults) <= {"unended", *judged} for speech in found)
    assert all(("unended" in speech.faults) != speech.ended for speech in found)


LOOPING, SHORT, NEAR, GOOD = [3] * 10, [1], list(range(5)), list(range(9))


@pytest.mark.parametrize(
    ("draws", "kept", "faults"),
    [
        ([GOOD, NEAR], 0, set()),
        ([SHORT, GOOD], 1, set()),
        ([LOOPING, GOOD, NEAR], 1, set()),
        # Nothing is good: what ended wins over what did not, what does not loop over what does, then the length counts.
        ([None, LOOPING, None], 1, {"loop"}),
        ([LOOPING, None, SHORT], 2, {"length"}),
        ([SHORT, NEAR, SHORT], 1, {"length"}),
        ([NEAR, NEAR[::-1], SHORT], 0, {"length"}),
        ([None, None, None], 0, {"unended"}),
    ],
)
def test_the_best_draw_is_kept(make_t2s, make_batch, monkeypatch, draws, kept, faults):
    # None has not ended. Ten frames are expected, so that five are too few.
    made = [
        SampledSpeech(torch.tensor(list(range(10)) if tokens is None else tokens), ended=tokens is not None)
        for tokens in draws
    ]
    waiting = iter(made)
    monkeypatch.setattr(t2s_sampling, "_draw_speech", lambda *_, **__: [next(waiting)])
    (found,) = sample(
        make_t2s(),
        make_batch([1], [2]),
        natural=SpeechNorms(frames_per_token=5.0, longest_loop=5),
        retries=len(draws) - 1,
    )
    assert found.semantic_T is made[kept].semantic_T
    assert set(found.faults) == faults
    assert found.draws == (len(draws) if faults else kept + 1)


@pytest.mark.parametrize(
    ("shares", "most", "kept", "draws"),
    [
        ([0.1], 0.2, 0, 1),
        ([0.2], 0.2, 0, 1),
        ([0.3, 0.2], 0.2, 1, 2),
        ([0.5, 0.3, 0.4], 0.2, 1, 3),
        ([0.3, 0.3, 0.3], 0.0, 0, 3),
    ],
)
def test_what_the_listener_misreads_is_drawn_again_and_the_least_of_it_is_kept(
    make_t2s, make_batch, monkeypatch, shares, most, kept, draws
):
    made = [SampledSpeech(torch.tensor(NEAR + [number]), ended=True) for number in range(len(shares))]
    waiting, batch, heard = iter(made), make_batch([1], [2]), []
    monkeypatch.setattr(t2s_sampling, "_draw_speech", lambda *_, **__: [next(waiting)])

    def listener(drawn, texts):
        heard.append((drawn[0], texts))
        return [shares[len(heard) - 1]]

    norms = SpeechNorms(frames_per_token=3.0)  # six frames, as the draws have
    (found,) = sample(make_t2s(), batch, natural=norms, listener=listener, retries=2, most_misread=most)
    assert [speech for speech, _ in heard] == [speech.semantic_T for speech in made[:draws]]
    assert all(texts == [batch.text_BL[0, :2].tolist()] for _, texts in heard)
    assert found.semantic_T is made[kept].semantic_T and found.draws == draws and found.misread == shares[kept]
    assert found.faults == (("misread",) if shares[kept] > most else ())
    assert found.first_faults == (("misread",) if shares[0] > most else ())


def test_a_good_length_matters_more_than_what_is_misread(make_t2s, make_batch, monkeypatch):
    made = [SampledSpeech(torch.tensor(tokens), ended=True) for tokens in (SHORT, GOOD, SHORT)]
    waiting, shares = iter(made), iter([0.1, 0.9, 0.1])
    monkeypatch.setattr(t2s_sampling, "_draw_speech", lambda *_, **__: [next(waiting)])
    (found,) = sample(
        make_t2s(),
        make_batch([1], [2]),
        listener=lambda *_: [next(shares)],
        natural=SpeechNorms(frames_per_token=5.0),
        retries=2,
        most_misread=0.0,
    )
    assert found.semantic_T is made[1].semantic_T and found.faults == ("misread",)


@pytest.mark.parametrize(
    ("window", "retry_window", "expected"), [(0, 5, [0, 5, 5]), (3, 0, [3, 3, 3]), (3, 5, [3, 5, 5])]
)
def test_bad_draws_are_made_again_with_a_window_of_their_own(
    make_t2s, make_batch, monkeypatch, window, retry_window, expected
):
    windows, endless = [], SampledSpeech(torch.tensor([1, 2]), ended=False)

    def draw_speech(*_, config, **__):
        windows.append(config.repetition_window)
        return [endless]

    monkeypatch.setattr(t2s_sampling, "_draw_speech", draw_speech)
    sample(make_t2s(), make_batch([1], [2]), retries=2, repetition_window=window, retry_window=retry_window)
    assert windows == expected


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"temperature": 0.0, "retries": 1}, "every draw is the same"),
        ({"guidance": -1.0}, "guidance=-1.0 must be at least 0"),
        ({"temperature": -0.5}, "temperature=-0.5 must be at least 0"),
        ({"retries": -1}, "retries=-1 must be at least 0"),
        ({"retry_window": -1}, "retry_window=-1 must be at least 0"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"batch_size": 0}, "batch_size"),
        ({"length_tolerance": 1.0}, "length_tolerance=1.0"),
        ({"length_tolerance": float("nan")}, "length_tolerance=nan"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"speaking_rate": float("inf")}, "speaking_rate=inf"),
        ({"seed": -1}, "seed=-1 must be at least 0"),
        ({"most_misread": -0.1}, "most_misread=-0.1"),
        ({"most_misread": float("nan")}, "most_misread=nan"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        T2SSamplingConfig(**settings)
    assert T2SSamplingConfig(temperature=0.0, retries=1, retry_window=20).retries == 1


def test_an_id_that_fills_the_window_is_drawn_from_the_whole_distribution():
    logits_K = torch.tensor([0.7, 0.2, 0.1]).log()
    config = T2SSamplingConfig(temperature=0.5, top_p=0.5, repetition_share=0.6)

    def frequencies(recent):
        recent_BW = torch.tensor(recent, dtype=torch.long).expand(20000, -1)
        drawn_B = draw(logits_K.expand(20000, 3), chances(20000), recent_BW, config=config)
        return torch.bincount(drawn_B, minlength=3) / 20000

    certain = torch.tensor([1.0, 0.0, 0.0])
    for recent in ([], [1, 2, 1], [0, 1, 0, 1], [0, 0, 1, 1, 0]):
        assert torch.equal(frequencies(recent), certain)
    for recent in ([0], [0, 0, 0], [0, 1, 0]):
        torch.testing.assert_close(frequencies(recent), logits_K.exp(), atol=0.015, rtol=0)


def test_a_stuck_token_is_left_once_it_fills_the_window(make_t2s, batch):
    t2s = make_t2s()
    with torch.no_grad():
        t2s.head.weight.zero_()  # All ids are equally likely, and the likeliest is always 0.
    stuck = sample(t2s, batch, temperature=0.0, max_frames_per_token=20.0)
    assert {token for tokens in tokens_of(stuck) for token in tokens} == {0}
    found = tokens_of(sample(t2s, batch, temperature=0.0, max_frames_per_token=20.0, repetition_window=3))
    left = [(tokens, index) for tokens in found for index, token in enumerate(tokens) if token != 0]
    assert left and all(index >= 3 and tokens[index - 3 : index] == [0, 0, 0] for tokens, index in left)
