"""What a user reads after a mistake: place, key, what came, what was meant; and nothing was started or written."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qvl.command import run
from qvl.errors import ConfigError, RecordError
from qvl.schema import RETIRED, RETIRED_SECTIONS, ConfigFiles, TrainConfig, advice, config_dir, nearest

HEADER = "# @package _global_\n# python -m qvl.train +recipe=mine\n"
Outcome = tuple[int, str]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Type a command in an empty folder; the answer is its exit status and what it wrote to stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # the CPU by name: a machine without a GPU has a note otherwise

    def main(cfg: object) -> None:
        raise AssertionError("the verb started")

    def typed(*argv: str, verb: Callable[..., object] = main) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["qvl-train", *argv])
        with pytest.raises(SystemExit) as stop:
            run(verb, config_name="train", schema=TrainConfig)
        return int(str(stop.value.code)), capsys.readouterr().err

    return typed


BEST = "training.metric_for_best_model=detection/f1_50"

TYPED = {
    # unknown keys
    "training.lerning_rate=1": "there is no key training.lerning_rate; did you mean training.learning_rate?",
    "+training.lerning_rate=1": "there is no key training.lerning_rate; did you mean training.learning_rate?",
    "++training.lerning_rate=1": "there is no key training.lerning_rate; did you mean training.learning_rate?",
    "learning_rate=1": "did you mean training.learning_rate?",
    "data.train.limt=2": "did you mean data.train.limit?",
    "+data.train.limt=2": "qvl.data.JsonlDataset takes no limt; did you mean limit?",
    "modle=tiny": "there is no key modle; did you mean model?",
    "+zzz=1": "there is no key zzz; there are: augment_prob",
    "+tuner.zzz=1": "there is no key tuner.zzz; there are: freeze_aligner",
    "training.zzz.yyy=1": "there is no key training.zzz",
    "hydra.run.dri=x": "there is no key hydra.run.dri",
    # groups
    "model=tinny": "there is no model=tinny; did you mean tiny? (model: qwen3_vl_2b,",
    "recipe=stage2_lra": "there is no recipe=stage2_lra; did you mean stage2_lora?",
    "debug=qqq": "there is no debug=qqq (debug: fast, overfit, plan, profile, show_prompt)",
    "recipe=stage1_aligner +recipe=stage2_lora": "recipe is given 2 times (recipe=stage1_aligner, +recipe=stage2_lora)",
    "debug=fast debug=overfit": "debug is given 2 times",
    "+model=tiny": "model is chosen more than once",
    "training=3": "a choice of a group is a name",
    "~model": "model: nothing is chosen; add model=NAME, one of: qwen3_vl_2b",
    # values
    "training.learning_rate=fast": "training.learning_rate=fast: expected a number, got 'fast'",
    "training.max_steps=1.5": "expected a whole number, got '1.5'",
    "tuner.freeze_vit=maybe": "expected true or false, got 'maybe'",
    "tuner.target_modules=3": "expected a list",
    "model.path=null": "null is not allowed here",
    "model.path.x=1": "expected a text",
    "seed=": "expected a whole number, got ''",
    "~seed": "seed: has no value",
    "seed=-1": "seed: -1 is out of range, it has to be from 0 to",
    "training.learning_rate=nan": "training.learning_rate: nan is out of range",
    "training.learning_rate=inf": "training.learning_rate: inf is out of range",
    "augment_prob=25": "augment_prob: 25.0 is out of range, it has to be from 0 to 1",
    "data.images_per_user_turn=0": "data.images_per_user_turn: 0 is out of range, it has to be at least 1",
    "data.emit_norm=norm10": "'norm10' is not one of none, norm100, norm1000; did you mean norm100?",
    "training.save_strategy=bets": "'bets' is not one of steps, epoch, best, no; did you mean best?",
    "training.save_strategy=false": 'write "no" in quotes',
    "run_name=a/b": "run_name: 'a/b' is no folder name",
    "run_name=..": "run_name: '..' is no folder name",
    "data.train=null": "data.train: has to be a node with a _target_",
    "+callbacks.mine=1": "callbacks.mine: has to be a node with a _target_",
    "data.prepare=null": "conf/data/demo.yaml:13: data.train.path: ${data.prepare.root} has no value",
    # combinations
    "training.effective_batch_size=33": "training.effective_batch_size: 33 is not a multiple",
    "model.min_pixels=100000": "model.min_pixels: 100000 is more than max_pixels, 65536",
    "tuner=full tuner.use_dora=true": "tuner.use_dora: means nothing to tuner_type full",
    "tuner=full tuner.modules_to_save=[a]": "tuner.modules_to_save: means nothing to tuner_type full",
    "tuner=full tuner.target_parameters=[a]": "tuner.target_parameters: means nothing to tuner_type full",
    "tuner.target_parameters=[a]": "tuner.lora_dropout: 0.1 needs the inputs of a layer, target_parameters has weights",
    "deepspeed=zero3 tuner.lora_dropout=0 tuner.target_parameters=[a]": "PEFT needs the weights in one piece",
    "tuner=dora tuner.lora_dropout=0 tuner.target_parameters=[a]": "tuner.use_dora: needs layers",
    "tuner=aligner_full tuner.freeze_aligner=true": "leave nothing to train",
    "tuner.target_modules=[]": "tuner.target_modules: is empty",
    "tuner.freeze_llm=true tuner.modules_to_save=[]": "leave nothing to adapt",
    "training.num_train_epochs=0": "there is no step to train",
    "training.max_steps=0": "there is no step to train",
    "training.save_strategy=best training.eval_strategy=no": "best needs an evaluation",
    "training.metric_for_best_model=f1": "metric_for_best_model: 'f1' is no score; there are loss, detection/f1_50,",
    "training.metric_for_best_model=eval_detection/count_bias": "detection/count_bias is best at 0",
    "training.metric_for_best_model=detection/fault/not_json": "is not measured in every evaluation of a training",
    "training.metric_for_best_model=detection/ap_masks": "add masks to evaluation.average_precision",
    f"{BEST} evaluation.every_steps=0": "every_steps: has to be at least 1, to know the best detection/f1_50",
    f"{BEST} evaluation.num_samples=0": "evaluation.num_samples: has to be at least 1, to know the best",
    f"{BEST} training.lr_scheduler_type=reduce_lr_on_plateau": "follows loss or token_acc, not detection/f1_50",
    f"{BEST} evaluation.every_steps=150": "evaluation.every_steps: has to be a multiple of training.save_steps, 100",
    f"{BEST} training.save_strategy=epoch": "training.save_strategy: has to be steps or best, to keep the best",
    "optimized_metric=parse_rate": "optimized_metric: 'parse_rate' is no score",
    "optimized_metric=summary/f1 evaluation.num_samples=0": "summary/f1 is not measured with evaluation.num_samples=0",
    "training.load_best_model_at_end=true training.save_strategy=epoch": "has to equal eval_strategy, steps",
    "training.load_best_model_at_end=true training.save_steps=150": "has to be a multiple of eval_steps, 100",
    "training.extra.learning_rate=1": "extra.learning_rate: has a place of its own; use training.learning_rate",
    "training.extra.seed=1": "use seed",
    "training.extra.packing=true": "training.extra.packing: is retired: batches are padded",
    "training.extra.greater_is_better=true": "training.extra.greater_is_better: is retired: the direction follows",
    "training.extra.external_plugins=[x.py]": "is refused: it runs a file of Python",
    "training.extra.label_smoothing_factor=0.1": "is refused: ms-swift would compare the prediction of each token with",
    "training.extra.group_by_length=true": "has a place of its own; use data.batching=grouped",
    "training.extra.padding_free=true": "is refused: batches are padded, rows are never joined",
    "training.extra.lora_dtype=bfloat16": "is refused: adapters are float32 while they are trained",
    "training.extra.torch_compile=true": "has a place of its own; use training.torch_compile",
    "training.extra.streaming=true": "streaming: is not among the arguments that can be given here: adam_beta1, adam",
    "training.extra.neftune_nois_alpha=5": "did you mean neftune_noise_alpha?",
    "training.extra.neftune_noise_alpha=-1": "neftune_noise_alpha: -1 cannot be used, it has to be a number from 0",
    "training.extra.adam_beta1=2": "2 cannot be used, it has to be a number from 0 to 0.9999",
    "training.extra.optim=adamw_8bit": "'adamw_8bit' cannot be used, it has to be one of adamw_torch_fused",
    "training.extra.warmup_steps=5": "warmup_steps: needs training.warmup_ratio=0, it is 0.05",
    "training.extra.dataloader_prefetch_factor=2": "needs training.dataloader_num_workers of at least 1",
    "training.extra.torch_compile_backend=eager": "needs training.torch_compile=true",
    "tuner=full training.extra.use_rslora=true": "use_rslora: means nothing to tuner_type full",
    # what is left open
    "data=jsonl": "data.train.path: has no value (JSONL file of the rows to train on); add data.train.path=VALUE",
    # retired
    "training.greater_is_better=true": "is retired: the direction follows from the name in training.metric_for_best",
    "training.packing=true": "training.packing is retired: batches are padded, rows are never packed; delete the key",
    "custom.hard_sample_mining=true": "custom.hard_sample_mining is retired: it brought no measurable gain",
    "++custom.hard_sample_mining=true": "custom is retired",
    "custom.zzz=1": "custom.zzz is retired: its keys are at home in",
    "extends=base.yaml": "extends is retired: a file builds on others by its `defaults` list",
    "train_type=lora": "use tuner.tuner_type",
    "deepspeed.enabled=true": "choose deepspeed=none, deepspeed=zero2 or deepspeed=zero3",
    "augment=light": "augment is retired: the group is called augmentation",
    # grammar
    "seed = 1": "'seed' is no setting; write key=value",
    "seed": "'seed' is no setting",
    "run_name=a(b": "put the value in quotes: \"run_name='a(b'\"",
    "prompts.user=数一数": "put the value in quotes: \"prompts.user='数一数'\"",
    "seed=1,2 hydra.mode=RUN": "seed has several values (1,2); add -m",
    "seed=range(1,3) hydra.run.dir=x": "add -m",
    "hydra/launcher=a100x8_2x5": "there is no hydra/launcher=a100x8_2x5",
    "hydra.launcher.gpus_per_jop=2": "hydra.launcher",
    "hydra.launcher.on_failure=never": "hydra.launcher.on_failure is 'never', expected raise_at_end, stop, continue",
    "+data.val=null": "data.val is there already; leave the + out",
    "~training.zzz": "there is no key training.zzz",
    # options
    "--config x.yaml": "there is no option --config: a recipe is chosen as recipe=NAME",
    "--base_config=x.yaml": "there is no option --base_config",
    "--debug": "add debug=fast",
    "--config-path conf": "there is no option --config-path: --config-dir FOLDER adds",
    "--experimental-rerun x": "it would load a pickle",
    "--config-dir nowhere": "--config-dir nowhere: there is no such folder",
    "--config-name tran": "there is no tran",
    # targets
    "data.train._target_=os.system": "data.train._target_: 'os.system' is refused before import",
    "+callbacks.x._target_=os.system": "callbacks.x._target_: 'os.system' is refused before import",
    "trusted_targets=os.system": "expected a list",
}


@pytest.mark.parametrize("line", TYPED)
def test_a_mistake_on_the_command_line_is_told_in_short_words(
    line: str, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    status, text = command(*line.split(" "))
    assert TYPED[line] in text
    assert status == 2
    assert text.startswith("error: ")
    assert len(text.splitlines()) <= 3
    assert "Traceback" not in text
    assert "append to your" not in text, "Hydra's advice to write + is bad advice"
    assert list(tmp_path.iterdir()) == []


FILES = {
    "training:\n  lerning_rate: 1\n": "mine.yaml:4: there is no key training.lerning_rate; did you mean training.l",
    "lerning_rate: 1\n": "mine.yaml:3: there is no key lerning_rate; did you mean training.learning_rate?",
    "training:\n  learning_rate: fast\n": "mine.yaml:4: training.learning_rate: expected a number, got 'fast'",
    "training:\n  packing: true\n": "mine.yaml:4: training.packing is retired",
    "inherit: base.yaml\n": "mine.yaml:3: inherit is retired",
    "tuner: full\n": "mine.yaml: 'full' stands where keys belong; a group is chosen in `defaults`",
    "data:\n  train: {limt: 3}\n": "mine.yaml:4: data.train.limt: qvl.data.JsonlDataset takes no limt; did you mean",
    "data:\n  train:\n    _target_: os.system\n": "mine.yaml:5: data.train._target_: 'os.system' is refused before",
    "trusted_targets: [os.system]\n": "mine.yaml:3: trusted_targets: is for the command line only",
    "seed: 1\nseed: 2\n": "mine.yaml:4: no valid YAML: found duplicate key seed",
    "training:\n\tseed: 1\n": "mine.yaml:4: no valid YAML",
    "seed: [1\nrun_name: x\n": "mine.yaml:4: no valid YAML",
    "- seed\n": "mine.yaml: expected keys with values, got a list",
    "defaults:\n  - override /tunner: full\n": "mine.yaml: there is no group tunner; did you mean tuner?",
    "defaults:\n  - override /tuner: ful\n": "mine.yaml: there is no tuner=ful; did you mean full?",
    "training:\n  save_strategy: no\n": "mine.yaml:4: training.save_strategy: 'False' is not one of steps, epoch, best",
    "training:\n  effective_batch_size: 7\n": "mine.yaml:4: training.effective_batch_size: 7 is not a multiple",
    "data:\n  train:\n    path: ${data.prepar.root}\n": "mine.yaml:5: data.train.path: ${data.prepar.root} names no",
    "training:\n  extra: {trust_remote_code: true}\n": "mine.yaml:4: training.extra.trust_remote_code: is refused",
}


@pytest.mark.parametrize("content", FILES)
def test_a_mistake_in_a_recipe_is_told_with_file_and_line(
    content: str, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "mine.yaml").write_text(HEADER + content)
    status, text = command("recipe=mine", "--config-dir", "conf")
    assert FILES[content] in text
    assert status == 2
    assert len(text.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


def test_a_recipe_without_its_header_is_told_what_it_lacks(command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text("seed: 3\n")
    assert "need `# @package _global_` as the first line" in command("recipe=mine", "--config-dir", ".")[1]


def test_a_file_of_a_group_is_named_too(command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [tiny, _self_]\n\nmax_pixel: 3\n")
    text = command("model=mine", "--config-dir", ".")[1]
    assert "model/mine.yaml:3: there is no key model.max_pixel; did you mean model.max_pixels?" in text


def test_all_findings_are_told_at_once(command: Callable[..., Outcome]) -> None:
    text = command("augment_prob=2", "data.emit_norm=x", "seed=-3")[1]
    assert text.startswith("error: 3 findings\n")
    assert len(text.splitlines()) == 4


def test_a_file_cannot_trust_what_the_command_line_did_not(command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    foreign = "data:\n  train: {_target_: canary.Thing}\ntrusted_targets: [canary.Thing]\n"
    (tmp_path / "recipe" / "mine.yaml").write_text(HEADER + foreign)
    (tmp_path / "canary.py").write_text("raise SystemExit('imported')\n")
    assert "a file cannot trust itself" in command("recipe=mine", "--config-dir", ".")[1]
    text = command("recipe=mine", "--config-dir", ".", "trusted_targets=[other.Thing]")[1]
    assert "'canary.Thing' is refused before import" in text


def test_ranks_that_would_not_share_a_folder_are_refused(
    command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert "add hydra.run.dir=" in command()[1]
    text = command("hydra.run.dir=x", "training.effective_batch_size=24")[1]
    assert "24 is not a multiple" in text
    assert "16, 32" in text


@pytest.mark.parametrize(("error", "status"), [(RecordError("rows.jsonl:3: bad"), 1), (ConfigError("x: bad"), 2)])
def test_an_error_of_qvl_ends_a_run_without_a_traceback(
    error: Exception, status: int, command: Callable[..., Outcome]
) -> None:
    def verb(cfg: object) -> None:
        raise error

    assert command(verb=verb) == (status, f"error: {error}\n")


def test_another_error_keeps_its_traceback(command: Callable[..., Outcome]) -> None:
    def verb(cfg: object) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        command(verb=verb)


def test_an_interrupted_run_ends_without_a_traceback(command: Callable[..., Outcome]) -> None:
    def verb(cfg: object) -> None:
        raise KeyboardInterrupt

    assert command(verb=verb) == (130, "interrupted\n")


def test_a_job_of_a_sweep_is_checked_too(command: Callable[..., Outcome]) -> None:
    seen = []
    status, text = command("-m", "seed=1,-1", "hydra/launcher=basic", verb=lambda cfg: seen.append(cfg.seed))
    assert (seen, status) == ([1], 2)
    assert "command line: seed: -1 is out of range" in text
    status, text = command("seed=1,-1,-2")
    assert status == 2
    assert "job 1: " in text and "job 2: " in text, "all jobs are checked before the first one starts"
    assert "seed: -1 is out of range" in text
    assert "there is no key training.zzz" in command("-m", "seed=1,2", "training.zzz=1")[1]


def test_showing_a_config_tells_mistakes_in_the_same_words(command: Callable[..., Outcome]) -> None:
    assert "did you mean seed?" in command("--cfg", "job", "sed=1")[1]
    assert "did you mean tiny?" in command("--info", "defaults-tree", "model=tinny")[1]


@pytest.mark.parametrize("key", [*RETIRED, *(f"{section}.x" for section in RETIRED_SECTIONS)])
def test_a_retired_key_is_none_of_today_and_its_advice_names_keys_of_today(key: str) -> None:
    known = ConfigFiles(config_dir()).known_keys()
    told = advice(key)
    assert told is not None
    assert key not in known
    named = set(re.findall(r"\b[a-z_]+(?:\.[a-z_]+)+\b", told)) | set(re.findall(r"\b[a-z]+_[a-z_]+\b", told))
    assert {name for name in named if not name.startswith(("scheme_", "bbox_"))} <= {
        *known,
        *(name.rpartition(".")[2] for name in known),
        key,
    }


@pytest.mark.parametrize("key", [key for key in RETIRED if "." not in key])
def test_a_retired_key_is_known_in_every_section(key: str) -> None:
    assert advice(key) == advice(f"training.{key}") == advice(f"custom.sub.{key}")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("images_per_user_turn", "data.images_per_user_turn"),  # the section is forgotten
        ("training.seed", "seed"),  # it is elsewhere
        ("training.warmup_ration", "training.warmup_ratio"),
        ("trainig.warmup_ratio", "training.warmup_ratio"),
        ("trainig.warmup_ration", "training.warmup_ratio"),
        ("zzzzzz", None),
    ],
)
def test_the_nearest_key_is_the_one_that_was_meant(key: str, meant: str | None) -> None:
    known = ["seed", "data.images_per_user_turn", "training.warmup_ratio", "training.learning_rate", "training"]
    assert nearest(key, known) == meant
