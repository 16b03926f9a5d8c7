"""Every choice of every group composes, and what it composes passes all checks."""

from __future__ import annotations

import itertools

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from qvl.command import compose
from qvl.schema import ConfigFiles, check, config_dir, missing_keys, register_schema

FILES = ConfigFiles(config_dir())
MODELS = FILES.choices("model")
RECIPES = FILES.choices("recipe")
DEBUGS = FILES.choices("debug")
DECLARED = [(group, choice) for group in FILES.declared() for choice in FILES.choices(group)]
OWN_DATA = {
    "data=jsonl": ["data.train.path=train.jsonl", "data.val.path=val.jsonl"],
    "data=fusion": ["data.train.sources={}", "data.val.sources={}"],
    "data=summary": [f"data.{part}.sources.pictures.path={part}.jsonl" for part in ("train", "val")],
    "data=common": ["data.train={_target_: qvl.data.JsonlDataset, path: train.jsonl}"],
}


@pytest.fixture(autouse=True)
def _schema() -> None:
    register_schema()


def at_home(overrides: list[str]) -> DictConfig:
    """Compose; rows of one's own get paths, which have to be given."""
    return compose([*overrides, *(text for choice in overrides for text in OWN_DATA.get(choice, []))])


def test_there_is_something_to_compose() -> None:
    assert {"tiny", "qwen3_vl_2b", "qwen3_vl_4b", "qwen3_vl_8b", "qwen3_vl_32b", "qwen3_vl_30b_a3b"} == set(MODELS)
    assert {"stage1_aligner", "stage2_lora", "pretrain_tiny"} <= set(RECIPES)
    assert {"fast", "overfit", "profile"} <= set(DEBUGS)
    assert {"tuner", "data", "prompts", "deepspeed", "paths"} <= {group for group, _ in DECLARED}


def test_the_command_without_a_word_composes_and_resolves() -> None:
    cfg = compose([])
    assert missing_keys(cfg) == []
    assert "${" not in str(OmegaConf.to_container(cfg, resolve=True))


@pytest.mark.parametrize(("recipe", "model"), list(itertools.product(RECIPES, MODELS)))
def test_every_recipe_composes_with_every_model(recipe: str, model: str) -> None:
    cfg = compose([f"recipe={recipe}", f"model={model}"])
    check(cfg, world_size=1)
    assert cfg.run_name == recipe


@pytest.mark.parametrize(("recipe", "debug"), list(itertools.product(RECIPES, DEBUGS)))
def test_every_debug_choice_composes_after_every_recipe(recipe: str, debug: str) -> None:
    cfg = compose([f"+debug={debug}", f"+recipe={recipe}"])
    notes = FILES.notes(f"debug/{debug}").values()
    wanted = {note.key: yaml.safe_load(note.value) for note in notes if note.value and note.value[0] not in "{$"}
    assert wanted
    assert {key: OmegaConf.select(cfg, key) for key in wanted} == wanted


@pytest.mark.parametrize(("group", "choice"), DECLARED)
def test_every_choice_of_a_group_composes(group: str, choice: str) -> None:
    at_home([f"{group}={choice}"])


@pytest.mark.parametrize("recipe", ["stage1_aligner", "stage2_lora"])
def test_the_recipes_fit_eight_devices(recipe: str) -> None:
    check(compose([f"recipe={recipe}"]), world_size=8)


def test_the_recipes_have_the_reference_numbers() -> None:
    one, two = compose(["recipe=stage1_aligner"]), compose(["recipe=stage2_lora"])
    rates = [[cfg.training[key] for key in ("learning_rate", "vit_lr", "aligner_lr")] for cfg in (one, two)]
    assert rates == [[1e-4, 2e-5, 1e-4], [5e-4, 2e-5, 5e-4]]
    assert [one.training.num_train_epochs, two.training.num_train_epochs] == [6, 20]
    assert [one.training.effective_batch_size, two.training.effective_batch_size] == [64, 32]
    assert (one.tuner.tuner_type, one.tuner.freeze_llm, one.tuner.freeze_vit, one.tuner.freeze_aligner) == (
        "full", True, True, False,
    )  # fmt: skip
    assert (two.tuner.lora_rank, two.tuner.lora_alpha, two.tuner.lora_dropout) == (8, 32, 0.1)
    assert two.tuner.modules_to_save[1:] == [f"model.visual.deepstack_merger_list.{number}" for number in range(3)]
    assert (two.training.save_strategy, two.training.metric_for_best_model) == ("best", "loss")


@pytest.mark.parametrize(
    "words",
    [
        *(["token_acc"], ["detection/f1_50"], ["eval_detection/ap_boxes"]),
        ["summary/f1", "training.save_strategy=best"],
        *(["detection/ap_50_masks", "evaluation.average_precision=[masks]"], ["loss", "evaluation.every_steps=0"]),
    ],
)
def test_any_score_of_a_training_may_choose_the_best_checkpoint(words: list[str]) -> None:
    metric, *rest = words
    cfg = compose([f"training.metric_for_best_model={metric}", *rest])
    check(cfg, world_size=1)
    assert cfg.training.metric_for_best_model == metric


def test_recipes_and_debug_choices_hold_nothing_of_hydra() -> None:
    configs = [f"recipe/{name}" for name in RECIPES] + [f"debug/{name}" for name in DEBUGS]
    for config in configs:
        path = FILES.path(config)
        assert path is not None
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# @package _global_"
        assert lines[1].startswith("# python -m qvl.train +recipe="), f"{config}: the command is the second line"
        assert not any(line.startswith("hydra") for line in lines)


def test_every_key_of_the_schema_is_in_the_groups() -> None:
    known = FILES.known_keys()
    cfg = compose([])
    for group in ("model", "tuner", "data", "training", "deepspeed", "evaluation", "health", "paths"):
        assert {f"{group}.{key}" for key in cfg[group]} <= known


def silent_keys(config: str) -> list[str]:
    notes = FILES.notes(config).values()
    explained = tuple(f"{note.key}." for note in notes if note.value)
    silent = [note.key for note in notes if not note.comment and not note.key.startswith(explained)]
    return [key for key in silent if not key.endswith("_target_")]


@pytest.mark.parametrize(
    "group", ["model", "tuner", "data", "training", "deepspeed", "evaluation", "health", "paths", "."]
)
def test_every_key_of_a_group_says_what_it_means(group: str) -> None:
    configs = ["train"] if group == "." else [f"{group}/{choice}" for choice in FILES.choices(group)]
    assert configs
    assert [key for config in configs for key in silent_keys(config)] == []


def test_values_that_are_swept_keep_their_places() -> None:
    cfg = compose(["augment_prob=0.25", "global_max_length=4096", "seed=3", "run_name=x"])
    assert (cfg.augmentation.p, cfg.global_max_length, cfg.seed, cfg.run_name) == (0.25, 4096, 3, "x")
