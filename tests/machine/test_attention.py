from __future__ import annotations

import logging

import pytest
import torch

from qvl.errors import ConfigError
from qvl.machine import attention_here, has_device

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")


@pytest.mark.parametrize(("asked", "taken"), [("auto", "sdpa"), ("sdpa", "sdpa"), ("eager", "eager"), (None, None)])
def test_auto_is_sdpa_without_a_gpu(asked: str | None, taken: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="qvl.machine"):
        assert attention_here(asked, half=True) == taken
    assert len(caplog.messages) == (asked == "auto"), "what auto stands for is said"


def test_flash_attention_that_cannot_be_used_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^attn_impl: flash_attention_2 .*\bauto\b") as caught:
        attention_here("flash_attention_2", half=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("visible", [None, "", "-1"])
def test_the_cpu_is_taken_where_it_is_asked_for_or_nothing_is_said(
    visible: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert not has_device()


def test_a_process_that_was_given_a_gpu_and_has_none_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(ConfigError, match="CUDA_VISIBLE_DEVICES=3"):
        has_device()
