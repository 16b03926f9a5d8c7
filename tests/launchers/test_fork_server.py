"""Jobs forked from a server behave as processes started afresh, and none of them outlives its server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hydra
import psutil
import pytest
from hydra_plugins.qvl_torchrun_launcher._fork_server import PER_JOB, CannotFork, ForkedJob, ForkServer
from hydra_plugins.qvl_torchrun_launcher._job_file import job_text
from hydra_plugins.qvl_torchrun_launcher._processes import (
    Command,
    JobProcess,
    new_token,
    processes_of,
    start,
    worker_argv,
)
from omegaconf import DictConfig

_TOYS = {
    "toy_runner": """
        import atexit, json, os, signal, sys, time
        atexit.register(lambda: print("atexit ran"))

        def run(path, parent_death):
            job = json.loads(path.read_text())
            return globals()[job["do"]](path)

        def end(path): return json.loads(path.read_text())["code"]
        def fail(path): raise ValueError("boom")
        def leave(path): sys.exit(75)
        def save(path):
            def end(*_):
                path.with_suffix(".saved").touch()
                sys.exit(75)
            signal.signal(signal.SIGTERM, end)
            return sleep(path)

        def sleep(path):
            child = os.fork()
            if child:
                print("sleeps", flush=True)
                path.with_suffix(".child").write_text(str(child))
            time.sleep(60)
            return 0

        def look(path):
            import random, warnings
            found = {
                "env": dict(os.environ), "argv": sys.argv, "orig_argv": sys.orig_argv, "cwd": os.getcwd(),
                "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(),
                "random": random.random(),
                "handlers": [int(s) for s in signal.valid_signals() if callable(signal.getsignal(s))],
                "descriptors": sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                                      if os.path.exists(f"/proc/self/fd/{n}")),
                "numpy": float(sys.modules["numpy"].random.random()) if "numpy" in sys.modules else None,
            }
            path.with_suffix(".found").write_text(json.dumps(found))
            print("looked")
            return 0
    """,
    "toy_slow": "import time; time.sleep(0.4)",
    "toy_setter": 'import os; os.environ.setdefault("SET_BY_IMPORT", "1"); os.environ["TRITON_CACHE_DIR"] = "import"',
    "toy_thread": "import threading as t; t.Thread(target=t.Event().wait, name='toy', daemon=True).start()",
    "toy_native": "import _thread, time; _thread.start_new_thread(time.sleep, (60,))",
    "torch": "class cuda: is_initialized = staticmethod(lambda: True)",
}


def _environment(folder: Path, **more: str) -> dict[str, str]:
    paths = [str(folder), str(Path(__file__).parents[2] / "launchers")]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths), **more}


class Desk:
    """A fork server for toy jobs in a folder."""

    def __init__(self, folder: Path, *modules: str, runner: str = "toy_runner:run", **env: str) -> None:
        self.folder = folder
        self.env = _environment(folder, **env)
        self.server = ForkServer(modules, self.env, folder / "server.log", runner=runner)
        self.count = 0

    def start(
        self, do: str, *, token: str | None = None, env: Mapping[str, str] | None = None, **keys: int
    ) -> ForkedJob:
        self.count += 1
        path = self.folder / f"{self.count}.json"
        path.write_text(json.dumps({"do": do, **keys}))
        argv = ("python", "-m", "toy_runner", str(path))
        command = Command(argv, env or self.env, path.with_suffix(".log"), token or f"token-{self.count}")
        return self.server.start(command, path)

    def found(self, number: int) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / f"{number}.found").read_text())
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    for name, text in _TOYS.items():
        lines = text.splitlines()
        (tmp_path / f"{name}.py").write_text("\n".join(line.removeprefix("        ") for line in lines))
    desks: list[Desk] = []

    def make(*modules: str, **keys: str) -> Desk:
        desks.append(Desk(tmp_path, *modules, **keys))
        return desks[-1]

    yield make
    for made in desks:
        made.server.close()


def _wait(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def _code(job: JobProcess) -> int:
    _wait(lambda: job.poll() is not None)
    code = job.poll()
    assert code is not None
    return code


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # nobody reaps orphans in some containers
    except psutil.NoSuchProcess:
        return True


def _server_pid(job: ForkedJob) -> int:
    return psutil.Process(job.pid).ppid()


def test_exit_codes(desk: Callable[..., Desk]) -> None:
    d = desk()
    jobs = [d.start("end", code=0), d.start("end", code=3), d.start("fail"), d.start("leave")]
    assert [_code(job) for job in jobs] == [0, 3, 1, 75]
    assert len({job.pid for job in jobs}) == 4
    log = (d.folder / "3.log").read_text()
    assert "ValueError: boom" in log and log.endswith("atexit ran\n")
    assert (d.folder / "1.log").read_text() == "atexit ran\n"


def test_a_job_that_ends_before_the_answer_is_read(desk: Callable[..., Desk]) -> None:
    d = desk()
    assert [_code(d.start("end", code=number)) for number in range(20)] == list(range(20))


def test_nothing_waits_for_imports(desk: Callable[..., Desk]) -> None:
    d = desk("toy_slow")
    start = time.monotonic()
    assert not d.server.ready()
    assert time.monotonic() - start < 0.2
    _wait(d.server.ready)
    assert time.monotonic() - start >= 0.4


def test_killed_and_signalled_jobs(desk: Callable[..., Desk]) -> None:
    d = desk()
    killed, asked, other = d.start("sleep"), d.start("sleep"), d.start("sleep")
    assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    asked.send(signal.SIGTERM)
    assert [_code(killed), _code(asked)] == [-signal.SIGKILL, -signal.SIGTERM]
    _wait(lambda: not processes_of(killed.token) and not processes_of(asked.token))  # nor their children
    assert other.poll() is None
    asked.send(signal.SIGTERM)  # has ended: nothing to do


def test_no_zombies(desk: Callable[..., Desk]) -> None:
    d = desk()
    running = d.start("sleep")
    for job in [d.start("end", code=0) for _ in range(5)]:
        _code(job)
    assert [child.pid for child in psutil.Process(_server_pid(running)).children()] == [running.pid]


def test_a_dead_server_takes_its_jobs_along(desk: Callable[..., Desk]) -> None:
    d = desk()
    jobs = [d.start("sleep"), d.start("sleep")]
    ended = d.start("end", code=4)
    assert _code(ended) == 4
    children = [d.folder / "1.child", d.folder / "2.child"]
    _wait(lambda: all(path.exists() and path.read_text() for path in children))
    os.kill(_server_pid(jobs[0]), signal.SIGKILL)
    assert [_code(job) for job in jobs] == [-signal.SIGKILL, -signal.SIGKILL]
    assert ended.poll() == 4
    _wait(lambda: all(_is_gone(pid) for pid in [*(job.pid for job in jobs), *(int(p.read_text()) for p in children)]))
    with pytest.raises(CannotFork, match=r"ended with code -9, see .*server\.log"):
        d.start("end", code=0)


def test_close_leaves_nothing(desk: Callable[..., Desk]) -> None:
    d = desk()
    job = d.start("sleep")
    server, child = _server_pid(job), d.folder / "1.child"
    _wait(lambda: child.exists() and child.read_text())
    d.server.close()
    assert all(_is_gone(pid) for pid in (job.pid, server))
    assert job.poll() == -signal.SIGKILL
    _wait(lambda: _is_gone(int(child.read_text())))
    d.server.close()
    with pytest.raises(CannotFork):
        d.server.ready()


def test_a_killed_launcher_leaves_nothing(desk: Callable[..., Desk]) -> None:
    d = desk()
    script = d.folder / "launcher.py"
    script.write_text(
        "import os, sys, time, pathlib\n"
        "from hydra_plugins.qvl_torchrun_launcher._fork_server import ForkServer\n"
        "from hydra_plugins.qvl_torchrun_launcher._processes import Command\n"
        "here = pathlib.Path(sys.argv[1]); job = here / 'job.json'; job.write_text('{\"do\": \"save\"}')\n"
        "server = ForkServer([], dict(os.environ), here / 'server.log', runner='toy_runner:run')\n"
        "print(server.start(Command((), dict(os.environ), here / 'job.log', 't'), job).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, script, d.folder], env=d.env, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        pid = int(launcher.stdout.readline())
        server, child = psutil.Process(pid).ppid(), d.folder / "job.child"
        _wait(lambda: child.exists() and child.read_text())
        launcher.kill()
    _wait(lambda: all(_is_gone(number) for number in (server, pid, int(child.read_text()))), seconds=3.0)
    assert (d.folder / "job.saved").exists()  # it was asked first


def test_a_module_that_cannot_be_imported(desk: Callable[..., Desk]) -> None:
    d = desk("toy_missing")
    with pytest.raises(
        CannotFork, match=r"fork server: ModuleNotFoundError: No module named 'toy_missing', see .*server\.log"
    ):
        d.start("end", code=0)
    with pytest.raises(CannotFork, match="toy_missing"):
        d.server.ready()


def test_a_server_that_does_not_answer(desk: Callable[..., Desk]) -> None:
    d = desk("toy_slow")
    d.server.timeout_s = 0.1
    with pytest.raises(CannotFork, match=r"no answer in 0\.1 s"):
        d.start("end", code=0)


@pytest.mark.parametrize(
    ("module", "reason"), [("toy_thread", "threads running: toy"), ("toy_native", "native thread"), ("torch", "CUDA")]
)
def test_what_does_not_survive_a_fork(desk: Callable[..., Desk], module: str, reason: str) -> None:
    with pytest.raises(CannotFork, match=reason):
        desk(module).start("end", code=0)


def test_variables_that_imports_may_have_read(desk: Callable[..., Desk]) -> None:
    d = desk(HF_HOME="/a", SECRET="hidden")
    with pytest.raises(CannotFork, match=r"other values of HF_HOME, OMP_NUM_THREADS, SECRET$"):
        d.start("end", code=0, env={**d.env, "HF_HOME": "/b", "OMP_NUM_THREADS": "2", "SECRET": "other"})
    with pytest.raises(CannotFork, match="token must be"):
        d.start("end", code=0, token="x" * 129)
    assert _code(d.start("end", code=0, env={**d.env, "CUDA_VISIBLE_DEVICES": "3"})) == 0


def test_environment_of_a_job(desk: Callable[..., Desk]) -> None:
    d = desk("toy_setter", CUDA_VISIBLE_DEVICES="0", ODD="\udcff")
    server = _server_pid(d.start("sleep"))
    for devices in ("0", "1"):
        env = {**d.env, "CUDA_VISIBLE_DEVICES": devices}
        assert _code(d.start("look", env=env if devices == "0" else {**env, "TRITON_CACHE_DIR": "/own"})) == 0
        found = d.found(d.count)
        cache = {"TRITON_CACHE_DIR": "import" if devices == "0" else "/own"}
        ours = {key: value for key, value in found["env"].items() if key != "LC_CTYPE"}  # type: ignore[attr-defined]
        assert ours.pop("LAUNCHER_PARENT_PID") == str(server)
        assert ours == {**env, **cache, "LAUNCHER_JOB_TOKEN": f"token-{d.count}", "SET_BY_IMPORT": "1"}


def test_state_of_a_job_is_that_of_a_fresh_process(desk: Callable[..., Desk]) -> None:
    d = desk("numpy", OMP_NUM_THREADS="2")
    others = d.start("sleep")
    assert [_code(d.start("look")), _code(d.start("look"))] == [0, 0]
    first, second = d.found(2), d.found(3)
    assert others.poll() is None
    assert first["session"] and first["group"]
    assert first["handlers"] == [signal.SIGINT]
    assert first["argv"] == [str(d.folder / "toy_runner.py"), str(d.folder / "2.json")]
    assert first["orig_argv"] == ["python", "-m", "toy_runner", str(d.folder / "2.json")]
    assert first["cwd"] == os.getcwd()
    assert first["descriptors"] == sorted(["/dev/null", *[str(d.folder / "2.log")] * 2])
    assert first["random"] != second["random"] and first["numpy"] != second["numpy"]
    assert (d.folder / "2.log").read_text() == "looked\natexit ran\n"


def test_jobs_and_their_children_are_found_by_token(desk: Callable[..., Desk]) -> None:
    d = desk()
    tokens = ["short", "x" * 128]
    jobs = [d.start("sleep", token=token) for token in tokens]
    for number, (job, token) in enumerate(zip(jobs, tokens, strict=True), start=1):
        child = d.folder / f"{number}.child"
        _wait(lambda child=child: child.exists() and child.read_text())
        for pid in (job.pid, int(child.read_text())):
            environ = psutil.Process(pid).environ()
            assert environ["LAUNCHER_JOB_TOKEN"] == token
            assert environ["PYTHONPATH"] == d.env["PYTHONPATH"]
    assert psutil.Process(_server_pid(jobs[0])).environ()["LAUNCHER_JOB_TOKEN"] not in tokens


def _task(cfg: DictConfig) -> dict[str, object]:
    from hydra.core.hydra_config import HydraConfig

    return {"value": cfg.value, "name": HydraConfig.get().job.name, "threads": os.environ["OMP_NUM_THREADS"]}


def test_a_job_of_the_launcher_ends_as_a_fresh_process_does(tmp_path: Path) -> None:
    with hydra.initialize(version_base="1.3", config_path=None):
        config = hydra.compose(
            overrides=["+value=3", "hydra.job.name=toy", f"hydra.runtime.output_dir={tmp_path}"],
            return_hydra_config=True,
        )
    env = _environment(Path(__file__).parent, OMP_NUM_THREADS="3")
    commands = []
    for name in ("fresh", "forked", "failing"):
        path = tmp_path / name / "job.yaml"
        path.parent.mkdir()
        path.write_text(job_text(f"{Path(__file__).stem}:{'_task' if name != 'failing' else 'missing'}", config))
        commands.append(Command(worker_argv(path), env, tmp_path / name / "launcher.log", new_token("0" * 16)))
    server = ForkServer(["pytest", "gc:collect"], env, tmp_path / "server.log")
    try:
        jobs = [start(commands[0]), *(server.start(command, Path(command.argv[-1])) for command in commands[1:])]
        assert [_code(job) for job in jobs] == [0, 0, 1], (tmp_path / "forked" / "launcher.log").read_text()
    finally:
        server.close()
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("fresh", "forked")]
    assert results[0] == results[1]
    assert results[1]["return_value"] == {"value": 3, "name": "toy", "threads": "3"}
    assert "AttributeError" in (tmp_path / "failing" / "launcher.log").read_text()
    assert (tmp_path / "failing" / "error.json").exists()


@pytest.mark.slow
def test_numbers_of_torch_are_those_of_a_fresh_process(tmp_path: Path) -> None:
    (tmp_path / "toy_train.py").write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "def run(path, parent_death=None):\n"
        "    import torch\n"
        "    first = torch.initial_seed()\n"
        "    torch.manual_seed(3)\n"
        "    layer, data = torch.nn.Linear(300, 300), torch.randn(200, 300)\n"
        "    optimizer = torch.optim.AdamW(layer.parameters())\n"
        "    for _ in range(3):\n"
        "        optimizer.zero_grad(); layer(data).square().mean().backward(); optimizer.step()\n"
        "    numbers = [first, torch.get_num_threads(), layer.weight.double().sum().item(), layer.bias.tolist()]\n"
        "    Path(path).with_suffix('.found').write_text(json.dumps(numbers))\n"
        "    return 0\n"
        "if __name__ == '__main__': run(Path(sys.argv[1]))\n"
    )
    d = Desk(tmp_path, "torch", "pyarrow", runner="toy_train:run", OMP_NUM_THREADS="2")
    try:
        jobs = [d.start("train"), d.start("train")]
        assert [_code(job) for job in jobs] == [0, 0]
    finally:
        d.server.close()
    subprocess.run([sys.executable, "-m", "toy_train", tmp_path / "fresh.json"], env=d.env, check=True)
    fresh, *forked = (json.loads((tmp_path / f"{name}.found").read_text()) for name in ("fresh", 1, 2))
    assert forked[0][1:] == forked[1][1:] == fresh[1:]
    assert len({fresh[0], forked[0][0], forked[1][0]}) == 3  # without a seed, each process draws its own


@pytest.mark.slow
@pytest.mark.swift
def test_imports_do_not_read_what_differs_from_job_to_job() -> None:
    script = (
        "import json, os\n"
        "read, kind = set(), type(os.environ)\n"
        "get = kind.__getitem__\n"
        "kind.__getitem__ = lambda self, name: read.add(name) or get(self, name)\n"
        "import swift.infer_engine.transformers_engine, swift.pipelines.train.sft, swift.trainers.seq2seq_trainer\n"
        "import qvl.callbacks, qvl.inference, qvl.training\n"
        "print(json.dumps(sorted(read)))\n"
    )
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # some look at all there are
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=bare)
    read = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"HF_HOME", "LOG_LEVEL", "LOCAL_RANK"} <= read  # jobs that differ in these get a fresh process
    assert read & PER_JOB <= {"TORCHINDUCTOR_CACHE_DIR"}  # which torch only sets if it is missing
