"""From the transcripts of a set to a dump of semantic tokens that T2S has drawn."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.dataset import TokenCorpus, TokenDataset, collate
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.token_dump import Row, write_dump
from tokenchain_toolkit.files import write_json
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.inference.t2s_sampling import SampledSpeech, sample_semantic
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms, learn_norms
from tokenchain_toolkit.models.t2s import T2SModel

LOG = logging.getLogger(__name__)


def generate_dump(
    model: Path, data: Path, dump: Path, out: Path, *, config: T2SSamplingConfig, device: str = "cpu"
) -> None:
    """Speak the transcripts of a set as semantic tokens.

    Args:
        model: T2S model folder.
        data: Kaldi directory with the transcripts.
        dump: The set's natural tokens; prompts are taken from them, each from another utterance, and the norms by which
            draws are judged, unless ``config`` gives those.
        out: Where the dump of drawn tokens goes; ``unfinished.json`` in it lists utterances cut at the length cap,
            ``retries.json`` says how many were drawn again and which are still bad, and why.
        config: Sampling.
        device: Torch device.

    Raises:
        TokenizerMismatchError: The prompts' tokens are not those the model was trained on.
    """
    saved = load_model(model, kind="t2s")
    assert isinstance(saved.module, T2SModel)
    corpus = load_corpus(dump, data, text_tokenizer=saved.text_tokenizer)
    check_same_tokenizer(saved.manifest, corpus.dump.manifest, our_name=str(model), their_name=str(dump))
    t2s = saved.module.to(device)
    bad: dict[str, tuple[str, ...]] = {}
    unfinished: list[str] = []
    draws: list[int] = []

    def rows() -> Iterator[Row]:
        for utt_id, speech in speak(t2s, corpus, config=config):
            if not speech.ended:
                unfinished.append(utt_id)
            if speech.faults:
                bad[utt_id] = speech.faults
            draws.append(speech.draws)
            yield utt_id, speech.semantic_T.cpu().numpy().astype(np.int16), None

    count = write_dump(out, rows(), manifest={**saved.manifest, "acoustic": None})
    drawn_again = sum(number > 1 for number in draws)
    write_json(out / "unfinished.json", sorted(unfinished))
    write_json(
        out / "retries.json",
        {"num_utts": count, "drawn_again": drawn_again, "draws": sum(draws), "num_bad": len(bad), "bad": bad},
    )
    LOG.info("%s: %d utterances, %d of them cut at the length cap", out, count, len(unfinished))
    LOG.info("%s: %d utterances drawn again, %d bad ones left", out, drawn_again, len(bad))


def speak(
    t2s: T2SModel, corpus: TokenCorpus, *, config: T2SSamplingConfig, positions: Sequence[int] | None = None
) -> Iterator[tuple[str, SampledSpeech]]:
    """Draw the semantic tokens of transcripts, batch by batch.

    Args:
        t2s: In evaluation mode.
        corpus: Transcripts, and natural tokens, of which prompts are taken, each from another utterance, and norms.
        config: Sampling.
        positions: Which of the usable utterances; all if None.

    Yields:
        utt_id and what was drawn.
    """
    device = t2s.head.weight.device
    prompts = DataConfig(min_prompt_frames=config.prompt_frames, max_prompt_frames=config.prompt_frames)
    dataset = TokenDataset(corpus, prompts, seed=config.seed, epoch=0)
    chosen = np.arange(len(dataset)) if positions is None else np.asarray(positions)
    # Texts of similar length together, so that a batch ends at about the same time.
    chosen = chosen[np.argsort([len(corpus.texts[corpus.usable[position]]) for position in chosen], kind="stable")]
    batches = [chosen[start : start + config.batch_size] for start in range(0, len(chosen), config.batch_size)]
    generator = torch.Generator(device=device).manual_seed(config.seed)
    natural = _norms_of(corpus)
    for members in tqdm(batches, desc="T2S", disable=None, leave=False):
        batch = collate([dataset[int(position)] for position in members]).to(device)
        drawn = sample_semantic(
            t2s,
            batch.text_BL,
            batch.text_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
            config=config,
            generator=generator,
            natural=natural,
        )
        yield from zip(batch.utt_ids, drawn, strict=True)


def _norms_of(corpus: TokenCorpus) -> SpeechNorms:
    """Norms of the set as a whole: three numbers, which tell nearly nothing of any one of its utterances."""
    utterances = [corpus.dump.semantic_of(index) for index in corpus.usable]
    return learn_norms(utterances, [len(corpus.texts[index]) for index in corpus.usable])
