from pathlib import Path

import numpy as np
import pytest

from tokenchain_toolkit.corpora.utterances import (
    Transcript,
    Utterance,
    held_out_size,
    hold_out_last,
    hold_out_speakers,
    match_recordings,
    write_sets,
)
from tokenchain_toolkit.data.audio import read_audio, write_audio
from tokenchain_toolkit.errors import DataError


def corpus(speakers, utterances_each):
    names = [
        (f"s{speaker}", f"s{speaker}-{number}") for speaker in range(speakers) for number in range(utterances_each)
    ]
    return [Utterance(utt_id, speaker, "word", Path(f"{utt_id}.wav")) for speaker, utt_id in names]


@pytest.mark.parametrize(("speakers", "held"), [(2, 1), (20, 1), (40, 2), (100, 5)])
def test_as_few_speakers_as_make_up_the_share_are_held_out(speakers, held):
    train, valid = hold_out_speakers(corpus(speakers, 3), share=0.05)
    assert len(valid) == 3 * held and len(train) == 3 * (speakers - held)
    assert not {each.speaker for each in train} & {each.speaker for each in valid}


def test_other_utterances_of_the_same_speakers_hold_out_the_same():
    held = [{each.speaker for each in hold_out_speakers(corpus(30, count), share=0.2)[1]} for count in (1, 4)]
    assert held[0] == held[1]


def test_the_published_sizes_hold_for_whole_corpora_and_shrink_for_excerpts():
    assert [held_out_size(100, total) for total in (948, 5, 1)] == [100, 1, 1]
    parts = hold_out_last(corpus(1, 4000), 250)
    assert [len(part) for part in parts] == [3500, 250, 250]
    ordered = [each.utt_id for part in parts for each in part]
    assert ordered == sorted(ordered)


def test_many_faults_are_counted_and_the_first_ones_named():
    transcripts = [Transcript(f"a{number}", "word", f"list:{number}") for number in range(9)]
    with pytest.raises(DataError, match=r"^9 faults: list:0: a0 has no recording; .*list:4: .*; and 4 more; mend it$"):
        match_recordings(transcripts, {}, remedy="mend it")


def test_a_set_without_utterances_is_refused(tmp_path):
    with pytest.raises(DataError, match="no utterances are left for the set train"):
        write_sets(tmp_path, {"train": []}, corpus="none")


def test_audio_that_is_at_16_khz_already_is_taken_as_it_is(tmp_path):
    """As in a copy of a corpus that somebody has resampled."""
    samples_T = np.linspace(-0.5, 0.5, 1600, dtype=np.float32)
    write_audio(tmp_path / "s0-0.wav", samples_T, sample_rate=16000)
    utterance = Utterance("s0-0", "s0", "word", tmp_path / "s0-0.wav")
    assert write_sets(tmp_path / "data", {"train": [utterance]}, corpus="mine", resample=True)
    written_T = read_audio(tmp_path / "data/wav/train/s0-0.wav", sample_rate=16000)
    assert np.array_equal(written_T, read_audio(utterance.audio, sample_rate=16000))
