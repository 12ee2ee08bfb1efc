"""Distance and pitch errors of two recordings of the same words, aligned in time by dynamic time warping.

The spectral envelopes are WORLD's (CheapTrick), which does not see the pitch harmonics, at 10 ms. Silence is left out:
what counts there is the floor of the recording and not the voice.
Shapes: N samples, T frames, F frequency bins, K points of the mel axis, C cepstral coefficients, X and Y frames of the
two recordings, P steps of the path.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from tokenchain_toolkit.metrics.measured_audio import RATE
from tokenchain_toolkit.metrics.measurement import UnmeasurableError
from tokenchain_toolkit.metrics.reconstruction import GROSS, PITCH_STEP_MS

NUM_COEFFICIENTS = 24  # without the zeroth, which is the level
MEL_POINTS = 128
SPEECH_RANGE_DB = 40.0  # frames that are softer than this below the loudest are silence
FLOOR_DB = 80.0  # nobody hears what is softer than this below the loudest frequency, but its logarithm would count
MIN_FRAMES = 5


@dataclass(frozen=True)
class VoiceFrames:
    """Frames of one recording that hold speech.

    Attributes:
        cepstra_TC: Mel cepstra from the first coefficient on.
        pitch_T: Hz; 0 where unvoiced.
        seconds_T: When each of them is heard.
    """

    cepstra_TC: np.ndarray
    pitch_T: np.ndarray
    seconds_T: np.ndarray


@dataclass(frozen=True)
class WarpedComparison:
    """Two recordings along their warping path.

    Attributes:
        distance: Mean mel-cepstral distance in dB; 0 for a copy.
        pitch_errors: Steps at which both are voiced and their pitches differ by more than 20 %.
        voiced: Steps at which both are voiced.
        shift_P: Seconds by which each step of the path is later in the right one than in the left one.
    """

    distance: float
    pitch_errors: int
    voiced: int
    shift_P: np.ndarray


def analyse_voice(samples_N: np.ndarray) -> VoiceFrames:
    """Mel cepstra and pitch of the frames that hold speech, of mono audio at 16 kHz.

    Raises:
        UnmeasurableError: Fewer than five frames hold any.
    """
    with warnings.catch_warnings():  # pyworld asks for its own version in a way that setuptools will drop
        warnings.simplefilter("ignore")
        import pyworld
    samples = samples_N.astype(np.float64)
    pitch_T, time_T = pyworld.dio(samples, RATE, frame_period=PITCH_STEP_MS)
    pitch_T = pyworld.stonemask(samples, pitch_T, time_T, RATE)
    power_TF = pyworld.cheaptrick(samples, pitch_T, time_T, RATE)
    power_TF = np.maximum(power_TF, power_TF.max() * 10 ** (-FLOOR_DB / 10))
    level_T = 10 * np.log10(power_TF.mean(axis=1))
    is_speech_T = level_T > level_T.max() - SPEECH_RANGE_DB
    if is_speech_T.sum() < MIN_FRAMES:
        raise UnmeasurableError(f"holds fewer than {MIN_FRAMES} frames of speech")
    return VoiceFrames(mel_cepstra(power_TF[is_speech_T]), pitch_T[is_speech_T], time_T[is_speech_T])


def mel_cepstra(power_TF: np.ndarray) -> np.ndarray:
    """Cosine series of the log magnitude over the mel axis, ln|H| = sum c_m cos(m w), without c_0: shape (T, C)."""
    from scipy.fft import dct

    top = _mel(RATE / 2)
    mel_K = (np.arange(MEL_POINTS) + 0.5) / MEL_POINTS * top
    bins_K = _hertz(mel_K) / (RATE / 2) * (power_TF.shape[1] - 1)
    below_K = np.minimum(bins_K.astype(int), power_TF.shape[1] - 2)
    share_K = bins_K - below_K
    log_TF = 0.5 * np.log(power_TF)
    log_TK = (1 - share_K) * log_TF[:, below_K] + share_K * log_TF[:, below_K + 1]
    return dct(log_TK, type=2, axis=1)[:, 1 : NUM_COEFFICIENTS + 1] / MEL_POINTS


def compare_voices(left: VoiceFrames, right: VoiceFrames) -> WarpedComparison:
    """Mel-cepstral distance and gross pitch errors along the warping path of two recordings."""
    distance_XY = cepstral_distances(left.cepstra_TC, right.cepstra_TC)
    path_P2 = warping_path(distance_XY)
    left_P, right_P = left.pitch_T[path_P2[:, 0]], right.pitch_T[path_P2[:, 1]]
    both_P = (left_P > 0) & (right_P > 0)
    ratio_P = right_P[both_P] / left_P[both_P]
    return WarpedComparison(
        distance=float(distance_XY[path_P2[:, 0], path_P2[:, 1]].mean()),
        pitch_errors=int((np.abs(ratio_P - 1) > GROSS).sum()),
        voiced=int(both_P.sum()),
        shift_P=right.seconds_T[path_P2[:, 1]] - left.seconds_T[path_P2[:, 0]],
    )


def cepstral_distances(left_XC: np.ndarray, right_YC: np.ndarray) -> np.ndarray:
    """Distance in dB of every frame to every other, 10 / ln 10 * sqrt(2 sum (c - c')^2): shape (X, Y)."""
    from scipy.spatial.distance import cdist

    return 10 / np.log(10) * np.sqrt(2) * cdist(left_XC, right_YC)


def warping_path(cost_XY: np.ndarray) -> np.ndarray:
    """The cheapest way from the first pair of frames to the last, by steps of one frame in either or both: (P, 2).

    The table is filled by anti-diagonals, whose cells do not depend on one another.
    """
    num_x, num_y = cost_XY.shape
    total = np.full((num_x + 1, num_y + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(num_x + num_y - 1):
        x = np.arange(max(0, diagonal - num_y + 1), min(num_x, diagonal + 1))
        y = diagonal - x
        before = np.minimum(total[x, y], np.minimum(total[x, y + 1], total[x + 1, y]))
        total[x + 1, y + 1] = cost_XY[x, y] + before
    x, y = num_x - 1, num_y - 1
    path = [(x, y)]
    while x or y:
        # Ties go to the step in both, so that a recording is its own copy frame by frame.
        steps = ((x - 1, y - 1), (x - 1, y), (x, y - 1))
        x, y = min(steps, key=lambda step: total[step[0] + 1, step[1] + 1])
        path.append((x, y))
    return np.array(path[::-1])


def _mel(hertz: float) -> float:
    return 2595.0 * np.log10(1 + hertz / 700.0)


def _hertz(mel_K: np.ndarray) -> np.ndarray:
    return 700.0 * (10 ** (mel_K / 2595.0) - 1)
