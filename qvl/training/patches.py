"""Pictures on their way to the model: bytes from the data workers, normalised on the model's device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from qvl.conversation import Message
from qvl.training.freezing import patch_embedding

if TYPE_CHECKING:
    import torch
    from swift.template import Template
    from torch import nn
    from torch.utils.hooks import RemovableHandle
    from transformers import Qwen2VLImageProcessor

__all__ = [
    "Normalisation",
    "RawPatches",
    "SharedPicture",
    "cut_patches",
    "has_raw_form",
    "normalise_on_device",
    "raw_patches",
    "share_pictures",
]

_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class RawPatches:
    """Stands in for an image processor: cuts pictures into patches and leaves the arithmetic to `Normalisation`.

    A patch of the processor is float32 and holds its pixels once for each frame of a video; a raw one holds them once,
    as bytes: an eighth of the memory for two frames.

    Attributes:
        processor: The processor that it stands in for; whatever is not a call is asked of it.
    """

    processor: Qwen2VLImageProcessor

    def __call__(self, images: Sequence[Image.Image], *, do_resize: bool = True, **options: Any) -> Mapping[str, Any]:
        """Return the patches of pictures in the order of the processor.

        Args:
            images: RGB pictures.
            do_resize: False for pictures that have their model size; others are left to the processor.
            options: What else the processor understands.

        Returns:
            `pixel_values`, uint8, (patches of all pictures, 3 x patch size^2), and `image_grid_thw`, int64,
            (pictures, 3): frames, rows and columns of patches.

        Raises:
            ValueError: A picture is not RGB, or its sides are no multiples of patch size x merge size.
        """
        if do_resize:
            result: Mapping[str, Any] = self.processor(images=images, do_resize=True, **options)
            return result
        import torch

        size = self.processor.patch_size
        arrays = [np.asarray(image) for image in images]
        patches = [cut_patches(array, size=size, merge=self.processor.merge_size) for array in arrays]
        grids = [(1, array.shape[0] // size, array.shape[1] // size) for array in arrays]
        return {
            "pixel_values": torch.from_numpy(patches[0] if len(patches) == 1 else np.concatenate(patches)),
            "image_grid_thw": torch.tensor(grids, dtype=torch.long),
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self.processor, name)


def cut_patches(pixels: np.ndarray, *, size: int, merge: int) -> np.ndarray:
    """Cut a picture into square patches; the merge x merge neighbours that make one token stand together.

    Args:
        pixels: (height, width, 3) uint8; both sides are multiples of size x merge.
        size: Side of a patch in pixels.
        merge: Side of a token in patches.

    Returns:
        (height x width / size^2, 3 x size^2) uint8; in a patch channels, then rows, then columns.

    Raises:
        ValueError: The shape is another one.
    """
    side = size * merge
    if pixels.ndim != 3 or pixels.shape[0] % side or pixels.shape[1] % side or pixels.shape[2] != _CHANNELS:
        raise ValueError(f"pixels must have shape (a multiple of {side}, a multiple of {side}, 3), got {pixels.shape}")
    cells = pixels.reshape(pixels.shape[0] // side, merge, size, pixels.shape[1] // side, merge, size, _CHANNELS)
    return np.ascontiguousarray(cells.transpose(0, 3, 1, 4, 6, 2, 5)).reshape(-1, _CHANNELS * size**2)


@contextmanager
def raw_patches(template: Template) -> Iterator[None]:
    """Let a template encode pictures to raw patches for a while.

    Outside of it the processor is the ordinary one: generation, text-only batches and saved checkpoints know no other.
    """
    processor = template.processor
    ordinary = processor.image_processor
    processor.image_processor = RawPatches(ordinary)
    try:
        yield
    finally:
        processor.image_processor = ordinary


class SharedPicture(Image.Image):
    """A picture that is handed on where another would be copied; nobody may write to it.

    On its way through ms-swift's template a picture is copied twice with its messages, once when it is made RGB, and
    once when it is resized to the size that it has.
    """

    def __init__(self, picture: Image.Image) -> None:
        """Share the pixels of a picture."""
        super().__init__()
        picture.load()
        self.__dict__.update(picture.__dict__)

    def __deepcopy__(self, memo: object) -> SharedPicture:
        return self

    def convert(self, mode: str | None = None, *args: Any, **options: Any) -> Image.Image:
        """Return the picture itself if it has that mode."""
        return self if mode == self.mode else super().convert(mode, *args, **options)

    def resize(self, size: Any, *args: Any, **options: Any) -> Image.Image:
        """Return the picture itself if the whole of it has that size."""
        if tuple(size) == self.size and not args and not options:
            return self
        return super().resize(size, *args, **options)


def share_pictures(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with pictures that are not copied any more; the pixels are those of the given ones."""
    return [
        {**message, "content": [_shared(part) for part in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def _shared(part: Mapping[str, object]) -> Mapping[str, object]:
    picture = part.get("image")
    return {**part, "image": SharedPicture(picture)} if isinstance(picture, Image.Image) else part


class Normalisation:
    """What a processor does to pixels after it has resized them; a forward pre-hook of the patch embedding.

    It computes in float32 what the processor computes, so the model sees the same bits. Raw patches are known by their
    width; processed ones are passed on. Bytes survive the cast to bfloat16 or float16 that models begin with.
    """

    def __init__(self, processor: Qwen2VLImageProcessor) -> None:
        """Take mean, deviation and the layout of a patch from a processor."""
        import torch

        self.frames = int(processor.temporal_patch_size)
        self.area = int(processor.patch_size) ** 2
        self.mean = torch.tensor(processor.image_mean).view(-1, 1) * (1.0 / processor.rescale_factor)
        self.std = torch.tensor(processor.image_std).view(-1, 1) * (1.0 / processor.rescale_factor)

    def __call__(self, module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        """Replace raw patches; the hook of `register_forward_pre_hook`."""
        (patches,) = inputs
        if patches.shape[-1] != _CHANNELS * self.area:
            return None
        return (self.apply(patches),)

    def apply(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the patches of the processor.

        Args:
            patches: (N, 3 x patch size^2), whole numbers from 0 to 255 of any dtype.

        Returns:
            (N, 3 x frames x patch size^2), of the dtype of `patches`, float32 for bytes.
        """
        # Divisors on the device: CUDA would multiply by the reciprocal of a number from the host, which rounds twice.
        self.mean, self.std = self.mean.to(patches.device), self.std.to(patches.device)
        pixels = (patches.float().view(-1, _CHANNELS, self.area) - self.mean) / self.std
        pixels = pixels.to(patches.dtype) if patches.is_floating_point() else pixels
        return pixels.unsqueeze(2).expand(-1, -1, self.frames, -1).reshape(len(patches), -1)


def normalise_on_device(model: nn.Module, processor: Qwen2VLImageProcessor) -> RemovableHandle:
    """Let a model take raw patches besides processed ones.

    Args:
        model: Qwen3-VL, with or without adapters and wrappers.
        processor: The processor whose arithmetic to repeat.

    Returns:
        The handle that undoes it.

    Raises:
        ValueError: The model has no patch embedding, or several.
    """
    return patch_embedding(model)[1].register_forward_pre_hook(Normalisation(processor))


def has_raw_form(processor: Qwen2VLImageProcessor) -> bool:
    """Whether raw patches of this processor, normalised here, are the bits that it makes itself.

    It is tried on a picture that holds every byte in every channel.
    """
    import torch

    side = processor.patch_size * processor.merge_size
    width = side * -(-256 // side**2)
    flat = np.arange(side * width * _CHANNELS) * 7 % 256  # 7 and 3 share no factor with 256
    picture = Image.fromarray(flat.astype(np.uint8).reshape(side, width, _CHANNELS))
    expected = processor(images=[picture], do_resize=False, return_tensors="pt")["pixel_values"]
    raw = RawPatches(processor)(images=[picture], do_resize=False)["pixel_values"]
    if raw.shape[-1] == expected.shape[-1]:
        return False  # one frame: raw patches could not be told from processed ones
    return bool(torch.equal(Normalisation(processor).apply(raw), expected))
