"""What semantic tokens still tell of the speaker, and what they tell of the words: two small probes.

Shapes: B utterances, T frames, K clusters, C characters.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from tokenchain_toolkit.errors import DataError

FOLDS = 5
HELD_OUT = 0.2
EMBEDDING, HIDDEN = 64, 128
BATCH, LEARNING_RATE = 32, 3e-3


def speaker_probe(
    tokens: Sequence[np.ndarray], speakers: Sequence[str], *, num_clusters: int, seed: int = 0
) -> tuple[float, float]:
    """Accuracy of a linear classifier that guesses the speaker from how often each token occurs in an utterance.

    Args:
        tokens: Of each utterance, shape (T,).
        speakers: Of each utterance.
        num_clusters: K.
        seed: Of the folds.

    Returns:
        Accuracy over five-fold cross-validation, and that of always guessing the most frequent speaker.

    Raises:
        DataError: There are fewer than two speakers with five utterances each.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    names, counts = np.unique(np.asarray(speakers), return_counts=True)
    kept = np.isin(np.asarray(speakers), names[counts >= FOLDS])
    if len(names[counts >= FOLDS]) < 2:
        raise DataError(f"the speaker probe needs two speakers with {FOLDS} utterances each; name a larger set")
    histograms_BK = np.stack([np.bincount(one, minlength=num_clusters) / len(one) for one in tokens])[kept]
    labels_B = np.asarray(speakers)[kept]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    # Square roots of shares lie on a sphere; scaled so that the regularisation of unit strength fits.
    features_BK = np.sqrt(histograms_BK) * np.sqrt(num_clusters)
    scores = cross_val_score(LogisticRegression(max_iter=500), features_BK, labels_B, cv=folds)
    return float(scores.mean()), float(np.unique(labels_B, return_counts=True)[1].max() / len(labels_B))


class _CtcProbe(nn.Module):
    """Embedding, one bidirectional LSTM layer, characters; character 0 is the blank."""

    def __init__(self, num_clusters: int, num_characters: int):
        super().__init__()
        self.embed = nn.Embedding(num_clusters, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * HIDDEN, num_characters + 1)

    def forward(self, tokens_BT: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(tokens_BT), lengths_B, True, enforce_sorted=False)
        states_BTD, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.head(states_BTD).log_softmax(-1)


def content_probe(
    tokens: Sequence[np.ndarray], texts: Sequence[str], *, num_clusters: int, epochs: int = 10, seed: int = 0
) -> float:
    """Character error rate of a small LSTM with CTC, trained on four fifths of the utterances, on the rest.

    Args:
        tokens: Of each utterance, shape (T,).
        texts: Transcripts.
        num_clusters: K.
        epochs: Passes over the training utterances.
        seed: Of split, weights and order.

    Returns:
        A fraction. It tells tokenizers apart; it is not what a real recogniser would reach.

    Raises:
        DataError: There are fewer than ten utterances.
    """
    from rapidfuzz.distance import Levenshtein

    if len(tokens) < 10:
        raise DataError(f"the content probe needs ten utterances, and has {len(tokens)}; name a larger set")
    characters = sorted(set("".join(texts)))
    ids = [torch.tensor([characters.index(one) + 1 for one in text]) for text in texts]
    frames = [torch.from_numpy(one.astype(np.int64)) for one in tokens]
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(tokens))
    cut = int(len(order) * (1 - HELD_OUT))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        probe = _CtcProbe(num_clusters, len(characters))
        _train(probe, frames, ids, order[:cut], epochs=epochs, generator=generator)
    edits = length = 0
    with torch.no_grad():
        for start in range(cut, len(order), BATCH):
            chosen = order[start : start + BATCH]
            tokens_BT, lengths_B = _pad([frames[index] for index in chosen])
            paths_BT = probe(tokens_BT, lengths_B).argmax(-1)
            for index, path_T, frames_of_it in zip(chosen, paths_BT, lengths_B.tolist(), strict=True):
                merged = torch.unique_consecutive(path_T[:frames_of_it])
                edits += Levenshtein.distance(merged[merged > 0].tolist(), ids[index].tolist())
                length += len(ids[index])
    return edits / max(length, 1)


def _train(
    probe: _CtcProbe,
    frames: list[torch.Tensor],
    ids: list[torch.Tensor],
    chosen: np.ndarray,
    *,
    epochs: int,
    generator: np.random.Generator,
) -> None:
    optimizer = torch.optim.Adam(probe.parameters(), LEARNING_RATE)
    for _ in range(epochs):
        shuffled = generator.permutation(chosen)
        for start in range(0, len(shuffled), BATCH):
            batch = shuffled[start : start + BATCH]
            tokens_BT, lengths_B = _pad([frames[index] for index in batch])
            text_BL, text_lengths_B = _pad([ids[index] for index in batch])
            log_probs_TBC = probe(tokens_BT, lengths_B).transpose(0, 1)
            loss = F.ctc_loss(log_probs_TBC, text_BL, lengths_B, text_lengths_B, zero_infinity=True)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(probe.parameters(), 5.0)
            optimizer.step()


def _pad(arrays: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return pad_sequence(arrays, batch_first=True), torch.tensor([len(array) for array in arrays])
