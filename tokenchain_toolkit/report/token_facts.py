"""Measuring the tokens of one tokenizer on one set: everything that the page of ``report/tokens.py`` shows."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tokenchain_toolkit.config.asr import ASRDecodingConfig
from tokenchain_toolkit.data.audio import read_audio, resample
from tokenchain_toolkit.data.kaldi import DataDir, read_data_dir
from tokenchain_toolkit.data.manifest import check_same_tokenizer
from tokenchain_toolkit.data.token_dump import TokenDump, read_dump
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.inference.asr_beam_search import BeamSearch
from tokenchain_toolkit.inference.model_folder import load_model
from tokenchain_toolkit.metrics.error_rate import ErrorRate, word_error_rate
from tokenchain_toolkit.metrics.phones import Interval, PhoneAgreement, phone_agreement
from tokenchain_toolkit.metrics.probes import content_probe, speaker_probe
from tokenchain_toolkit.metrics.reconstruction import Reconstruction, measure_reconstruction
from tokenchain_toolkit.metrics.robustness import robustness
from tokenchain_toolkit.metrics.token_statistics import CodebookStatistics, codebook_statistics, run_lengths
from tokenchain_toolkit.models.asr import TokenASR
from tokenchain_toolkit.tokenizers.tokenizer import Tokenizer, load_tokenizer

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenSources:
    """What is measured.

    Attributes:
        dump: Token dump of frames.
        tokenizer: Folder of its tokenizer, for what needs audio; None leaves that out.
        asr: ASR trained on its tokens, for the WER of rebuilt speech; None leaves that out.
    """

    dump: Path
    tokenizer: Path | None = None
    asr: Path | None = None


@dataclass(frozen=True)
class TokenFacts:
    """What was found; parts whose sources were not named are None."""

    name: str
    hours: float
    codebooks: dict[str, CodebookStatistics]
    runs: np.ndarray
    phones: PhoneAgreement | None = None
    robustness: Mapping[str, float] | None = None
    reconstruction: Reconstruction | None = None
    resynthesis_wer: ErrorRate | None = None
    speaker_accuracy: float | None = None
    speaker_chance: float | None = None
    content_cer: float | None = None


def measure_tokens(
    sources: TokenSources,
    *,
    data: Path | None,
    phones: Mapping[str, list[Interval]] | None,
    max_utts: int,
    with_probes: bool,
) -> TokenFacts:
    """Everything that the named sources allow.

    Args:
        sources: Dump and models.
        data: Data directory of the dump's utterances.
        phones: What was spoken when, where that is known.
        max_utts: Utterances of what needs audio, spread evenly over the set.
        with_probes: Train the probes for speaker and content.

    Raises:
        DataError: The dump holds units instead of frames, or a part needs a data directory and there is none.
    """
    dump = read_dump(sources.dump)
    if dump.manifest["semantic"].get("deduplicated"):
        raise DataError(f"{sources.dump} holds units, which have no times; name the dump that extract_tokens wrote")
    frame_rate = float(dump.manifest["semantic"]["frame_rate"])
    parts: dict[str, Any] = {}
    if data is None and (with_probes or sources.tokenizer is not None):
        raise DataError("probes, robustness and reconstruction need the audio and texts of --data")
    if data is not None and with_probes:
        parts |= _probe(dump, read_data_dir(data))
    if data is not None and sources.tokenizer is not None:
        parts |= _listen(sources, dump, read_data_dir(data), max_utts=max_utts)
    return TokenFacts(
        name=str(sources.dump),
        hours=len(dump.semantic) / frame_rate / 3600,
        codebooks=_codebooks(sources.dump, dump),
        runs=run_lengths(dump.semantic, dump.offsets),
        phones=phone_agreement(dump, phones, frame_rate=frame_rate) if phones else None,
        **parts,
    )


def _codebooks(folder: Path, dump: TokenDump) -> dict[str, CodebookStatistics]:
    """Statistics of the semantic tokens and of each quantizer."""
    semantic, acoustic = dump.manifest["semantic"], dump.manifest.get("acoustic")
    size, frame_rate = int(semantic["num_clusters"]), float(semantic["frame_rate"])
    found = {"semantic": codebook_statistics(dump.semantic, size=size, frame_rate=frame_rate)}
    if acoustic:
        codes_NQ = read_dump(folder, with_codes=True).codes
        assert codes_NQ is not None
        size, frame_rate = int(acoustic["codebook_size"]), float(acoustic["frame_rate"])
        for level, codes_N in enumerate(codes_NQ.T):
            found[f"quantizer {level}"] = codebook_statistics(codes_N, size=size, frame_rate=frame_rate)
    return found


def _probe(dump: TokenDump, data: DataDir) -> dict[str, Any]:
    """What the tokens tell of speakers and words, as far as the set is large enough for it."""
    LOG.info("probes: training them on %d utterances", len(dump))
    tokens = [dump.semantic_of(index) for index in range(len(dump))]
    num_clusters = int(dump.manifest["semantic"]["num_clusters"])
    speakers = [data.speakers[utt_id] for utt_id in dump.utt_ids]
    texts = [data.texts[utt_id] for utt_id in dump.utt_ids]
    found: dict[str, Any] = {}
    try:
        accuracy, chance = speaker_probe(tokens, speakers, num_clusters=num_clusters)
        found |= {"speaker_accuracy": accuracy, "speaker_chance": chance}
    except DataError as error:
        LOG.warning("left out of the report: %s", error)
    try:
        found["content_cer"] = content_probe(tokens, texts, num_clusters=num_clusters)
    except DataError as error:
        LOG.warning("left out of the report: %s", error)
    return found


def _listen(sources: TokenSources, dump: TokenDump, data: DataDir, *, max_utts: int) -> dict[str, Any]:
    """What needs audio: distortions, and the codec's round trip."""
    assert sources.tokenizer is not None
    tokenizer = load_tokenizer(sources.tokenizer)
    check_same_tokenizer(
        tokenizer.manifest, dump.manifest, our_name=str(sources.tokenizer), their_name=str(sources.dump)
    )
    places = np.unique(np.linspace(0, len(dump) - 1, min(max_utts, len(dump))).astype(int))
    utt_ids = [dump.utt_ids[place] for place in places]
    samples = [read_audio(data.wavs[utt_id], sample_rate=tokenizer.sample_rate) for utt_id in utt_ids]

    def tokens_of(samples_N: np.ndarray) -> np.ndarray:
        return tokenizer.encode([samples_N])[0][0]

    LOG.info("%s: distorting %d utterances", sources.dump, len(samples))
    found: dict[str, Any] = {"robustness": robustness(tokens_of, samples, sample_rate=tokenizer.sample_rate)}
    if tokenizer.codec is None:
        return found
    LOG.info("%s: rebuilding them", sources.dump)
    rebuilt = _round_trip(tokenizer, samples)
    rates = {"original_rate": tokenizer.sample_rate, "rebuilt_rate": tokenizer.output_rate}
    found["reconstruction"] = measure_reconstruction(samples, rebuilt, **rates)
    if sources.asr is not None:
        texts = {utt_id: data.texts[utt_id] for utt_id in utt_ids}
        at_input_rate = [resample(one_N, tokenizer.output_rate, tokenizer.sample_rate) for one_N in rebuilt]
        found["resynthesis_wer"] = _recognise(sources.asr, tokenizer, texts, [tokens_of(one) for one in at_input_rate])
    return found


def _round_trip(tokenizer: Tokenizer, samples: list[np.ndarray]) -> list[np.ndarray]:
    """Audio to codes and back."""
    semantic, codes = [], []
    for semantic_T, codes_FQ in tokenizer.encode(samples):
        assert codes_FQ is not None
        semantic.append(semantic_T)
        codes.append(codes_FQ)
    return tokenizer.decode(semantic, codes)


def _recognise(asr: Path, tokenizer: Tokenizer, texts: Mapping[str, str], tokens: list[np.ndarray]) -> ErrorRate:
    """WER of an ASR on the tokens of rebuilt speech."""
    saved = load_model(asr, kind="asr")
    assert isinstance(saved.module, TokenASR) and saved.text_tokenizer is not None
    check_same_tokenizer(saved.manifest, tokenizer.manifest, our_name=str(asr), their_name="the tokenizer")
    found = BeamSearch(saved.module, ASRDecodingConfig(beam_size=4)).recognise(tokens)
    return word_error_rate(texts, dict(zip(texts, map(saved.text_tokenizer.decode, found), strict=True)))
