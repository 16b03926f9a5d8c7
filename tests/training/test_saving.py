"""Stage 1 saves what it trains: stage 2, export, infer and a longer stage 1 start from that as from the whole model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.numpy import load_file

from qvl.data import load_contract
from qvl.errors import CheckpointError, ConfigError
from qvl.runtime.part import PART_NAME, base_of_part, put_part
from qvl.training.freezing import check_carried
from qvl.training.precision import TrainedWeights
from qvl.training.saving import SavedPart, WeightsTrainer, part_to_save

pytestmark = pytest.mark.swift

ALIGNER = ["model.visual.merger", *(f"model.visual.deepstack_merger_list.{number}" for number in range(3))]


def adapted(model, saved):
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=saved))


def test_an_adapter_holds_every_weight_that_stage_1_trained(tiny_model):
    carried = {name for name, _ in tiny_model.named_parameters() if "merger" in name}
    check_carried(tiny_model, carried)  # no adapter: the checkpoint will hold them
    check_carried(adapted(tiny_model, ALIGNER), carried)


def test_an_adapter_that_would_lose_weights_of_stage_1_is_refused(tiny_model):
    carried = {name for name, _ in tiny_model.named_parameters() if "merger" in name}
    with pytest.raises(ConfigError, match=r"would not hold: model.visual.deepstack_merger_list.0.*qvl.export"):
        check_carried(adapted(tiny_model, ALIGNER[:1]), carried)


def test_a_part_is_what_is_trained_and_what_was_taken_over(tiny_model):
    for name, value in tiny_model.named_parameters():
        value.requires_grad = "visual.merger" in name
    trained = {name for name, _ in tiny_model.named_parameters() if "visual.merger" in name}
    assert part_to_save(tiny_model, (), base="base") == SavedPart(frozenset(trained), "base")
    before = {"model.language_model.norm.weight"}
    assert part_to_save(tiny_model, before, base="base") == SavedPart(frozenset(trained | before), "base")
    assert part_to_save(tiny_model.requires_grad_(), (), base="base") is None


def test_weights_that_deepspeed_has_gathered_are_taken_from_there(tiny_model, tmp_path):
    import torch

    name = "model.visual.merger.norm.weight"
    gathered = {**tiny_model.state_dict(), name: torch.full((3,), 7.0)}
    SavedPart(frozenset({name}), "base").write(tmp_path / "new", tiny_model, gathered)
    assert load_file(tmp_path / "new" / PART_NAME)[name].tolist() == [7.0] * 3


class Upstream:
    """Stands in for the trainer of ms-swift: says what it was asked for."""

    is_deepspeed_enabled = False

    def __init__(self, model, best=None):
        self.model, self.model_wrapped, self.asked = model, Engine(), []
        self.state = SimpleNamespace(best_model_checkpoint=best)

    def _load_best_model(self):
        self.asked.append("best")

    def _load_from_checkpoint(self, folder, model):
        self.asked.append("whole")

    def _load_optimizer_and_scheduler(self, checkpoint):
        self.asked.append("optimizer")

    def _save_optimizer_and_scheduler(self, output_dir):
        self.model_wrapped.save_checkpoint(output_dir)

    def _prepare_for_training(self, checkpoint):
        from transformers import trainer

        trainer.deepspeed_load_checkpoint(self.model_wrapped, checkpoint, load_module_strict=True)


class Engine:
    """Stands in for the engine of DeepSpeed."""

    def save_checkpoint(self, folder, exclude_frozen_parameters=False):
        self.saved = (folder, exclude_frozen_parameters)


class Trainer(WeightsTrainer, Upstream):
    """What is tested."""


@pytest.fixture
def trained(tiny_model, tmp_path):
    """A trainer of one weight, and the folder of a checkpoint in which that is 7."""
    import torch

    tiny_model.requires_grad_(False)
    weight = tiny_model.model.visual.merger.norm.weight.requires_grad_()
    trainer = Trainer(tiny_model, best=str(tmp_path))
    trainer.part = part_to_save(tiny_model, (), base="base")
    trainer.weights = TrainedWeights(tiny_model, sharded=False)
    weight.data.fill_(7.0)
    trainer._save(str(tmp_path))
    weight.data.fill_(1.0)
    assert load_file(tmp_path / PART_NAME).keys() == {"model.visual.merger.norm.weight"}
    return trainer, weight, torch.full_like(weight, 7.0)


@pytest.mark.parametrize("load", ["_load_best_model", "_load_from_checkpoint"])
def test_a_part_comes_back_when_a_run_goes_on_and_when_it_ends_with_its_best(trained, tmp_path, load):
    trainer, weight, saved = trained
    getattr(trainer, load)(*([str(tmp_path)] if load == "_load_from_checkpoint" else []))
    trainer._load_optimizer_and_scheduler(str(tmp_path))
    assert (weight == saved).all()
    assert trainer.asked == ["optimizer"]


def test_whole_checkpoints_are_left_to_upstream(trained, tmp_path):
    trainer, weight, saved = trained
    (tmp_path / PART_NAME).unlink()
    trainer._load_from_checkpoint(str(tmp_path))
    trainer._load_best_model()
    assert trainer.asked == ["whole", "best"]
    assert not (weight == saved).any()


def test_a_run_that_trains_something_else_does_not_take_the_part(trained, tmp_path):
    trainer, _, _ = trained
    trainer.part = None
    trainer.model.model.visual.merger.norm.bias.requires_grad_()
    with pytest.raises(CheckpointError, match=r"other weights than the model here: .*merger.norm.bias"):
        trainer._load_from_checkpoint(str(tmp_path))


def test_deepspeed_leaves_out_what_is_frozen_and_does_not_miss_it(trained, tmp_path, monkeypatch):
    from transformers import trainer as upstream

    asked = []

    def load(engine, folder, load_module_strict):
        asked.append(load_module_strict)

    monkeypatch.setattr(upstream, "deepspeed_load_checkpoint", load)
    trainer, _, _ = trained
    trainer.is_deepspeed_enabled = True
    trainer._save_optimizer_and_scheduler("there")
    assert trainer.model_wrapped.saved == ("there", True)
    trainer._prepare_for_training(str(tmp_path))
    trainer._prepare_for_training(str(tmp_path / "whole"))
    assert asked == [False, True]
    trainer.part = None
    trainer._save_optimizer_and_scheduler("there")
    assert trainer.model_wrapped.saved == ("there", False)


@pytest.fixture(scope="module")
def qvl(forked, tmp_path_factory, demo_folder):
    """Runs a verb in one folder and returns that; `fails` is a piece of its error."""
    folder = tmp_path_factory.mktemp("stages")
    quick = (
        "data.prepare=null",
        f"data.train.path={demo_folder}/train.jsonl",
        f"data.val.path={demo_folder}/val.jsonl",
        "data.images_per_user_turn=1",
        "evaluation.num_samples=0",
        "training.effective_batch_size=2",
        "training.max_steps=2",
        "training.save_strategy=steps",
        "training.save_steps=1",
        "evaluation.before_training=false",
        "training.save_total_limit=null",
        "training.warmup_ratio=0",
    )

    def qvl(verb: str, *words: str, fails: str = "") -> Path:
        words = ("+debug=fast", *quick, *words) if verb == "train" else words
        done = forked(f"qvl.{verb}", *words, cwd=folder)
        assert bool(done.returncode) == bool(fails), done.output[-3000:]
        assert fails in done.output
        assert not fails or "Traceback" not in done.output
        return folder

    return qvl


@pytest.fixture(scope="module")
def stage_1(qvl, tiny_folder) -> Path:
    """The folder in which `first` is a run of stage 1 and `whole` is its last checkpoint as a whole model."""
    best = ("training.load_best_model_at_end=true", "training.eval_steps=1")
    qvl("train", "+recipe=stage1_aligner", "hydra.run.dir=first", f"model.path={tiny_folder}", *best)
    return qvl("export", "checkpoint=first/checkpoint-2", "out=whole")


def same(first: Path, second: Path) -> bool:
    one, two = load_file(first), load_file(second)
    return one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


def logits(folder, *, part=None, adapter=None):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    if part is not None:
        put_part(part, model)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    patches = torch.linspace(-1, 1, 16 * 1536).reshape(16, 1536)
    ids = torch.tensor([[1, *[model.config.image_token_id] * 4, 2]])
    grid = torch.tensor([[1, 4, 4]])
    kinds = (ids == model.config.image_token_id).int()
    with torch.inference_mode():
        return model(input_ids=ids, pixel_values=patches, image_grid_thw=grid, mm_token_type_ids=kinds).logits


@pytest.mark.slow
def test_stage_2_from_a_part_is_stage_2_from_the_whole_model(qvl, stage_1, tiny_folder):
    """And its adapter stands on the base model alone: it holds the aligner."""
    import torch

    for name, start in (("from_part", "./first"), ("from_whole", "./whole")):
        qvl("train", "+recipe=stage2_lora", f"hydra.run.dir={name}", f"model.path={start}")
    adapter, whole = (stage_1 / name / "checkpoint-2" for name in ("from_part", "from_whole"))
    assert same(adapter / "adapter_model.safetensors", whole / "adapter_model.safetensors")
    assert load_contract(adapter).base_digest == load_contract(stage_1 / "first/checkpoint-2").base_digest
    plain = logits(tiny_folder, adapter=adapter)
    assert torch.equal(plain, logits(tiny_folder, part=stage_1 / "first/checkpoint-2", adapter=adapter))
    assert not torch.equal(plain, logits(tiny_folder))


@pytest.mark.slow
def test_a_part_answers_as_the_whole_model_does(qvl, stage_1, demo_folder):
    rows = (f"pictures={demo_folder}/val.jsonl", "limit=2", "max_new_tokens=8")
    for name, model in (("part", "first/checkpoint-2"), ("whole", "whole")):
        qvl("infer", f"model=./{model}", *rows, f"out={name}.jsonl")
    assert (stage_1 / "part.jsonl").read_text() == (stage_1 / "whole.jsonl").read_text()


@pytest.mark.slow
def test_a_longer_stage_1_begins_where_the_first_ended_and_stands_on_the_same_base(qvl, stage_1, tiny_folder):
    before = ("evaluation.before_training=true", "training.eval_strategy=no")
    qvl("train", "+recipe=stage1_aligner", "hydra.run.dir=longer", "model.path=./first", *before)
    longer = stage_1 / "longer/checkpoint-2"
    assert base_of_part(longer) == str(tiny_folder)
    first, more = (json.loads((stage_1 / run / "metrics.json").read_text()) for run in ("first", "longer"))
    assert more["before"]["loss"] == pytest.approx(first["after"]["loss"], rel=1e-6)
    assert not same(longer / PART_NAME, stage_1 / "first/checkpoint-2" / PART_NAME)


@pytest.mark.slow
def test_a_part_is_not_gone_on_with_on_another_model(qvl, stage_1, tiny_folder):
    other = shutil.copytree(tiny_folder, stage_1 / "other")
    (other / "chat_template.jinja").write_text((other / "chat_template.jinja").read_text() + "\n")
    resume = "training.resume_from_checkpoint=first/checkpoint-1"
    run = ("+recipe=stage1_aligner", "hydra.run.dir=again", "model.path=./other", resume)
    qvl("train", *run, fails="was trained on a model with digest")
