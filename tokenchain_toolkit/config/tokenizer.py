"""Configuration of the tokenizer: the features that k-means clusters, the k-means, and the acoustic codec."""

from dataclasses import dataclass, field

from tokenchain_toolkit.config.checks import check_least, check_odd, check_positive, check_shares
from tokenchain_toolkit.errors import ConfigError

LARGEST_VOCABULARY = 32767  # Tokens are stored as int16.
CODEC_KINDS = ("spectral_rvq", "encodec", "dac", "mimi", "speechtokenizer")


@dataclass
class MfccConfig:
    """Mel-frequency cepstra with their derivatives.

    Attributes:
        num_ceps: Cepstral coefficients, the 0th included.
        num_mels: Mel bands below them.
        window_length: Samples of the Hann window.
        n_fft: FFT size in samples, at least ``window_length``.
        delta_order: 0 for cepstra alone, 1 with deltas, 2 with delta-deltas.
        normalize: ``mean_variance`` for zero mean and unit variance per coefficient and utterance, ``mean`` for zero
            mean alone, which leaves the deltas the small weight that they have by nature, or ``none``.
    """

    num_ceps: int = 13
    num_mels: int = 40
    window_length: int = 400
    n_fft: int = 512
    delta_order: int = 2
    normalize: str = "mean_variance"

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_least(self, "semantic.mfcc", 2, "window_length")
        if not 1 <= self.num_ceps <= self.num_mels:
            raise ConfigError(f"semantic.mfcc.num_ceps={self.num_ceps} must be in 1..num_mels ({self.num_mels})")
        if self.normalize not in ("mean_variance", "mean", "none"):
            raise ConfigError(f"semantic.mfcc.normalize={self.normalize} must be mean_variance, mean or none")
        if self.window_length > self.n_fft:
            raise ConfigError(f"semantic.mfcc.window_length={self.window_length} exceeds n_fft={self.n_fft}")
        if self.delta_order not in (0, 1, 2):
            raise ConfigError(f"semantic.mfcc.delta_order={self.delta_order} must be 0, 1 or 2")


@dataclass
class SslConfig:
    """One hidden layer of a self-supervised speech model (HuBERT, WavLM, wav2vec 2.0), or the mean of several.

    Attributes:
        model: Local folder or hub id; its weights must be safetensors.
        layer: 0 for the input of the first transformer layer, i for the output of layer i.
        average: Layers whose outputs are averaged; ``layer`` is the last of them.
        dtype: Precision of the network: ``float32``, ``bfloat16`` or ``float16``.
        chunk_seconds: Longer audio is cut into overlapping chunks of this length, so that memory stays bounded.
        overlap_seconds: Context at each inner end of a chunk, whose frames are thrown away.
    """

    model: str = ""
    layer: int = 9
    average: int = 1
    dtype: str = "float32"
    chunk_seconds: float = 30.0
    overlap_seconds: float = 3.0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise ConfigError(f"semantic.ssl.dtype={self.dtype} must be float32, bfloat16 or float16")
        check_least(self, "semantic.ssl", 0, "layer")
        check_positive(self, "semantic.ssl", "chunk_seconds")
        if not 1 <= self.average <= self.layer + 1:
            raise ConfigError(f"semantic.ssl.average={self.average} must be in 1..{self.layer + 1} (layer + 1)")
        if not 0 <= 2 * self.overlap_seconds < self.chunk_seconds:
            raise ConfigError(
                f"semantic.ssl.overlap_seconds={self.overlap_seconds} must be below half of "
                f"chunk_seconds={self.chunk_seconds}"
            )


@dataclass
class KmeansConfig:
    """k-means over a stream of blocks of frames.

    Attributes:
        num_clusters: Size of the semantic vocabulary.
        max_frames: Frames to learn from; whole utterances are drawn until there are as many. 0 takes all.
        memory_gb: Memory (GB) for the frames of a block; more frames than fit are learned from in several blocks.
        iterations: Most passes over a block; learning ends earlier once the clusters stand still.
        seed: Of the draw of utterances and of the initial centroids.
    """

    num_clusters: int = 200
    max_frames: int = 500_000
    memory_gb: float = 2.0
    iterations: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if not 2 <= self.num_clusters <= LARGEST_VOCABULARY:
            raise ConfigError(f"kmeans.num_clusters={self.num_clusters} must be in 2..{LARGEST_VOCABULARY}")
        check_least(self, "kmeans", 1, "iterations")
        check_least(self, "kmeans", 0, "max_frames", "seed")
        check_positive(self, "kmeans", "memory_gb")


@dataclass
class SemanticConfig:
    """Semantic tokens.

    Attributes:
        kind: ``mfcc`` or ``ssl`` for k-means over the features of that section; ``codec`` for the first codebook of the
            codec, which SpeechTokenizer and Mimi taught to be semantic.
    """

    kind: str = "mfcc"
    mfcc: MfccConfig = field(default_factory=MfccConfig)
    ssl: SslConfig = field(default_factory=SslConfig)
    kmeans: KmeansConfig = field(default_factory=KmeansConfig)

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.kind not in ("mfcc", "ssl", "codec"):
            raise ConfigError(f"semantic.kind={self.kind!r} must be mfcc, ssl or codec")
        if self.kind == "ssl" and not self.ssl.model:
            raise ConfigError("semantic.kind=ssl needs semantic.ssl.model, a local folder or a hub id")


@dataclass
class HeadConfig:
    """The spectral codec's head: a network from its log-mel frames to the magnitudes that Griffin-Lim is given.

    Attributes:
        steps: Updates; 0 does without a head and inverts the mel bands.
        hidden_dim: Features of its blocks.
        num_layers: Blocks.
        kernel_size: Frames that a block's convolution sees, odd.
        expansion: How many times wider a block is inside.
        n_fft: FFT size and Hann window in samples of the magnitudes.
        hop_length: Samples from one frame of the magnitudes to the next; the codec's hop is a multiple of it.
        batch_size: Segments of an update.
        segment_frames: The codec's frames in a segment.
        max_frames: The codec's frames to learn from.
        lr: Peak learning rate of AdamW.
        seed: Of the segments and of the initial weights.
    """

    steps: int = 1500
    hidden_dim: int = 192
    num_layers: int = 5
    kernel_size: int = 7
    expansion: int = 3
    n_fft: int = 640
    hop_length: int = 160
    batch_size: int = 24
    segment_frames: int = 48
    max_frames: int = 200_000
    lr: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        check_least(self, "codec.head", 1, "hidden_dim", "num_layers", "expansion", "batch_size", "segment_frames")
        check_least(self, "codec.head", 1, "max_frames")
        check_least(self, "codec.head", 2, "hop_length")
        check_least(self, "codec.head", 0, "steps", "seed")
        check_positive(self, "codec.head", "lr")
        check_odd(self, "codec.head", "kernel_size")
        if self.n_fft % 2 or self.hop_length % 2 or self.n_fft < self.hop_length:
            raise ConfigError("codec.head: n_fft and hop_length must be even, and n_fft at least hop_length")


@dataclass
class CodecConfig:
    """Acoustic codec: learned residual k-means on log-mel frames decoded by Griffin-Lim, or a pretrained one.

    Attributes:
        enabled: False leaves the dumps without acoustic codes, so without speech synthesis.
        kind: ``spectral_rvq`` for the learned one; ``encodec``, ``dac``, ``mimi`` or ``speechtokenizer``.
        model: Folder or hub id of a pretrained one (a folder for SpeechTokenizer). Of the other settings only
            ``num_quantizers`` holds for it: how many to use, the first ones, a semantic one included.
        num_mels: Mel bands.
        n_fft: FFT size and Hann window in samples.
        floor: Smallest mel magnitude; quieter bands are raised to it before the logarithm.
        num_quantizers: Residual levels Q. With 12 of 1024 entries, 6 kbit/s, speech is rebuilt best (tools/bench); the
            recipes take 8 of 256, because S2A must predict every level.
        codebook_size: Entries per level.
        max_frames: Frames to learn from.
        iterations: Most k-means passes per level.
        seed: Of the initial centroids.
        head: Network before Griffin-Lim.
        griffin_lim_iterations: Phase reconstruction steps when decoding.
        griffin_lim_momentum: 0 for plain Griffin-Lim, below 1.
    """

    enabled: bool = True
    kind: str = "spectral_rvq"
    model: str = ""
    num_mels: int = 80
    n_fft: int = 1024
    floor: float = 0.01
    num_quantizers: int = 12
    codebook_size: int = 1024
    max_frames: int = 200_000
    iterations: int = 30
    seed: int = 0
    head: HeadConfig = field(default_factory=HeadConfig)
    griffin_lim_iterations: int = 48
    griffin_lim_momentum: float = 0.99

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.kind not in CODEC_KINDS:
            raise ConfigError(f"codec.kind={self.kind!r} must be {', '.join(CODEC_KINDS[:-1])} or {CODEC_KINDS[-1]}")
        if (self.kind == "spectral_rvq") == bool(self.model):
            raise ConfigError(
                f"codec.kind={self.kind} and codec.model={self.model!r}: a pretrained codec, and only it, "
                "needs a model, a local folder or a hub id"
            )
        if not 2 <= self.codebook_size <= LARGEST_VOCABULARY:
            raise ConfigError(f"codec.codebook_size={self.codebook_size} must be in 2..{LARGEST_VOCABULARY}")
        check_least(
            self, "codec", 1, "num_mels", "num_quantizers", "max_frames", "iterations", "griffin_lim_iterations"
        )
        check_least(self, "codec", 0, "seed")
        check_positive(self, "codec", "floor")
        check_shares(self, "codec", "griffin_lim_momentum")


@dataclass
class TokenizerConfig:
    """A whole tokenizer.

    Attributes:
        sample_rate: Hz, of the features that k-means clusters and of a learned codec; a pretrained codec has its own.
        hop_length: Samples per frame of the same.
    """

    sample_rate: int = 16000
    hop_length: int = 320
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.sample_rate < 1 or self.hop_length < 2 or self.hop_length % 2:
            raise ConfigError("sample_rate must be positive and hop_length positive and even")
        if self.semantic.kind == "codec" and not (self.codec.enabled and self.codec.num_quantizers > 1):
            raise ConfigError("semantic.kind=codec needs codec.enabled=true and at least two codec.num_quantizers")
        for name, n_fft in (("semantic.mfcc", self.semantic.mfcc.n_fft), ("codec", self.codec.n_fft)):
            if n_fft % 2 or n_fft < self.hop_length:
                raise ConfigError(f"{name}.n_fft={n_fft} must be even and at least hop_length={self.hop_length}")
        head = self.codec.head
        if head.steps and self.hop_length % head.hop_length:
            raise ConfigError(f"codec.head.hop_length={head.hop_length} must divide hop_length={self.hop_length}")
