"""What a copy of a published corpus lacks is said."""

from pathlib import Path

import pytest

from tokenchain_toolkit.corpora.archives import LIBRISPEECH
from tokenchain_toolkit.corpora.published import TALKS, UTTERANCES, warn_if_incomplete


def test_every_subset_of_librispeech_has_its_size():
    assert set(LIBRISPEECH) <= set(UTTERANCES)
    training = [UTTERANCES[f"train-{name}"] for name in ("clean-100", "clean-360", "other-500")]
    assert sum(training) == 281_241  # of the 960 hours, as everybody counts them


@pytest.mark.parametrize("part", [*UTTERANCES, *TALKS])
def test_a_whole_copy_passes_without_a_word_and_one_less_does_not(part, caplog):
    whole = (UTTERANCES | TALKS)[part]
    warn_if_incomplete(part, whole, Path("/corpus"))
    assert not caplog.records
    warn_if_incomplete(part, whole - 1, Path("/corpus"))
    (record,) = caplog.records
    assert record.levelname == "WARNING" and f"{whole - 1:,} of the {whole:,} published" in record.message
    assert record.message.startswith(f"{part}: ") and record.message.endswith(f"figures on it are not those of {part}")


def test_the_folder_and_what_is_counted_are_named(caplog):
    warn_if_incomplete("test-clean", 2100, Path("/speech/test-clean"))
    warn_if_incomplete("TED-LIUM 2 test", 9, Path("/speech/test"))
    assert "test-clean: 2,100 of the 2,620 published utterances are in /speech/test-clean; figures" in caplog.text
    assert "TED-LIUM 2 test: 9 of the 11 published talks are in /speech/test; figures" in caplog.text
