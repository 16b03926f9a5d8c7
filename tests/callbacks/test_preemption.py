"""What signals do to a process, each tried in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState

from qvl.callbacks import EvaluationCut, Preemption, preemption
from qvl.errors import PREEMPTED

ARGS = SimpleNamespace(save_strategy="steps", eval_strategy="steps")


def ended(work: Callable[[], object]) -> int:
    """Run something in a forked process and return how it ended: its exit code, or a signal below zero."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except SystemExit as error:
            code = int(str(error.code))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def training() -> Preemption:
    """Return a callback that has seen training begin."""
    callback = Preemption()
    callback.on_epoch_begin(ARGS, TrainerState(), TrainerControl())
    return callback


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_in_training_asks_for_a_checkpoint_at_the_end_of_the_step(number):
    callback, control = training(), TrainerControl()
    with callback:
        callback.on_step_end(ARGS, TrainerState(), control)
        assert not (callback.agreed or control.should_save)
        send(number)
        callback.on_step_end(ARGS, TrainerState(), control)
    assert callback.agreed and control.should_save


def test_an_evaluation_is_left_and_one_that_is_due_is_noted():
    callback, control = training(), TrainerControl()
    with callback:
        callback.on_prediction_step(ARGS, TrainerState(), control)
        send(signal.SIGTERM)
        with pytest.raises(EvaluationCut):
            callback.on_prediction_step(ARGS, TrainerState(), control)
    by_epoch = SimpleNamespace(save_strategy="steps", eval_strategy="epoch")
    callback.on_step_end(by_epoch, TrainerState(epoch=1.5), control)
    assert not control.should_evaluate
    callback.on_step_end(by_epoch, TrainerState(epoch=2.0), control)
    assert control.should_evaluate


def test_before_training_and_after_the_last_save_a_signal_ends_the_process_at_once():
    def before() -> None:
        with Preemption():
            send(signal.SIGTERM)
            time.sleep(5)

    def after() -> None:
        with training() as callback:
            send(signal.SIGTERM)
            callback.finish()

    def late() -> None:
        with training() as callback:
            callback.finish()
            send(signal.SIGUSR1)
            time.sleep(5)

    assert [ended(work) for work in (before, after, late)] == [PREEMPTED] * 3


def test_the_second_sigterm_kills_but_its_echo_does_not(monkeypatch):
    def twice() -> None:
        with training():
            send(signal.SIGTERM)
            send(signal.SIGTERM)

    assert ended(twice) == 0
    monkeypatch.setattr(preemption, "_ECHO_S", -1.0)
    assert ended(twice) == -signal.SIGTERM


def test_a_forked_process_dies_of_sigterm_and_takes_no_notice_of_sigusr1():
    with training() as callback:
        assert ended(lambda: send(signal.SIGTERM)) == -signal.SIGTERM
        assert ended(lambda: send(signal.SIGUSR1)) == 0
        callback.on_step_end(ARGS, TrainerState(), TrainerControl())
    assert not callback.agreed


def test_a_signal_to_the_process_group_does_not_reach_forked_processes():
    def work() -> None:
        os.setsid()
        with training() as callback:
            if not (worker := os.fork()):
                time.sleep(60)
                os._exit(0)
            time.sleep(0.2)
            os.killpg(0, signal.SIGTERM)
            time.sleep(0.2)
            control = TrainerControl()
            callback.on_step_end(ARGS, TrainerState(), control)
            alive = os.waitpid(worker, os.WNOHANG) == (0, 0)
            os.kill(worker, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM
            raise SystemExit(77 if alive and control.should_save else 78)

    assert ended(work) == 77


def test_earlier_handlers_come_back(monkeypatch):
    def mine(number: int, frame: object) -> None: ...

    earlier = signal.signal(signal.SIGUSR1, mine)
    try:
        with Preemption():
            assert signal.getsignal(signal.SIGUSR1) != mine
        assert signal.getsignal(signal.SIGUSR1) == mine
    finally:
        signal.signal(signal.SIGUSR1, earlier)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_run_that_saves_nothing_leaves_at_the_end_of_the_step():
    def work() -> None:
        with training() as callback:
            send(signal.SIGTERM)
            callback.on_step_end(SimpleNamespace(save_strategy="no"), TrainerState(), TrainerControl())

    assert ended(work) == PREEMPTED
