"""The training step of Keras's WGAN-GP example (https://keras.io/examples/generative/wgan_gp/), with labels.

Run by `training_step.py` in an environment with Keras and TensorFlow; prints one line of JSON. The same networks as
raysynth's `wcgan_gp` with transposed convolutions and a critic without normalisation, parameter for parameter; the
step is the example's: each call of `train_step` takes `n_critic` critic steps on one batch, each with three passes
through the critic, then one generator step. `fit` compiles it to a graph (`--xla`: by XLA as well).
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

FIRST_SIDE = 4  # pixels of the generator's first feature map, and of the critic's last


def make_generator(side: int, num_channels: int, num_classes: int, latent_dim: int, width: int) -> keras.Model:
    """4 x 4 dense, then transposed convolutions + BatchNorm + LeakyReLU, the last one to a tanh."""
    doublings = (side // FIRST_SIDE).bit_length() - 1
    channels = [min(width * 2 ** (doublings - 1 - level), width * 8) for level in range(doublings)]
    latents, labels = keras.Input((latent_dim,)), keras.Input((), dtype="int32")
    x = layers.Concatenate()([latents, layers.Embedding(num_classes, latent_dim)(labels)])
    x = layers.Dense(channels[0] * FIRST_SIDE**2, use_bias=False)(x)
    x = layers.Reshape((FIRST_SIDE, FIRST_SIDE, channels[0]))(x)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    for count in channels[1:]:
        x = layers.Conv2DTranspose(count, 4, 2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(num_channels, 4, 2, padding="same", activation="tanh")(x)
    return keras.Model([latents, labels], x)


def make_critic(side: int, num_channels: int, num_classes: int, width: int) -> keras.Model:
    """Strided convolutions + LeakyReLU down to 4 x 4; the label by projection."""
    images, labels = keras.Input((side, side, num_channels)), keras.Input((), dtype="int32")
    x = images
    for level in range((side // FIRST_SIDE).bit_length() - 1):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(min(width * 2**level, width * 8), 4, 2, padding="same")(x))
    x = layers.Flatten()(x)
    projection = layers.Dot(1)([layers.Embedding(num_classes, x.shape[1])(labels), x])
    return keras.Model([images, labels], layers.Add()([layers.Dense(1)(x), projection]))


class WGANGP(keras.Model):
    """The example's class, with labels and with `n_critic` for its `discriminator_extra_steps`."""

    def __init__(self, critic: keras.Model, generator: keras.Model, latent_dim: int, n_critic: int) -> None:
        super().__init__()
        self.critic, self.generator = critic, generator
        self.latent_dim, self.n_critic, self.penalty_weight = latent_dim, n_critic, 10.0
        self.critic_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)
        self.generator_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)

    def gradient_penalty(self, images: tf.Tensor, generated: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        mix = tf.random.uniform([tf.shape(images)[0], 1, 1, 1])
        between = images + mix * (generated - images)
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = self.critic([between, labels], training=True)
        gradient = tape.gradient(scores, between)
        norms = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3]))
        return tf.reduce_mean((norms - 1.0) ** 2)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        images, labels = data
        num_images = tf.shape(images)[0]
        for _ in range(self.n_critic):
            latents = tf.random.normal([num_images, self.latent_dim])
            with tf.GradientTape() as tape:
                generated = self.generator([latents, labels], training=True)
                generated_scores = self.critic([generated, labels], training=True)
                real_scores = self.critic([images, labels], training=True)
                penalty = self.gradient_penalty(images, generated, labels)
                critic_loss = tf.reduce_mean(generated_scores) - tf.reduce_mean(real_scores)
                critic_loss += self.penalty_weight * penalty
            gradients = tape.gradient(critic_loss, self.critic.trainable_variables)
            self.critic_optimizer.apply_gradients(zip(gradients, self.critic.trainable_variables, strict=True))
        latents = tf.random.normal([num_images, self.latent_dim])
        with tf.GradientTape() as tape:
            generated = self.generator([latents, labels], training=True)
            generator_loss = -tf.reduce_mean(self.critic([generated, labels], training=True))
        gradients = tape.gradient(generator_loss, self.generator.trainable_variables)
        self.generator_optimizer.apply_gradients(zip(gradients, self.generator.trainable_variables, strict=True))
        return {"d_loss": critic_loss, "g_loss": generator_loss}


class Stopwatch(keras.callbacks.Callback):
    """Times the epochs after the first, in which the graph is made, and stops after `seconds` of them."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.num_epochs, self.elapsed, self.started = seconds, 0, 0.0, 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 0:
            self.started = time.perf_counter()
            return
        self.num_epochs, self.elapsed = epoch, time.perf_counter() - self.started
        self.model.stop_training = self.elapsed >= self.seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", required=True, help="an .npz of images (N, C, H, W) uint8 and labels (N,)")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    for option in ("--num-classes", "--batch-size", "--latent-dim", "--width", "--n-critic"):
        parser.add_argument(option, type=int, required=True)
    parser.add_argument("--xla", action="store_true")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)

    arrays = np.load(arguments.images)
    pixels = np.ascontiguousarray(np.moveaxis(arrays["images"], 1, -1)).astype(np.float32) / 127.5 - 1.0
    side, num_channels, batch_size = pixels.shape[1], pixels.shape[3], arguments.batch_size
    generator = make_generator(side, num_channels, arguments.num_classes, arguments.latent_dim, arguments.width)
    critic = make_critic(side, num_channels, arguments.num_classes, arguments.width)
    model = WGANGP(critic, generator, arguments.latent_dim, arguments.n_critic)
    model.compile(jit_compile=arguments.xla)
    # Few calls an epoch, so that short runs end in time: a call is n_critic critic steps and a generator step.
    calls = max(1, len(pixels) // batch_size // arguments.n_critic)
    dataset = tf.data.Dataset.from_tensor_slices((pixels, arrays["labels"].astype(np.int32)))
    dataset = dataset.shuffle(len(pixels)).repeat().batch(batch_size, drop_remainder=True)
    watch = Stopwatch(arguments.seconds)
    model.fit(dataset, steps_per_epoch=calls, epochs=1_000_000, verbose=0, callbacks=[watch])
    result = {
        "images_per_s": watch.num_epochs * calls * arguments.n_critic * batch_size / watch.elapsed,
        "generator_parameters": sum(int(np.prod(v.shape)) for v in generator.trainable_variables),
        "critic_parameters": sum(int(np.prod(v.shape)) for v in critic.trainable_variables),
        "versions": f"Keras {keras.__version__}, TensorFlow {tf.__version__}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
