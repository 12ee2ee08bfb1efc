"""From the transcripts of a set to a dump of semantic tokens that T2S has drawn."""

import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tokenchain_toolkit.config.t2s import T2SSamplingConfig
from tokenchain_toolkit.config.training import DataConfig
from tokenchain_toolkit.data.corpus import load_corpus
from tokenchain_toolkit.data.dataset import Example, TokenCorpus, TokenDataset, collate
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.token_dump import Row, write_dump
from tokenchain_toolkit.files import write_json
from tokenchain_toolkit.inference.judged_draws import FAULTS, SampledSpeech
from tokenchain_toolkit.inference.listening import Listener, load_listener
from tokenchain_toolkit.inference.model_folder import SavedModel, load_model
from tokenchain_toolkit.inference.t2s_sampling import sample_semantic
from tokenchain_toolkit.metrics.speech_norms import SpeechNorms, learn_norms
from tokenchain_toolkit.models.t2s import T2SModel

LOG = logging.getLogger(__name__)


def generate_dump(  # noqa: PLR0913
    model: Path,
    data: Path,
    dump: Path,
    out: Path,
    *,
    config: T2SSamplingConfig,
    norms_data: Path | None = None,
    norms_dump: Path | None = None,
    listener: Path | None = None,
    device: str = "cpu",
) -> None:
    """Speak the transcripts of a set as semantic tokens.

    Args:
        model: T2S model folder.
        data: Kaldi directory with the transcripts.
        dump: The set's natural tokens; only prompts are taken from them, each from another utterance.
        out: Where the dump of drawn tokens goes; ``unfinished.json`` in it lists utterances cut at the length cap,
            ``retries.json`` says what was bad at the first draw and what still is, and by which norms.
        config: Sampling.
        norms_data: Kaldi directory of a set that was there in training, whose natural speech says what is bad.
        norms_dump: Its natural tokens; without them only what ``config`` gives is judged, and whether a draw ended.
        listener: ASR that reads what is drawn, where ``config`` asks for one.
        device: Torch device.

    Raises:
        TokenizerMismatchError: Tokens of prompts or norms, or those of the listener, are not those the model was
            trained on.
        ConfigError: There is no listener, and ``config`` asks for one.
    """
    saved = load_model(model, kind="t2s")
    assert isinstance(saved.module, T2SModel)
    corpus = load_corpus(dump, data, text_tokenizer=saved.text_tokenizer)
    check_same_tokenizer(saved.manifest, corpus.dump.manifest, our_name=str(model), their_name=str(dump))
    natural = read_norms(norms_dump, norms_data, saved, name=str(model)) if norms_dump and norms_data else SpeechNorms()
    listens = load_listener(listener, saved, config, t2s_name=str(model), device=device)
    t2s = saved.module.to(device)
    drawn: dict[str, SampledSpeech] = {}

    def rows() -> Iterator[Row]:
        for utt_id, speech in speak(t2s, corpus, config=config, natural=natural, listener=listens):
            drawn[utt_id] = replace(speech, semantic_T=speech.semantic_T[:0].clone())  # what is written is not kept
            yield utt_id, speech.semantic_T.cpu().numpy().astype(np.int16), None

    count = write_dump(out, rows(), manifest={**saved.manifest, "acoustic": None})
    write_json(out / "unfinished.json", sorted(utt_id for utt_id, speech in drawn.items() if not speech.ended))
    source = str(norms_dump) if norms_dump and norms_data else None
    found = {**count_retries(drawn), "natural_norms": {**asdict(natural), "learned_from": source}}
    found["listener"] = str(listener) if listens else None
    write_json(out / "retries.json", found)
    first, kept = (found["bad_utts"][draw]["any"] for draw in ("first_draw", "kept_draw"))
    LOG.info("%s: %d utterances, %d drawn again", out, count, found["drawn_again"])
    LOG.info("%s: bad at the first draw %d, bad ones left %d", out, first, kept)


def count_retries(drawn: Mapping[str, SampledSpeech]) -> dict[str, Any]:
    """What drawing again has mended: utterances with each fault at the first draw and in the draw that is kept.

    Args:
        drawn: utt_id -> what was drawn.
    """
    by_draw = {
        "first_draw": [speech.first_faults for speech in drawn.values()],
        "kept_draw": [speech.faults for speech in drawn.values()],
    }
    return {
        "num_utts": len(drawn),
        "drawn_again": sum(speech.draws > 1 for speech in drawn.values()),
        "draws": sum(speech.draws for speech in drawn.values()),
        "bad_utts": {
            draw: {"any": sum(map(bool, found))} | {fault: sum(fault in each for each in found) for fault in FAULTS}
            for draw, found in by_draw.items()
        },
        "bad": {utt_id: speech.faults for utt_id, speech in sorted(drawn.items()) if speech.faults},
    }


def read_norms(dump: Path, data: Path, t2s: SavedModel, *, name: str) -> SpeechNorms:
    """What natural speech of a set is like: three numbers by which draws of any set can be judged.

    Args:
        dump: Natural tokens.
        data: Kaldi directory with their transcripts.
        t2s: T2S model, whose text tokens are counted.
        name: Of the model, for messages.

    Raises:
        TokenizerMismatchError: The tokens are not those the model was trained on.
    """
    corpus = load_corpus(dump, data, text_tokenizer=t2s.text_tokenizer)
    check_same_tokenizer(t2s.manifest, corpus.dump.manifest, our_name=name, their_name=str(dump))
    utterances = [corpus.dump.semantic_of(index) for index in corpus.usable]
    return learn_norms(utterances, [len(corpus.texts[index]) for index in corpus.usable])


def speak(
    t2s: T2SModel,
    corpus: TokenCorpus,
    *,
    config: T2SSamplingConfig,
    natural: SpeechNorms | None = None,
    positions: Sequence[int] | None = None,
    listener: Listener | None = None,
) -> Iterator[tuple[str, SampledSpeech]]:
    """Draw the semantic tokens of transcripts, batch by batch.

    Args:
        t2s: In evaluation mode.
        corpus: Transcripts, and natural tokens, of which prompts are taken, each from another utterance.
        config: Sampling.
        natural: Norms by which draws are judged where ``config`` gives none.
        positions: Which of the usable utterances; all if None.
        listener: Reads what is drawn; see `t2s_sampling.sample_semantic`.

    Yields:
        utt_id and what was drawn.
    """
    prompts = DataConfig(min_prompt_frames=config.prompt_frames, max_prompt_frames=config.prompt_frames)
    dataset = TokenDataset(corpus, prompts, seed=config.seed, epoch=0)
    chosen = range(len(dataset)) if positions is None else positions
    examples = [dataset[position] for position in chosen]
    for place, speech in speak_examples(t2s, examples, config=config, natural=natural, listener=listener):
        yield examples[place].utt_id, speech


def stream_of(example: Example, seed: int) -> np.random.Generator:
    """The randomness of one utterance: by the seed, its name and its text."""
    content = example.utt_id.encode() + np.ascontiguousarray(example.text_L, dtype=np.int64).tobytes()
    return np.random.default_rng((seed, zlib.crc32(content)))


def speak_examples(
    t2s: T2SModel,
    examples: Sequence[Example],
    *,
    config: T2SSamplingConfig,
    natural: SpeechNorms | None = None,
    listener: Listener | None = None,
) -> Iterator[tuple[int, SampledSpeech]]:
    """Draw the semantic tokens of texts, those of similar length together, so that a batch ends at about the same time.

    Args:
        t2s: In evaluation mode.
        examples: Text ids and prompts; their semantic tokens are not looked at.
        config: Sampling.
        natural: Norms by which draws are judged where ``config`` gives none.
        listener: Reads what is drawn; see `t2s_sampling.sample_semantic`.

    Yields:
        Place in ``examples`` and what was drawn.
    """
    device = t2s.head.weight.device
    order = np.argsort([len(example.text_L) for example in examples], kind="stable")
    batches = [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]
    for members in tqdm(batches, desc="T2S", disable=None, leave=False):
        batch = collate([examples[member] for member in members]).to(device)
        drawn = sample_semantic(
            t2s,
            batch.text_BL,
            batch.text_lengths_B,
            prefix_BP=batch.prompt_BP,
            prefix_lengths_B=batch.prompt_lengths_B,
            config=config,
            streams=[stream_of(examples[member], config.seed) for member in members],
            natural=natural,
            paces=[
                t2s.pace_of(examples[member].prompt_text_L, examples[member].prompt_utt_frames) for member in members
            ],
            listener=listener,
        )
        yield from zip(members.tolist(), drawn, strict=True)
