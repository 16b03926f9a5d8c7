"""The measurements on a GPU run on a CPU too, with a tiny model, so that they work on the day when there is one."""

from __future__ import annotations

import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

GPU = Path(__file__).parent / "gpu"
SCRIPTS = ("real_shapes", "step_grid", "memory", "nccl", "loop_data", "whole_loop", "fork_server", "wheels", "run_all")


@pytest.fixture
def script(monkeypatch):
    """Imports a script, and forgets it again."""
    monkeypatch.syspath_prepend(str(GPU))

    def load(name: str):
        return importlib.import_module(name)

    yield load
    for name in (*SCRIPTS, "side_by_side"):
        sys.modules.pop(name, None)


@pytest.fixture
def measured(script, monkeypatch, tmp_path):
    """Runs the main function of a script and returns what it wrote."""

    def run(name: str, *words: str, out: str = "", **options: object) -> dict:
        argv = [name, "--device", "cpu", "--size", "tiny", "--out", str(tmp_path), *words]
        monkeypatch.setattr(sys, "argv", argv)
        script(name).main(**options)
        return json.loads((tmp_path / f"{out or name}.json").read_text())

    return run


@pytest.mark.slow
def test_a_grid_of_steps_is_measured(script, measured, monkeypatch):
    monkeypatch.setattr(script("step_grid"), "TINY_CELLS", [(1, False, True), (2, True, False)])
    told = measured("step_grid")
    assert [(row["stage"], row["turns"], row["recompute"]) for row in told["rows"]] == [
        (2, 1, False),
        (2, 2, True),
        (1, 1, False),
        (1, 2, True),
    ]
    assert all(row["samples_s"] > 0 for row in told["rows"])
    assert told["ceiling_tflops"] > 0
    assert measured("step_grid", "--seconds", "0")["missing"][0] == "tiny stage 2 (1, False, True)"


@pytest.mark.slow
def test_the_models_of_the_grid_run_their_encoder_backward_only_when_it_is_not_cut_off(script):
    shapes = script("real_shapes")
    tuned, batch = shapes.tune(shapes.build_model("tiny", "cpu"), 2), shapes.make_batch("tiny", 2, "cpu")
    backward = []
    for block in tuned.model.get_base_model().model.visual.blocks:
        block.register_full_backward_hook(lambda *_: backward.append(1))
    for cut, count in ((True, 0), (False, 4)):
        backward.clear()
        with shapes.mode(tuned, checkpointing=True, cut=cut):
            shapes.train_step(tuned, "tiny", batch)
        assert len(backward) == count
    assert tuned.optimizer.state  # something was trained


@pytest.mark.slow
def test_memory_is_told_by_part(measured):
    told = measured("memory")
    assert len(told["rows"]) == 8
    for row in told["rows"]:
        assert row["weights"] > row["gradients"] > 0
        assert row["optimizer"] > row["gradients"]
        assert row["peak"] is None
    assert "peaks: they are those of a GPU" in told["missing"]


@pytest.mark.slow
def test_processes_are_compared_where_there_are_several_and_named_where_not(script, measured, monkeypatch, tmp_path):
    nccl = script("nccl")
    monkeypatch.setattr(sys, "argv", ["nccl", "--out", str(tmp_path)])
    if not importlib.import_module("torch").cuda.is_available():
        nccl.main()
        assert "needs 2 GPUs" in json.loads((tmp_path / "nccl.json").read_text())["missing"][0]
    monkeypatch.setattr(nccl, "PROCESSES", 1)
    monkeypatch.setattr("torch.multiprocessing.spawn", lambda work, args, nprocs: work(0, *args))
    (row,) = measured("nccl")["rows"]
    assert row["numbers"] > 0
    assert min(row["alone_ms"], row["together_ms"], row["all_reduce_ms"]) > 0


@pytest.mark.slow
@pytest.mark.swift
def test_whole_trainings_take_turns_with_plain_ms_swift(script, measured, forked, monkeypatch):
    monkeypatch.setattr(script("loop_data"), "ProcessPoolExecutor", ThreadPoolExecutor)
    seen = []

    def start(folder, words, environ):
        seen.append(words)
        done = forked("arm", *words, cwd=folder, PYTHONPATH=str(GPU), **environ)
        assert done.codes == [0], done.output[-3000:]

    told = measured("whole_loop", "--rows", "ragged", out="whole_loop_ragged", start=start)
    assert [row["arm"] for row in told["rows"]] == ["qvl", "swift defaults", "swift equal flags"]
    for row in told["rows"]:
        assert row["samples_s"] > 0
        assert 0 < row["data_wait"] < 1
        assert 0 < row["first_step_s"] < row["seconds"]
    assert told["qvl / swift defaults"] == pytest.approx(told["rows"][0]["samples_s"] / told["rows"][1]["samples_s"])
    flags = [dict(zip(words[2::2], words[3::2], strict=False)) for words in seen]
    assert flags[2].keys() > flags[1].keys()
    assert flags[2]["--gradient_checkpointing"] == "false"  # as the built-in model has it


@pytest.mark.slow
def test_jobs_of_the_fork_server_are_timed_to_their_first_step(measured):
    (row,) = measured("fork_server", "--ways", "forked", "--jobs", "1")["rows"]
    assert 0 < row["first_step_s"] < row["sweep_s"]


def test_all_scripts_run_in_time_and_what_was_not_measured_is_named(script, monkeypatch, tmp_path, capsys):
    run_all = script("run_all")
    assert sum(part.seconds for part in run_all.PARTS) <= 12 * 60
    assert max(part.seconds for part in run_all.PARTS) < 4 * 60
    assert all((GPU / part.words[0]).is_file() for part in run_all.PARTS)
    (tmp_path / "good.py").write_text(
        "import json, sys\nout = sys.argv[sys.argv.index('--out') + 1]\n"
        "open(out + '/good.json', 'w').write(json.dumps({'missing': ['8b']}))"
    )
    (tmp_path / "bad.py").write_text("raise SystemExit(3)")
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    parts = [run_all.Part(name, (f"{name}.py",), 1 if name == "slow" else 20) for name in ("bad", "slow", "good")]
    begin = time.monotonic()
    assert run_all.run(parts, ("--out", str(tmp_path)), tmp_path) == 1
    assert time.monotonic() - begin < 30
    missing = ["bad: exit code 3", "slow: ended after 1 s", "good: 8b"]
    assert json.loads((tmp_path / "run_all.json").read_text())["missing"] == missing
    assert "- slow: ended after 1 s" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "cause"), [([], "no GPU"), (["--only", "step_gird"], "there is no step_gird")])
def test_nothing_starts_where_it_cannot_be_measured(script, monkeypatch, capsys, words, cause):
    run_all = script("run_all")
    monkeypatch.setattr(run_all, "has_gpu", lambda: False)
    monkeypatch.setattr(sys, "argv", ["run_all", *words])
    with pytest.raises(SystemExit):
        run_all.main()
    assert cause in capsys.readouterr().err


def test_wheels_are_those_that_the_machine_lacks_and_their_size_is_checked(script, monkeypatch, tmp_path, capsys):
    wheels = script("wheels")
    monkeypatch.setattr(wheels, "imported_modules", lambda: ["numpy", "yaml", "defusedxml", "qvl"])
    have = tmp_path / "have.txt"
    have.write_text("Package Version\n------- -------\nnumpy 2.5\nhydra_core 1.3\nPyYAML 6.0\n")
    monkeypatch.setattr(sys, "argv", ["wheels", str(tmp_path / "to"), "--have", str(have), "--list"])
    assert wheels.main() == 0
    listed = {line.partition("==")[0] for line in capsys.readouterr().out.splitlines()}
    assert {"defusedxml", "omegaconf", "antlr4-python3-runtime"} <= listed
    assert not {"numpy", "hydra-core", "pyyaml", "qvl"} & listed

    def fetch(pinned: str, folder: Path, *, python: str) -> bool:
        (folder / f"{pinned.partition('==')[0]}.whl").write_bytes(bytes(100))
        return python == "3.12"

    monkeypatch.setattr(wheels, "fetch", fetch)
    names = ["omegaconf", "defusedxml"]
    assert wheels.collect(names, tmp_path / "to", python="3.12") == 0
    assert wheels.collect(names, tmp_path / "to", python="3.13") == 1
    monkeypatch.setattr(wheels, "MOST_BYTES", 150)
    assert wheels.collect(names, tmp_path / "to", python="3.12") == 1
