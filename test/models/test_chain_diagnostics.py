"""What T2S hears of the text, and the gradients at the ASR."""

import copy

import pytest
import torch

from tokenchain_toolkit.config.chain import ChainModelConfig
from tokenchain_toolkit.models.asr_reading import Reading
from tokenchain_toolkit.models.chain import ChainModel
from tokenchain_toolkit.models.chain_diagnostics import (
    cosine_ceiling,
    estimator_bias,
    feedback_gradients,
    text_dependence,
)

LENGTHS = ([30, 18], [6, 5], [3, 5])


@pytest.fixture
def make_chain(make_asr, make_t2s):
    def build(feedback, **changes):
        asr = make_asr(dropout=0.0, num_time_masks=0)
        return ChainModel(ChainModelConfig(feedback=feedback, **changes), asr=asr, t2s=make_t2s()).eval()

    return build


def losses_of(chain, batch, recognised_BL):
    recognised = Reading(recognised_BL, batch.text_lengths_B, recognised_BL, None, None)
    found = text_dependence(chain, batch, recognised, generator=torch.Generator().manual_seed(0))
    return [float(found[f"rec_loss_{name}"]) for name in ("true", "recognised", "shuffled")]


def test_the_loss_follows_the_text_unless_t2s_is_deaf_to_it(make_chain, make_batch):
    chain, batch = make_chain("st_argmax"), make_batch(*LENGTHS)
    true, same, shuffled = losses_of(chain, batch, batch.text_BL)
    assert true == same != shuffled
    assert losses_of(chain, batch, (batch.text_BL + 1) % 5)[1] != true
    with torch.no_grad():
        chain.t2s.embed_text.weight.zero_()
    assert len(set(losses_of(chain, batch, (batch.text_BL + 1) % 5))) == 1


def test_shuffling_moves_only_real_units(make_chain, make_batch, monkeypatch):
    chain, batch = make_chain("st_argmax"), make_batch(*LENGTHS)
    seen = []
    embed = chain.t2s.embed_text.forward
    monkeypatch.setattr(chain.t2s.embed_text, "forward", lambda text_BL: (seen.append(text_BL), embed(text_BL))[1])
    losses_of(chain, batch, batch.text_BL)
    shuffled_BL = seen[-1]
    for row, length in enumerate(batch.text_lengths_B.tolist()):
        assert sorted(shuffled_BL[row, :length].tolist()) == sorted(batch.text_BL[row, :length].tolist())
        assert torch.equal(shuffled_BL[row, length:], batch.text_BL[row, length:])


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("feedback", ["st_argmax", "st_gumbel", "soft"])
def test_gradients_are_those_of_the_losses_and_leave_nothing_behind(make_chain, make_batch, feedback):
    chain, batch = make_chain(feedback), make_batch(*LENGTHS)
    before = copy.deepcopy(chain.state_dict())
    with torch.inference_mode():
        found = feedback_gradients(chain, batch, link=chain.paired_link, temperature=1.0, generator=seeded())
    assert all(parameter.grad is None for parameter in chain.parameters())
    assert all(torch.equal(value, before[name]) for name, value in chain.state_dict().items())
    chain(batch, temperature=1.0, generator=seeded()).t2s.loss.backward()
    squares = [p.grad.square().sum() for p in chain.asr.parameters() if p.grad is not None]
    assert found["rec_gradient"] == pytest.approx(float(torch.stack(squares).sum().sqrt()), rel=1e-4)
    of_rec = {name: p.grad for name, p in chain.asr.named_parameters() if p.grad is not None}
    chain.zero_grad()
    chain.recognise(batch).loss.backward()
    of_asr = {name: p.grad for name, p in chain.asr.named_parameters() if p.grad is not None}
    assert of_rec.keys() < of_asr.keys()  # the CTC head has no part in what is read here
    norm = float(torch.stack([gradient.square().sum() for gradient in of_asr.values()]).sum().sqrt())
    product = sum(float((gradient * of_asr[name]).sum()) for name, gradient in of_rec.items())
    assert found["asr_gradient"] == pytest.approx(norm, rel=1e-4)
    assert found["gradient_cosine"] == pytest.approx(product / norm / found["rec_gradient"], abs=1e-4)
    with torch.inference_mode():
        found |= estimator_bias(chain, batch, link=chain.paired_link, temperature=1.0, generator=seeded())
    if feedback == "soft":
        assert found["estimator_cosine"] == pytest.approx(1, abs=1e-5)
        # The soft loss is what its gradient is of, so a small step lowers it, and by more than a random one.
        assert found["rec_step_change"] < min(0.0, found["rec_step_random"])
    else:
        assert found["estimator_cosine"] < 0.999


def test_the_precision_of_training_does_not_hide_what_a_step_does(make_chain, make_batch):
    chain, batch = make_chain("soft"), make_batch(*LENGTHS)

    def found(dtype):
        with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            chain(batch, temperature=1.0)
            settings = {"link": chain.paired_link, "temperature": 1.0, "generator": seeded()}
            return feedback_gradients(chain, batch, **settings) | estimator_bias(chain, batch, **settings)

    assert found(torch.bfloat16) == pytest.approx(found(torch.float32), rel=1e-4)


@pytest.mark.parametrize(
    ("feedback", "reading"), [("st_gumbel", "teacher_forced"), ("st_gumbel", "ctc"), ("score_function", "free_running")]
)
def test_a_step_is_tried_on_the_texts_that_its_gradient_was_estimated_from(make_chain, make_batch, feedback, reading):
    chain, batch, texts = make_chain(feedback, reading=reading), make_batch(*LENGTHS), []
    read = chain.reconstruct_from_speech

    def remembered(*arguments, **options):
        output = read(*arguments, **options)
        texts.append(output.reading.text_BL.tolist())
        return output

    chain.reconstruct_from_speech = remembered
    settings = {"link": chain.paired_link, "temperature": 1.0}
    found = feedback_gradients(chain, batch, step=0.0, generator=seeded(), **settings)
    assert found["rec_step_change"] == found["rec_step_random"] == 0
    assert len(texts) == 3 and texts[0] == texts[1] == texts[2]
    likeliest = read(batch, chain.recognise(batch), generator=None, **settings).reading.text_BL.tolist()
    assert texts[0] != likeliest


@pytest.mark.parametrize("noise", [0.3, 1.0, 4.0])
def test_the_ceiling_is_the_cosine_that_noise_leaves_of_a_true_gradient(noise):
    true_X, *noises = torch.randn(3, 200_000, generator=seeded())
    first, second = (true_X + noise * each for each in noises)
    split = float(torch.cosine_similarity(first, second, dim=0))
    whole = float(torch.cosine_similarity(true_X, first + second, dim=0))
    assert split < whole == pytest.approx(cosine_ceiling(split), abs=0.02)
    assert cosine_ceiling(-0.1) == cosine_ceiling(0.0) == 0 and cosine_ceiling(1.0) == 1


@pytest.mark.parametrize("reading", ["teacher_forced", "free_running", "ctc"])
def test_the_gumbel_estimator_is_judged_with_its_noise(make_chain, make_batch, reading):
    batch = make_batch(*LENGTHS)

    def cosine(feedback, samples, seed):
        chain, generator = make_chain(feedback, reading=reading), torch.Generator().manual_seed(seed)
        settings = {"link": chain.paired_link, "temperature": 0.5, "num_samples": samples}
        return estimator_bias(chain, batch, generator=generator, **settings)["estimator_cosine"]

    assert cosine("st_argmax", 2, seed=0) == pytest.approx(cosine("st_argmax", 2, seed=1), abs=1e-6)
    few, many = ([cosine("st_gumbel", samples, seed) for seed in (0, 1)] for samples in (2, 60))
    assert few[0] != pytest.approx(few[1], abs=1e-6)
    assert abs(many[0] - many[1]) < 0.1
    # One noisy draw says little of the soft gradient, the mean of many says more.
    assert min(many) > max(few)


@pytest.mark.parametrize("reading", ["free_running", "ctc"])
def test_the_score_function_is_tried_but_not_judged_by_itself(make_chain, make_batch, reading):
    chain = make_chain("score_function", reading=reading)
    settings = {"link": chain.paired_link, "temperature": 1.0, "generator": seeded()}
    assert feedback_gradients(chain, make_batch(*LENGTHS), **settings)["rec_gradient"] > 0
    assert estimator_bias(chain, make_batch(*LENGTHS), **settings) == {}


def test_more_samples_make_the_unbiased_estimates_agree(make_chain, make_batch):
    chain, batch = make_chain("soft"), make_batch(*LENGTHS)
    few, many = (
        estimator_bias(chain, batch, link=chain.paired_link, temperature=1.0, generator=seeded(), num_samples=samples)
        for samples in (2, 150)
    )
    assert many["score_split_cosine"] > max(0.5, few["score_split_cosine"])
    assert many["score_ceiling"] == cosine_ceiling(many["score_split_cosine"]) > many["score_split_cosine"]
    # Of a T2S with random weights the loss is nearly linear in the text's embeddings, so the soft path has little bias.
    assert many["score_cosine"] > 0.5
