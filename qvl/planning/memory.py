"""The most memory that a training step takes on one device, by part."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qvl.planning.architecture import Architecture
from qvl.planning.flops import Batch, Tuning

__all__ = ["GIB", "Memory", "Setting", "Weights", "needs_checkpointing", "peak_memory", "spare"]

GIB = 2**30

_MASTER = 4  # bytes of a trained weight, of its gradient, and of each of AdamW's two numbers
_LOGITS = 12  # bytes of a logit when the loss goes back: its probability, and gradients before and behind the softmax
_BUCKET = 200_000_000  # elements that DeepSpeed communicates at a time
_LIVE = 1_000_000_000  # weights that ZeRO stage 3 may hold whole at a time
_CONTEXT = 1.0 * GIB  # CUDA itself and the libraries
_FRAGMENTS = 0.05  # of the peak: what the allocator holds and cannot give


@dataclass(frozen=True, slots=True)
class Weights:
    """How many weights a tuned model has.

    Attributes:
        frozen: That are not trained, with the originals of modules that are trained as a copy.
        trained: That are trained.
        matrices: How many of the trained ones stand in matrices that products are made with.
    """

    frozen: int
    trained: int
    matrices: int


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how exactly it is trained.

    Attributes:
        dtype: Of the weights that are not trained: bfloat16 or float32. What is trained is float32.
        bf16: Whether products are made in bfloat16.
        adapter_inputs: Sum of the widths of the inputs of all layers with adapters in the language model.
        dropout: Of the adapters.
        attention: Name of its implementation: flash_attention_2, sdpa or eager.
        zero: Stage of ZeRO; 0 without DeepSpeed.
        processes: Number of devices that share the work.
        gpu: False on a CPU, where the mask of a dropout takes four bytes instead of one.
    """

    dtype: str = "bfloat16"
    bf16: bool = True
    adapter_inputs: int = 0
    dropout: float = 0.0
    attention: str = "flash_attention_2"
    zero: int = 0
    processes: int = 1
    gpu: bool = True

    @property
    def stored(self) -> int:
        """Bytes of a weight that is not trained."""
        return 2 if self.dtype == "bfloat16" else 4

    @property
    def stream(self) -> int:
        """Bytes of a number between two layers."""
        return self.stored

    @property
    def product(self) -> int:
        """Bytes of a number that goes into a product or comes from one."""
        return 2 if self.bf16 else 4


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device.

    Attributes:
        weights: Frozen and trained, with copies in the precision of the products.
        optimizer: Gradients, AdamW's numbers and what processes exchange.
        aligner: What the mergers keep for their gradients.
        layers: What the layers of the language model, and a trained tower, keep.
        logits: Logits, probabilities and gradients at the loss, with what the last norm keeps.
        working: Of the layer that is computed just then.
        vision: What a frozen tower takes while it runs; before, so not on top of `layers`, `logits` and `working`.
        update: What the optimiser takes for a moment; after, so not on top of them either.
    """

    weights: float
    optimizer: float
    aligner: float
    layers: float
    logits: float
    working: float
    vision: float
    update: float

    @property
    def resident(self) -> float:
        """What is there between two steps."""
        return self.weights + self.optimizer

    @property
    def peak(self) -> float:
        """The most that tensors take at one time."""
        loss = self.aligner + self.layers + max(self.logits, self.working)
        return self.resident + max(loss, self.vision + self.aligner, self.update)

    @property
    def needed(self) -> float:
        """Device memory that this asks for, with what CUDA and the allocator take besides."""
        return self.peak * (1 + _FRAGMENTS) + _CONTEXT


def peak_memory(model: Architecture, batch: Batch, tuning: Tuning, weights: Weights, setting: Setting) -> Memory:
    """Add up the tensors of a training step at their most.

    With checkpointing a layer keeps its input only, and one layer at a time has all of its activations; without, all
    have theirs until the loss is made.

    Args:
        model: Its shape.
        batch: The largest one.
        tuning: What is trained.
        weights: Counted on the model.
        setting: Precision and sharding.
    """
    text, tokens = model.text, batch.tokens
    layer = _layer_bytes(model, tuning, setting) * tokens + _mask_bytes(model, batch, setting)
    forward_only = tuning.llm == "frozen" and not tuning.into_vision
    ends = (4 + 4 * setting.stream) * text.hidden * tokens
    inner = max(text.inner, text.experts_per_token * text.expert_inner if text.experts else 0)
    transient = (12 if tuning.llm == "lora" and setting.dropout else 8) * inner * tokens
    if forward_only:
        kept, working = 0.0, transient
    elif tuning.checkpointing:
        kept, working = setting.stream * text.hidden * text.layers * tokens, layer + transient
    else:
        kept, working = layer * text.layers, transient
    tower, tower_kept = _tower_bytes(model, batch, tuning, setting)
    return Memory(
        weights=_weight_bytes(model, weights, setting),
        optimizer=_optimizer_bytes(weights, setting),
        aligner=_aligner_bytes(model, batch, tuning, setting),
        layers=kept + tower_kept,
        logits=_LOGITS * text.vocabulary * batch.labelled + ends,
        working=working,
        vision=tower,
        update=_MASTER * weights.trained / (setting.processes if setting.zero else 1),
    )


def spare(memory: Memory, device: float) -> float:
    """Return bytes of a device that stay free; below zero it does not fit."""
    return device - memory.needed


def needs_checkpointing(
    device: float, model: Architecture, batch: Batch, tuning: Tuning, weights: Weights, setting: Setting
) -> bool:
    """Return whether activations have to be computed twice, because they do not fit when they are kept.

    Args:
        device: Bytes of device memory.
        model: Its shape.
        batch: The largest one.
        tuning: What is trained; its own `checkpointing` does not matter.
        weights: Counted on the model.
        setting: Precision and sharding.
    """
    kept = peak_memory(model, batch, replace(tuning, checkpointing=False), weights, setting)
    return spare(kept, device) < 0


def _layer_bytes(model: Architecture, tuning: Tuning, setting: Setting) -> float:
    """Return what one layer keeps for each token on average over the layers."""
    text, product = model.text, setting.product
    norms = 2 * 4 * text.hidden + 4 * (text.queries + text.keys)  # they compute in float32 and keep their input so
    attention = product * (2 * text.queries + 2 * text.keys)
    sparse = text.sparse_layers / text.layers
    inner = (1 - sparse) * text.inner + sparse * text.experts_per_token * text.expert_inner
    routed = sparse * text.experts_per_token * text.hidden * product * 2  # inputs and outputs of the experts
    layer = norms + attention + 3 * product * inner + routed
    if tuning.llm == "lora":
        layer += _adapter_bytes(model, setting) / text.layers
    if tuning.llm == "full":
        layer += product * (4 * text.hidden + 2 * text.queries + text.keys + inner)
    return layer


def _mask_bytes(model: Architecture, batch: Batch, setting: Setting) -> float:
    """Return what attention in one layer keeps besides its inputs and outputs.

    Where turns are padded, sdpa keeps the mask as numbers, and keys and values once for each head of the queries; a
    batch of one turn has no mask. Eager attention keeps its matrix of all pairs twice, and once more in float32.
    """
    text = model.text
    if setting.attention == "flash_attention_2":
        return 0.0
    padded = batch.tokens**2 > batch.token_pairs
    kept = setting.product * (batch.token_pairs + 2 * (text.queries - text.keys) * batch.tokens) * padded
    if setting.attention == "eager":
        kept += (2 * setting.product + 4) * text.heads * batch.token_pairs
    return kept


def _adapter_bytes(model: Architecture, setting: Setting) -> float:
    """Return what adapters keep of their inputs: in mixed precision each has a copy, and a dropout a mask."""
    text = model.text
    own = setting.bf16 or setting.dropout > 0
    shared = min(setting.adapter_inputs, text.layers * (2 * text.hidden + text.queries + text.inner))
    mask = (1 if setting.gpu else 4) if setting.dropout > 0 else 0
    return setting.product * (setting.adapter_inputs if own else shared) + mask * setting.adapter_inputs


def _tower_bytes(model: Architecture, batch: Batch, tuning: Tuning, setting: Setting) -> tuple[float, float]:
    """Return what the vision tower takes while it runs, and what it keeps if it is trained."""
    vision, product = model.vision, setting.product
    runs = (13 * vision.hidden + vision.inner) * product * batch.patches
    if tuning.vit == "frozen":
        return runs, 0.0
    layer = (11 * vision.hidden + 2 * vision.inner) * product * batch.patches
    if tuning.checkpointing:
        return runs, vision.layers * vision.hidden * product * batch.patches
    return runs, vision.layers * layer


def _aligner_bytes(model: Architecture, batch: Batch, tuning: Tuning, setting: Setting) -> float:
    """Return what the mergers keep: inputs of norm, layers and activation, and their output."""
    vision = model.vision
    tokens = batch.patches / vision.merge * vision.mergers
    kept = 4 * setting.product + (2 if setting.bf16 and setting.gpu else 0)
    trained = tuning.aligner or tuning.vit != "frozen"
    return tokens * (kept * vision.merged * trained + setting.stream * vision.out)


def _weight_bytes(model: Architecture, weights: Weights, setting: Setting) -> float:
    frozen, trained = float(setting.stored * weights.frozen), float(_MASTER * weights.trained)
    if setting.bf16 and not setting.zero:
        trained += 2 * weights.matrices  # autocast keeps what it has rounded until the gradients are there
    if setting.zero:
        trained = float(setting.stored * weights.trained)  # float32 masters are sharded with the optimiser
    if setting.zero < 3:
        return frozen + trained
    whole = min(_LIVE, model.parameters) * setting.stored
    return (frozen + trained) / setting.processes + whole * (setting.processes > 1)


def _optimizer_bytes(weights: Weights, setting: Setting) -> float:
    """Return gradients, both moments, masters if they are apart, and buffers of what is exchanged."""
    trained, share = weights.trained, setting.processes
    if not setting.zero:
        buckets = _MASTER * trained if share > 1 else 0
        return float(_MASTER * 3 * trained + buckets)
    gradients = trained if setting.zero == 1 else trained / share
    return _MASTER * (gradients + 3 * trained / share) + _MASTER * min(_BUCKET, trained) * (share > 1)
