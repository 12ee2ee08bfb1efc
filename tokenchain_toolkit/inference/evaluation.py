"""Word errors of a recogniser and of T2S on sets in memory, utterance by utterance.

Of every set each head of the recogniser is read, and of T2S it is measured how well a recogniser that does not change
(the judge: the ASR as it was pretrained, or another) understands what it says. Counts are kept by utterance, so that
runs can be compared on the same utterances.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.config.evaluation import EvaluationConfig
from tokenchain_toolkit.data.dataset import TokenCorpus
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch, encoded_batches
from tokenchain_toolkit.inference.generation import speak
from tokenchain_toolkit.metrics.error_rate import word_error_rate
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.models.t2s import T2SModel
from tokenchain_toolkit.text.bpe import TextTokenizer

# Which utterances are taken of a set that is not taken whole.
CHOICE_SEED = 20251006
Reader = Callable[[Sequence[torch.Tensor]], list[list[int]]]


def evaluate(
    asr: TokenASR,
    t2s: T2SModel,
    *,
    judge: TokenASR,
    sets: Mapping[str, TokenCorpus],
    references: Mapping[str, Mapping[str, str]],
    text_tokenizer: TextTokenizer,
    config: EvaluationConfig,
) -> dict[str, dict[str, Any]]:
    """Count the word errors of every head and of T2S on every set.

    Args:
        asr: Recogniser, in evaluation mode.
        t2s: In evaluation mode.
        judge: Recogniser that reads what T2S has drawn; in evaluation mode, on the same device.
        sets: Name -> tokens and text ids.
        references: Name -> utt_id -> transcript; may hold more utterances than the set.
        text_tokenizer: Of all three models.
        config: Heads, searches, and how many utterances.

    Returns:
        For each set ``{head: {utt_id: [errors, words]}}``, with T2S as the head ``t2s`` and the number of its
        utterances that the length cap cut as ``t2s_unfinished``.

    Raises:
        ConfigError: A head is unknown.
        DataError: An utterance has no transcript.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, corpus in sets.items():
        entry: dict[str, Any] = {}
        for head, texts in _recognised(asr, corpus, config).items():
            entry[head] = _errors(references[name], texts, text_tokenizer)
        if config.t2s_utts > 0:
            spoken, entry["t2s_unfinished"] = _spoken(t2s, judge, corpus, config)
            entry["t2s"] = _errors(references[name], spoken, text_tokenizer)
        found[name] = entry
    return found


def error_share(counts: Mapping[str, Sequence[int]]) -> float:
    """Word error rate of ``{utt_id: [errors, words]}``, as a fraction."""
    errors, words = (sum(pair[part] for pair in counts.values()) for part in (0, 1))
    return errors / words


def _recognised(asr: TokenASR, corpus: TokenCorpus, config: EvaluationConfig) -> dict[str, dict[str, list[int]]]:
    """Text ids of every utterance by every head; all heads share one pass of the encoder."""
    readers = {head: _reader(asr, head, config) for head in config.heads}
    indices = _chosen(len(corpus.dump), config.max_utts)
    utterances = [corpus.dump.semantic_of(index) for index in indices]
    utt_ids = [corpus.dump.utt_ids[index] for index in indices]
    found: dict[str, dict[str, list[int]]] = {head: {utt_id: [] for utt_id in utt_ids} for head in readers}
    for members, memories in encoded_batches(asr, utterances, batch_frames=config.batch_frames):
        for head, read in readers.items():
            found[head] |= zip([utt_ids[member] for member in members], read(memories), strict=True)
    return found


def _reader(asr: TokenASR, head: str, config: EvaluationConfig) -> Reader:
    """What turns the encoder states of a batch into text ids."""
    if head == "ctc":
        return lambda memories: asr.ctc_greedy(
            pad_sequence(list(memories), batch_first=True),
            torch.tensor([len(memory_SD) for memory_SD in memories], device=memories[0].device),
        )
    ctc_weight = config.ctc_weight if head == "joint" else 0.0
    return BeamSearch(asr, _search_config(config, ctc_weight=ctc_weight)).search


def _search_config(config: EvaluationConfig, *, ctc_weight: float) -> ASRDecodingConfig:
    return ASRDecodingConfig(beam_size=config.beam_size, ctc_weight=ctc_weight, batch_frames=config.batch_frames)


def _spoken(
    t2s: T2SModel, judge: TokenASR, corpus: TokenCorpus, config: EvaluationConfig
) -> tuple[dict[str, list[int]], int]:
    """What the judge reads of the tokens that T2S draws, and how many utterances the length cap cut."""
    positions = _chosen(len(corpus.usable), config.t2s_utts)
    drawn = dict(speak(t2s, corpus, config=config.t2s, positions=positions))
    search = BeamSearch(judge, _search_config(config, ctc_weight=config.ctc_weight))
    texts = search.recognise([speech.semantic_T.cpu().numpy() for speech in drawn.values()])
    return dict(zip(drawn, texts, strict=True)), sum(not speech.ended for speech in drawn.values())


def _chosen(count: int, wanted: int) -> list[int]:
    """So many of ``count`` indices, the same ones every time, in order; all if ``wanted`` is 0."""
    if wanted == 0 or wanted >= count:
        return list(range(count))
    return sorted(np.random.default_rng(CHOICE_SEED).permutation(count)[:wanted].tolist())


def _errors(
    references: Mapping[str, str], texts: Mapping[str, list[int]], text_tokenizer: TextTokenizer
) -> dict[str, list[int]]:
    """Errors and words of each utterance."""
    spelled = {utt_id: text_tokenizer.decode(text) for utt_id, text in texts.items()}
    known = {utt_id: references[utt_id] for utt_id in spelled if utt_id in references}
    counts = word_error_rate(known, spelled, num_bootstrap=1).per_utterance
    return {utt_id: [count.errors, count.num_reference_units] for utt_id, count in counts.items()}
