"""The training loop: steps of AdamW, checkpoints, and continuing from the last checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mobiledet.anchors import anchors_of
from mobiledet.batches import batches
from mobiledet.dataset import Dataset
from mobiledet.design import Design
from mobiledet.learning_rate import Thaw, rates, rates_with_thaw, schedule
from mobiledet.looks import Samples
from mobiledet.loss import Kind, detection_loss
from mobiledet.network import float_network
from mobiledet.run import (
    CHECKPOINT,
    Checkpoint,
    Loss,
    Run,
    Training,
    load_checkpoint,
    read_history,
    save_checkpoint,
    write_history,
)
from mobiledet.start import is_head, set_start
from mobiledet.tensorflow import mixed_precision, tf

# The networks of models/README.md were trained with these and a learning rate of 0.002.
WEIGHT_DECAY = 1e-4
MAX_NORM = 10.0  # of the gradient
CHECKPOINT_STEPS = 50  # at 740 s for 2000 steps, an interruption loses up to 19 s of CPU time
TRIAL_STEPS = 12  # steps timed for --minutes; the first, which compiles, doesn't count

Step = Callable[[Any, Any, Any], tuple[Any, Any]]
Progress = Callable[[int, float], None]  # steps done, mean loss since the last checkpoint


def prepare(seed: int) -> bool:
    """Seeds TensorFlow. Returns whether there is a GPU, which then calculates in 16 bits.

    On a CPU the same seed gives the same result.
    """
    tf().keras.utils.set_random_seed(seed)
    if mixed_precision():
        return True
    tf().config.experimental.enable_op_determinism()
    return False


def fit(folder: Path, run: Run, dataset: Dataset, progress: Progress) -> Any:
    """Trains to the end, from the folder's checkpoint if it has one. Returns the model."""
    training = run.training
    on_gpu = prepare(training.seed)
    model = float_network(run.design)
    optimizer = make_optimizer(
        model, training.learning_rate, training.steps, scaled=on_gpu, thaw=_thaw(training)
    )
    step, cpu_s = 0, 0.0
    if (folder / CHECKPOINT).exists():
        checkpoint = load_checkpoint(folder)
        restore(model, optimizer, checkpoint)
        step, cpu_s = checkpoint.step, checkpoint.cpu_s
    elif training.start:
        set_start(model, run)
    lines = read_history(folder, step)
    samples = Samples(dataset, run.design.size_px)

    def reached(done: int, loss: Loss) -> None:
        progress(done, loss.location + loss.classification)
        if done % CHECKPOINT_STEPS == 0 or done == training.steps:
            lines.append(loss)
            write_history(folder, lines)  # first: lines after the checkpoint are dropped on resume
            save_checkpoint(folder, state(model, optimizer, done, loss.cpu_s))

    take_steps(
        model,
        optimizer,
        run.design,
        training,
        samples,
        range(step, training.steps),
        reached,
        cpu_s,
    )
    return model


def _thaw(training: Training) -> Thaw | None:
    if training.freeze_steps == 0:
        return None
    return Thaw(min(training.freeze_steps, training.steps), training.thawed_rate)


def take_steps(
    model: Any,
    optimizer: Any,
    design: Design,
    training: Training,
    samples: Samples,
    steps: range,
    reached: Callable[[int, Loss], None],
    cpu_s: float = 0.0,
) -> None:
    """Takes steps of training. reached: called after each, with the means since a checkpoint."""
    kinds = {
        heads: make_step(model, optimizer, design.first_class_column, training.loss, heads=heads)
        for heads in (True, False)
    }
    start_s = time.process_time() - cpu_s
    sums, count = np.zeros(2), 0
    made = batches(samples, anchors_of(design), training.batch, training.seed, steps)
    for number, batch in zip(steps, made, strict=True):
        step_function = kinds[number < training.freeze_steps]
        parts = step_function(batch.images, batch.codes, batch.classes)
        sums += [float(part) for part in parts]
        count += 1
        location, classification = sums / count
        spent_s = time.process_time() - start_s
        reached(number + 1, Loss(number + 1, float(location), float(classification), spent_s))
        if (number + 1) % CHECKPOINT_STEPS == 0:
            sums, count = np.zeros(2), 0


def make_optimizer(
    model: Any, peak: float, steps: int, *, scaled: bool = False, thaw: Thaw | None = None
) -> Any:
    """AdamW. scaled: with a scaled loss, which 16-bit gradients need.

    thaw: the peak is that until this step, from which another counts.
    """
    optimizers = tf().keras.optimizers
    rate = schedule()(rates(peak, steps) if thaw is None else rates_with_thaw(peak, steps, thaw))
    optimizer = optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=MAX_NORM)
    if scaled:
        optimizer = tf().keras.mixed_precision.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def make_step(
    model: Any, optimizer: Any, first_class_column: int, kind: Kind, *, heads: bool = False
) -> Step:
    """One step of training as a graph: images, codes, classes -> the two losses.

    heads: change the heads alone; the other layers then work as they do in the daemon.
    """
    scaled = hasattr(optimizer, "inner_optimizer")
    variables = model.trainable_variables
    if heads:
        variables = [v for v in variables if is_head(v.path)]

    @tf().function  # type: ignore[untyped-decorator]
    def step(images: Any, codes: Any, classes: Any) -> tuple[Any, Any]:
        pictures = tf().cast(images, tf().float32) * (1 / 127.5) - 1
        with tf().GradientTape() as tape:
            predicted, logits = model(pictures, training=not heads)
            location, classification = detection_loss(
                predicted, logits, codes, classes, first_class_column, kind
            )
            loss = location + classification + tf().add_n([0.0, *model.losses])
            if scaled:
                loss = optimizer.scale_loss(loss)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return location, classification

    return step  # type: ignore[no-any-return]


def state(model: Any, optimizer: Any, step: int, cpu_s: float) -> Checkpoint:
    return Checkpoint(step, cpu_s, model.get_weights(), [v.numpy() for v in optimizer.variables])


def restore(model: Any, optimizer: Any, checkpoint: Checkpoint) -> None:
    model.set_weights(checkpoint.weights)
    for variable, value in zip(optimizer.variables, checkpoint.optimizer, strict=True):
        variable.assign(value)


def seconds_per_step(run: Run, dataset: Dataset) -> float:
    """The median wall time of a step with its batch, measured here, without the first."""
    model = float_network(run.design)
    trial = msgspec.structs.replace(run.training, freeze_steps=0)
    optimizer = make_optimizer(model, trial.learning_rate, TRIAL_STEPS)
    ends: list[float] = []
    take_steps(
        model,
        optimizer,
        run.design,
        trial,
        Samples(dataset, run.design.size_px),
        range(TRIAL_STEPS),
        lambda _done, _loss: ends.append(time.perf_counter()),
    )
    return float(np.median(np.diff(ends[1:])))
