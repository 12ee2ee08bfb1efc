"""How natural speech sounds by a network that was trained on people's opinions: DNSMOS, which needs no reference."""

from importlib.metadata import version

import numpy as np

from tokenchain_toolkit.metrics.measured_audio import RATE, Speech, read_speech
from tokenchain_toolkit.metrics.measurement import Measurement, UnmeasurableError

# Metric -> name in what speechmos returns. All are opinions from 1 to 5; higher is better.
DNSMOS_SCORES = {
    "dnsmos": "ovrl_mos",
    "dnsmos_signal": "sig_mos",
    "dnsmos_background": "bak_mos",
    "dnsmos_p808": "p808_mos",
}


def measure_naturalness(speech: Speech) -> list[Measurement]:
    """DNSMOS of every utterance: one measurement for each of `DNSMOS_SCORES`."""
    from tqdm import tqdm

    settings = {"model": f"speechmos {version('speechmos')}: sig_bak_ovr and model_v8", "sample_rate": RATE}
    found = {metric: Measurement(metric, settings) for metric in DNSMOS_SCORES}
    for utt_id, path in tqdm(speech.wavs.items(), desc="DNSMOS", unit="utt", disable=None):
        try:
            for metric, value in dnsmos(read_speech(path)).items():
                found[metric].add(utt_id, value)
        except UnmeasurableError as error:
            for measurement in found.values():
                measurement.left_out[utt_id] = f"{path} {error}"
    return list(found.values())


def dnsmos(samples_N: np.ndarray) -> dict[str, float]:
    """DNSMOS P.835 (overall, signal, background) and P.808 of mono audio of shape (N,) at 16 kHz within [-1, 1].

    The network hears nine seconds: shorter audio is repeated, of longer audio the windows are averaged. The level is
    left as it is, for people heard it so too.
    """
    from speechmos import dnsmos as library

    found = library.run(samples_N, RATE)
    return {metric: float(found[name]) for metric, name in DNSMOS_SCORES.items()}
