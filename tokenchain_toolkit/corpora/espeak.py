"""eSpeak NG through ctypes: text to samples and phone times.

The library keeps its state in C globals: one ``Espeak`` per process, and only the same calls in the same order from a
fresh process give the same samples. Voice variants with a ``breath`` line read memory that the library never sets, so
they differ from run to run; keep to the others.
"""

import ctypes
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenchain_toolkit.errors import DataError, MissingDependencyError

# Values from eSpeak NG's public header, speak_lib.h.
OUTPUT_SYNCHRONOUS = 2
PHONEME_EVENTS, DO_NOT_EXIT = 0x0001, 0x8000
CHARS_UTF8 = 1
POSITION_CHARACTER = 1
EVENT_LIST_END, EVENT_PHONEME = 0, 7
RATE, PITCH, PITCH_RANGE = 1, 3, 4
STRESS_MARKS = b"',"


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Speech:
    """One synthesised text.

    Attributes:
        samples_T: Samples in [-1, 1], shape (num_samples,).
        phones: (start in samples, phone) in order; phones are eSpeak's mnemonics without stress marks, pauses ``sil``.
    """

    samples_T: np.ndarray
    phones: list[tuple[int, str]]


def find_loader() -> Any:
    """The package that ships the eSpeak NG library.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise MissingDependencyError(
            'the eSpeak NG library is not installed; run: pip install -e ".[demo]" (it brings espeakng-loader)'
        ) from error


class Espeak:
    """The synthesizer; ``sample_rate`` is that of its output, in Hz.

    Raises:
        MissingDependencyError: espeakng-loader is not installed, or its library does not start.
    """

    def __init__(self) -> None:
        loader = find_loader()
        self._library = ctypes.CDLL(loader.get_library_path())
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.POINTER(ctypes.c_uint),
            ctypes.c_void_p,
        ]
        data_path = loader.get_data_path().encode()
        self.sample_rate = self._library.espeak_Initialize(
            OUTPUT_SYNCHRONOUS, 0, data_path, PHONEME_EVENTS | DO_NOT_EXIT
        )
        if self.sample_rate <= 0:
            raise MissingDependencyError(
                f"eSpeak NG does not start with its voices in {data_path.decode()}; reinstall espeakng-loader, "
                "in an environment with a shorter path if this one is over 150 characters"
            )
        self._pieces: list[np.ndarray] = []
        self._phones: list[tuple[int, str]] = []
        self._callback = _Callback(self._receive)  # kept: the library holds only the address
        self._library.espeak_SetSynthCallback(self._callback)

    def set_voice(self, name: str, *, rate: int, pitch: int, pitch_range: int) -> None:
        """Choose how to speak.

        Args:
            name: Accent and variant, for instance ``en-us+m3``.
            rate: Words per minute, 80 to 450.
            pitch: Base pitch, 0 to 100; 50 is the voice's own.
            pitch_range: Liveliness, 0 (monotone) to 100.

        Raises:
            DataError: eSpeak NG has no such voice.
        """
        if self._library.espeak_SetVoiceByName(name.encode()):
            raise DataError(f"eSpeak NG has no voice {name!r}; choose one of its English accents with a variant")
        for parameter, value in ((RATE, rate), (PITCH, pitch), (PITCH_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)

    def say(self, text: str) -> Speech:
        """Synthesise one text.

        Raises:
            DataError: No sound came out.
        """
        self._pieces.clear()
        self._phones.clear()
        encoded = text.encode()
        status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None)
        if status or not self._pieces:
            raise DataError(f"eSpeak NG gave no sound for {text!r} (status {status}); remove the text")
        samples_T = np.concatenate(self._pieces).astype(np.float32) / 32768.0
        return Speech(samples_T=samples_T, phones=list(self._phones))

    def _receive(self, samples: Any, num_samples: int, events: Any) -> int:
        """Called by the library with a block of samples and what happens in it; 0 tells it to go on."""
        if samples and num_samples > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        index = 0
        while events[index].type != EVENT_LIST_END:
            event = events[index]
            if event.type == EVENT_PHONEME:
                name = event.id.string.lstrip(STRESS_MARKS).decode("utf-8", errors="replace")
                self._phones.append((event.sample, "sil" if not name or name.startswith("_") else name))
            index += 1
        return 0
