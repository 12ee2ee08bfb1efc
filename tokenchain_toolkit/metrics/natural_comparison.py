"""Synthesised audio against the natural recording of the same utterance: mel cepstra, pitch, PESQ, STOI.

Shapes: N samples.
"""

from collections.abc import Collection

import numpy as np

from tokenchain_toolkit.metrics.measured_audio import RATE, Speech, read_speech
from tokenchain_toolkit.metrics.measurement import Measurement, UnmeasurableError
from tokenchain_toolkit.metrics.mel_cepstral_distance import analyse_voice, compare_voices
from tokenchain_toolkit.metrics.reconstruction import measure_reconstruction

# PESQ and STOI compare what sounds at the same time. Codecs round up to whole frames, and a path that aligns by the
# sound of single frames strays a little where a sound lasts.
SAME_TIMING_SECONDS = 0.1
SAME_TIMING_SHARE = 0.9
STOI_FAILED = 1e-5  # what pystoi returns if less than 0.4 s is left without the silence
WARPED, TIMED = ("mcd", "pitch"), ("pesq", "stoi")
Found = dict[str, Measurement]


def measure_against_natural(speech: Speech, measures: Collection[str]) -> list[Measurement]:
    """Compare every utterance with its natural recording.

    Both are aligned by dynamic time warping for the mel-cepstral distance and the pitch. PESQ and STOI are left out
    where that shows another timing, as speech has that was made from text.

    Args:
        speech: Audio to measure and the natural recordings.
        measures: Which of ``mcd``, ``pitch``, ``pesq`` and ``stoi``; other names are passed over.
    """
    from tqdm import tqdm

    warped = {"model": "WORLD: dio, stonemask, cheaptrick", "sample_rate": RATE, "alignment": "dynamic time warping"}
    timed = {"sample_rate": RATE, "alignment": f"as they are, timing within {SAME_TIMING_SECONDS:g} s"}
    everything = {
        "mcd": Measurement("mel_cepstral_distance", warped),
        "pitch": Measurement("gross_pitch_error", warped),
        "pesq": Measurement("pesq", {"model": "ITU-T P.862.2, wide-band", **timed}),
        "stoi": Measurement("stoi", {"model": "pystoi, not extended", **timed}),
    }
    found = {name: everything[name] for name in everything if name in measures}
    for utt_id, path in tqdm(speech.wavs.items(), desc="against natural speech", unit="utt", disable=None):
        try:
            _compare(found, utt_id, speech.natural.wavs[utt_id], path)
        except UnmeasurableError as error:
            for measurement in found.values():
                if utt_id not in measurement.totals:
                    measurement.left_out.setdefault(utt_id, f"{path} {error}")
    return list(found.values())


def _compare(found: Found, utt_id: str, natural: str, path: str) -> None:
    """All measures of one utterance; what stands in the way of those that are left is raised."""
    samples_N = read_speech(path)
    voice, natural_N = analyse_voice(samples_N), _read_natural(natural)
    result = compare_voices(analyse_voice(natural_N), voice)
    if "mcd" in found:
        found["mcd"].add(utt_id, result.distance)
    if "pitch" in found and result.voiced:  # weighted by the frames that are voiced in both
        found["pitch"].add(utt_id, result.pitch_errors, result.voiced)
    elif "pitch" in found:
        found["pitch"].left_out[utt_id] = f"{path} and {natural} are nowhere voiced at the same time"
    timed = {name: found[name] for name in TIMED if name in found}
    if timed:
        _check_timing(natural, result.shift_P, (len(samples_N) - len(natural_N)) / RATE)
        _compare_timed(timed, utt_id, natural_N, samples_N, f"{path} or {natural}")


def _check_timing(natural: str, shift_P: np.ndarray, longer: float) -> None:
    """Raise if the same sounds are not heard at the same time."""
    if abs(longer) > SAME_TIMING_SECONDS:
        raise UnmeasurableError(f"has another timing than {natural}: its length differs by {longer:+.2f} s")
    share = float((np.abs(shift_P) <= SAME_TIMING_SECONDS).mean())
    if share < SAME_TIMING_SHARE:
        raise UnmeasurableError(
            f"has another timing than {natural}: {1 - share:.0%} of the sounds are shifted by more than "
            f"{SAME_TIMING_SECONDS:g} s"
        )


def _compare_timed(found: Found, utt_id: str, natural_N: np.ndarray, samples_N: np.ndarray, which: str) -> None:
    """PESQ and STOI."""
    result = measure_reconstruction([natural_N], [samples_N], original_rate=RATE, rebuilt_rate=RATE)
    values = {"pesq": result.pesq, "stoi": result.stoi}
    failed = {"pesq": np.isnan(result.pesq), "stoi": not result.stoi > STOI_FAILED}
    for name, measurement in found.items():
        if failed[name]:
            measurement.left_out[utt_id] = f"{which} holds too little speech for {name.upper()}"
        else:
            measurement.add(utt_id, values[name])


def _read_natural(path: str) -> np.ndarray:
    try:
        return read_speech(path)
    except UnmeasurableError as error:
        raise UnmeasurableError(f"has a natural recording, {path}, that {error}") from error
