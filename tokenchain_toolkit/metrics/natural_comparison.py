"""Synthesised audio against the natural recording of the same utterance: mel cepstra, pitch, PESQ, STOI.

Shapes: N samples.
"""

from collections.abc import Callable, Collection

import numpy as np

from tokenchain_toolkit.metrics.measured_audio import RATE, Speech, read_speech
from tokenchain_toolkit.metrics.measurement import Measurement, UnmeasurableError
from tokenchain_toolkit.metrics.mel_cepstral_distance import analyse_voice, compare_voices
from tokenchain_toolkit.metrics.reconstruction import measure_reconstruction

SAME_TIMING_SECONDS = 0.1  # PESQ and STOI compare what sounds at the same time; codecs round up to whole frames
STOI_FAILED = 1e-5  # what pystoi returns if less than 0.4 s is left without the silence
WARPED, TIMED = ("mcd", "pitch"), ("pesq", "stoi")
Found = dict[str, Measurement]


def measure_against_natural(speech: Speech, measures: Collection[str]) -> list[Measurement]:
    """Compare every utterance with its natural recording.

    Speech of another length is aligned by dynamic time warping for the mel-cepstral distance and the pitch; PESQ and
    STOI are left out there.

    Args:
        speech: Audio to measure and the natural recordings.
        measures: Which of ``mcd``, ``pitch``, ``pesq`` and ``stoi``; other names are passed over.
    """
    from tqdm import tqdm

    warped = {"model": "WORLD: dio, stonemask, cheaptrick", "sample_rate": RATE, "alignment": "dynamic time warping"}
    timed = {"sample_rate": RATE, "alignment": f"as they are, lengths within {SAME_TIMING_SECONDS:g} s"}
    everything = {
        "mcd": Measurement("mel_cepstral_distance", warped),
        "pitch": Measurement("gross_pitch_error", warped),
        "pesq": Measurement("pesq", {"model": "ITU-T P.862.2, wide-band", **timed}),
        "stoi": Measurement("stoi", {"model": "pystoi, not extended", **timed}),
    }
    found = {name: everything[name] for name in everything if name in measures}
    warped_found, timed_found = ({name: found[name] for name in names if name in found} for names in (WARPED, TIMED))
    for utt_id, path in tqdm(speech.wavs.items(), desc="against natural speech", unit="utt", disable=None):
        natural = speech.natural.wavs[utt_id]
        _compare(_compare_warped, warped_found, utt_id, natural, path)
        _compare(_compare_timed, timed_found, utt_id, natural, path)
    return list(found.values())


def _compare(
    compare: Callable[[Found, str, str, str], None], found: Found, utt_id: str, natural: str, path: str
) -> None:
    """One comparison of one utterance, if it is wanted; what stands in its way is written down."""
    if not found:
        return
    try:
        compare(found, utt_id, natural, path)
    except UnmeasurableError as error:
        for measurement in found.values():
            measurement.left_out[utt_id] = f"{path} {error}"


def _compare_warped(found: Found, utt_id: str, natural: str, path: str) -> None:
    """Mel-cepstral distance, and pitch errors weighted by the frames that are voiced in both."""
    voice = analyse_voice(read_speech(path))
    result = compare_voices(analyse_voice(_read_natural(natural)), voice)
    if "mcd" in found:
        found["mcd"].add(utt_id, result.distance)
    if "pitch" in found and result.voiced:
        found["pitch"].add(utt_id, result.pitch_errors, result.voiced)
    elif "pitch" in found:
        found["pitch"].left_out[utt_id] = f"{path} and {natural} are nowhere voiced at the same time"


def _compare_timed(found: Found, utt_id: str, natural: str, path: str) -> None:
    """PESQ and STOI."""
    samples_N, natural_N = read_speech(path), _read_natural(natural)
    difference = (len(samples_N) - len(natural_N)) / RATE
    if abs(difference) > SAME_TIMING_SECONDS:
        raise UnmeasurableError(f"has another timing than {natural}: its length differs by {difference:+.2f} s")
    result = measure_reconstruction([natural_N], [samples_N], original_rate=RATE, rebuilt_rate=RATE)
    values = {"pesq": result.pesq, "stoi": result.stoi}
    failed = {"pesq": np.isnan(result.pesq), "stoi": not result.stoi > STOI_FAILED}
    for name, measurement in found.items():
        if failed[name]:
            measurement.left_out[utt_id] = f"{path} or {natural} holds too little speech for {name.upper()}"
        else:
            measurement.add(utt_id, values[name])


def _read_natural(path: str) -> np.ndarray:
    try:
        return read_speech(path)
    except UnmeasurableError as error:
        raise UnmeasurableError(f"has a natural recording, {path}, that {error}") from error
