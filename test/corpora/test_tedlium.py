"""TED-LIUM 2 from a release that the test writes: SPHERE files and STM transcripts in the published layout."""

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.bin import report, score
from tokenchain_toolkit.bin.prepare_data import main
from tokenchain_toolkit.corpora import tedlium
from tokenchain_toolkit.corpora.tedlium import prepare_tedlium2
from tokenchain_toolkit.data.kaldi import read_data_dir, read_table
from tokenchain_toolkit.data.validate import validate_data_dir
from tokenchain_toolkit.errors import DataError
from tokenchain_toolkit.metrics.score_rows import read_score_rows
from tokenchain_toolkit.text.bpe import train_bpe

RATE = 16000
TRAIN = """;; comment
AnnLee_2009 1 AnnLee_2009 0.50 2.00 <o,f0,female> yes it 's easy(2) <sil>
AnnLee_2009 1 AnnLee_2009 1.90 3.00 <o,f0,female> {UH} and <unk> 's not
AnnLee_2009 1 AnnLee_2009 3.50 4.00 <o,f0,female> {NOISE}
"""
TEST = """BobRay_2010 1 inter_segment_gap 0 1.00 <o,,unknown> ignore_time_segment_in_scoring
BobRay_2010 1 Bob_Ray 1.00 2.50 <F0_M> thank you <unk>
BobRay_2010 1 Bob_Ray 2.25 4.25 <F0_M> i 'd like that
"""


def ramp(seconds):
    """Samples that tell where in the talk they come from."""
    return (np.arange(round(seconds * RATE)) % 30000).astype("<i2")


def write_sphere(path, samples_T, *, rate=RATE, coding="pcm"):
    """NIST SPHERE: a header of 1024 bytes in lines 'name -type value', then the samples."""
    fields = {"channel_count": 1, "sample_count": len(samples_T), "sample_rate": rate, "sample_n_bytes": 2}
    lines = [f"{name} -i {value}" for name, value in fields.items()]
    lines += [f"sample_byte_format -s2 01\nsample_coding -s{len(coding)} {coding}\nend_head\n"]
    header = "\n".join(["NIST_1A\n   1024", *lines]).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.ljust(1024) + samples_T.astype("<i2").tobytes())


def add_talk(release, name, talk, transcript, *, seconds=5.0):
    write_sphere(release / name / "sph" / f"{talk}.sph", ramp(seconds))
    path = release / name / "stm" / f"{talk}.stm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(transcript)


@pytest.fixture
def release(tmp_path):
    folder = tmp_path / "TEDLIUM_release2"
    add_talk(folder, "train", "AnnLee_2009", TRAIN)
    add_talk(folder, "dev", "CyDoe_2008", "CyDoe_2008 1 Cy_Doe 0.25 4.75 <F0_F> so then\n")
    add_talk(folder, "test", "BobRay_2010", TEST)
    return folder


def test_texts_speakers_and_samples_of_the_sets(release, tmp_path):
    assert prepare_tedlium2(tmp_path / "data", root=tmp_path)
    train = read_data_dir(tmp_path / "data" / "train")
    assert train.texts == {"AnnLee_2009-0000050-0000200": "yes it's easy", "AnnLee_2009-0000190-0000300": "and not"}
    assert set(train.speakers.values()) == {"AnnLee_2009"}
    # Room at the edges; the overlap of both with their room, 1.75 to 2.1 s, ends in its middle.
    for utt_id, start, end in (
        ("AnnLee_2009-0000050-0000200", 0.35, 1.925),
        ("AnnLee_2009-0000190-0000300", 1.925, 3.1),
    ):
        samples_T, rate = soundfile.read(train.wavs[utt_id], dtype="int16")
        assert rate == RATE and np.array_equal(samples_T, ramp(5)[round(start * RATE) : round(end * RATE)])
    test = read_data_dir(tmp_path / "data" / "test")
    assert list(test.texts.values()) == ["thank you", "i'd like that"]
    lengths = [soundfile.info(path).duration for path in test.wavs.values()]
    assert lengths == [1.5, 2.0]
    assert all(validate_data_dir(tmp_path / "data" / name).ok for name in ("train", "dev", "test"))


def test_references_as_published_are_scored_beside_the_texts(release, tmp_path):
    prepare_tedlium2(tmp_path / "data", root=release)
    text = tmp_path / "data" / "test" / "text"
    assert read_table(text.with_name("text_published")) == {
        "BobRay_2010-0000100-0000250": "thank you <unk>",
        "BobRay_2010-0000225-0000425": "i'd like that",
    }
    assert not (tmp_path / "data" / "train" / "text_published").exists()
    names = ["--set=test", "--experiment=asr", "--model=asr", f"--out={tmp_path / 'asr' / 'score.json'}"]
    assert score.main([f"--hyp={text}", f"--ref={text}", *names]) == 0
    rows = {row.metric: row.value for row in read_score_rows(tmp_path / "asr" / "score.json")}
    assert rows == {"wer": 0, "published_wer": pytest.approx(1 / 6)}
    assert report.main([f"--exp={tmp_path / 'asr'}", f"--out={tmp_path}", "--title=talks"]) == 0
    assert "Published-WER is against `text_published`" in (tmp_path / "RESULTS.md").read_text()
    assert score.main([f"--hyp={text}", f"--ref={text}", *names, "--metric_name=t2s_wer"]) == 0
    assert [row.metric for row in read_score_rows(tmp_path / "asr" / "score.json")] == ["t2s_wer"]


def test_talks_that_the_copy_lacks_are_counted(release, tmp_path, caplog):
    prepare_tedlium2(tmp_path / "data", root=release)
    for name, published in (("train", "1,495"), ("dev", "8"), ("test", "11")):
        what = f"TED-LIUM 2 {name}: 1 of the {published} published talks are in {release / name}; figures"
        assert what in caplog.text


def test_what_is_left_out_is_listed(release, tmp_path):
    prepare_tedlium2(tmp_path / "data", root=release)
    skipped = (tmp_path / "data" / "train" / "skipped.tsv").read_text()
    assert skipped == "AnnLee_2009-0000350-0000400\tno words\n"
    assert (tmp_path / "data" / "test" / "skipped.tsv").read_text() == ""


def test_a_second_run_does_nothing_and_a_changed_transcript_or_talk_is_read_again(release, tmp_path):
    out = tmp_path / "data"
    assert prepare_tedlium2(out, root=release)
    assert not prepare_tedlium2(out, root=release)
    stm = release / "test" / "stm" / "BobRay_2010.stm"
    stm.write_text(stm.read_text().replace("thank you", "thanks"))
    assert prepare_tedlium2(out, root=release)
    assert "thanks" in read_data_dir(out / "test").texts.values()
    write_sphere(release / "test" / "sph" / "BobRay_2010.sph", ramp(6))
    assert prepare_tedlium2(out, root=release)
    (out / "dev" / "wav.scp").unlink()
    assert prepare_tedlium2(out, root=release) and (out / "dev" / "wav.scp").is_file()


def test_a_killed_run_goes_on_after_the_last_whole_talk(release, tmp_path, monkeypatch):
    cut_talk = tedlium.cut_talk

    def fails_at_the_last_talk(talk, cuts, folder):
        if folder.name == "BobRay_2010":
            raise KeyboardInterrupt
        cut_talk(talk, cuts, folder)

    monkeypatch.setattr(tedlium, "cut_talk", fails_at_the_last_talk)
    with pytest.raises(KeyboardInterrupt):
        prepare_tedlium2(tmp_path / "data", root=release)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.wav")}
    assert len(times) == 3
    monkeypatch.setattr(tedlium, "cut_talk", cut_talk)
    assert prepare_tedlium2(tmp_path / "data", root=release)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert len(list((tmp_path / "data").rglob("*.wav"))) == 5


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_text_units_set_the_case_and_what_they_cannot_write_is_left_out(release, tmp_path, monkeypatch, case):
    monkeypatch.setattr(tedlium, "MAX_SKIPPED", 0.5)
    units = train_bpe([case("abcdefghijklmnopqrstuvwxyz it's")], tmp_path / "units", model_type="char")
    add_talk(release, "dev", "Odd_2008", "Odd_2008 1 Odd 0.25 4.75 <F0_F> r2 d2\n")
    prepare_tedlium2(tmp_path / "data", root=release, token_list=units)
    assert set(read_data_dir(tmp_path / "data" / "test").texts.values()) == {case("i'd like that"), case("thank you")}
    assert (tmp_path / "data" / "dev" / "skipped.tsv").read_text().endswith("the token list does not know: 2\n")


def test_more_than_a_percent_that_cannot_be_used_stops_the_preparation(release, tmp_path):
    add_talk(release, "test", "BobRay_2010", TEST, seconds=3)
    with pytest.raises(
        DataError, match="1 of 2 utterances cannot be used(.|\n)*BobRay_2010-0000225-0000425: its talk's"
    ):
        prepare_tedlium2(tmp_path / "data", root=release)


def test_a_missing_release_says_where_it_is(tmp_path, caplog):
    assert main(["tedlium2", "--out", str(tmp_path / "data"), "--root", str(tmp_path / "nowhere")]) == 1
    assert "openslr.org/19" in caplog.text and "TEDLIUM2=" in caplog.text


def test_a_talk_without_transcript_or_audio_is_named(release, tmp_path):
    (release / "train" / "sph" / "AnnLee_2009.sph").unlink()
    with pytest.raises(DataError, match="no sph file: AnnLee_2009"):
        prepare_tedlium2(tmp_path / "data", root=release)
    write_sphere(release / "train" / "sph" / "AnnLee_2009.sph", ramp(5))
    write_sphere(release / "train" / "sph" / "Silent_2009.sph", ramp(5))
    with pytest.raises(DataError, match="no stm file: Silent_2009"):
        prepare_tedlium2(tmp_path / "data", root=release)


@pytest.mark.parametrize(
    ("changes", "told"), [({"rate": 8000}, "8000 Hz"), ({"coding": "pcm,embedded-shorten-v2.00"}, "sph2pipe")]
)
def test_audio_of_another_kind_is_named(release, tmp_path, changes, told):
    write_sphere(release / "dev" / "sph" / "CyDoe_2008.sph", ramp(5), **changes)
    with pytest.raises(DataError, match=f"CyDoe_2008.sph: .*{told}"):
        prepare_tedlium2(tmp_path / "data", root=release)
