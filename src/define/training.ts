import { z } from "zod";
import { count, option, positive, share } from "./option.ts";

/** Options of training any method; models and methods have other defaults. */
export const trainingOptions = z.strictObject({
  epochs: option(positive, {
    description:
      "passes over the data for each unit, or part of one: as many as end-to-end training makes, so that layer evaluations are equal",
    overridable: true,
  }).default(15),
  maxSteps: option(count, {
    value: "updates",
    description: "updates of each unit, at most; the course of the learning rate fits them",
    byDefault: "all of --epochs",
    overridable: true,
  }).optional(),
  batchSize: option(count, { flag: "batch", description: "samples in a batch" }).default(128),
  accumulate: option(count, { description: "batches for each update" }).default(1),
  optimizer: option(z.enum(["adamW", "sgd"]), { description: "AdamW, or plain gradient descent", advanced: true }).default("adamW"),
  learningRate: option(positive, { flag: "lr", value: "rate", description: "peak learning rate", overridable: true }).default(1.5e-3),
  schedule: option(z.enum(["cosine", "linear", "constant"]), {
    flag: "lr-schedule",
    description: "course of the learning rate after warm-up",
    overridable: true,
  }).default("cosine"),
  warmup: option(share, { description: "share of the steps in which the learning rate rises", overridable: true }).default(0.05),
  floor: option(share, { description: "last learning rate, as a share of the peak", advanced: true, overridable: true }).default(0.01),
  weightDecay: option(z.number().min(0), { description: "decoupled weight decay" }).default(0.01),
  clipNorm: option(positive, { flag: "clip", value: "norm", description: "largest norm of the gradient" }).default(1),
  emaDecay: option(z.number().min(0).lt(1), {
    flag: "ema",
    value: "decay",
    description: "moving average of the parameters, used in prediction",
    byDefault: "none",
  }).optional(),
  checkpointing: option(z.boolean(), {
    description: "compute activations again in the backward pass instead of keeping them",
  }).default(false),
  parts: option(count, {
    description: "parts of the batch in which a layer's backward pass is made: less memory, the same update but for dropout",
  }).default(1),
  patience: option(count, {
    value: "evaluations",
    description: "evaluations without improvement after which a unit stops; implies --keep-best",
    byDefault: "no early stopping",
    overridable: true,
  }).optional(),
  /** Of a run that goes on from a pretrained network: the units that learn, while the others stay as they are; all by default. */
  units: z.array(z.string()).readonly().optional(),
  seed: option(z.int().min(0), { description: "seed of everything random" }).default(0),
});

export type TrainingOptions = z.output<typeof trainingOptions>;

/** Where and how a run is executed. Another machine may resume it with other values. */
export const executionOptions = z.strictObject({
  device: option(z.enum(["auto", "cpu", "webgpu", "wasm"]), { value: "name", description: "where to compute" }).default("auto"),
  threads: option(count, { description: "threads", byDefault: "all cores" }).optional(),
  schedule: option(z.enum(["sequential", "interleaved", "parallel"]), {
    description: "units one after another, in turn, or each in a process of its own",
  }).default("sequential"),
  parallel: option(count, {
    value: "processes",
    description: "train so many units at once, each in a process of its own with its share of the threads",
    byDefault: "all of them with --schedule parallel, else one",
  }).optional(),
  saveEvery: option(count, { value: "steps", description: "steps between checkpoints" }).default(200),
  logEvery: option(count, { value: "steps", description: "steps between lines of metrics.jsonl", advanced: true }).default(10),
  keepLast: option(count, { description: "checkpoints kept of each unit", advanced: true }).default(2),
  evaluateEvery: option(z.number().min(0), {
    value: "epochs",
    description: "epochs between evaluations of a unit, or part of one; 0 evaluates at the end only",
  }).default(1),
  evaluateSteps: option(count, {
    value: "steps",
    description: "steps between evaluations of a unit",
    byDefault: "as --evaluate-every says",
  }).optional(),
  keepBest: option(z.boolean(), {
    description: "keep the checkpoint of each unit that evaluates best, and use it: see evaluate --checkpoint",
  }).default(false),
  onNan: option(z.enum(["stop", "skip", "restore"]), {
    description:
      "where a loss, a gradient or a weight is no number: stop, leave the step out, or go back to the newest checkpoint at half the learning rate",
  }).default("stop"),
});

export type ExecutionOptions = z.output<typeof executionOptions>;
