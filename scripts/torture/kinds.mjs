// Kinds of run that are tortured: each model, method and schedule, as the shortest training that has several updates and checkpoints.

const common = ["--threads", "1", "--log-every", "1", "--save-every", "1", "--evaluate-every", "0", "--lr", "1e-3"];
const image = (data, layers = "3") => [
  "--data",
  data.images,
  "--patch",
  "8",
  "--width",
  "16",
  "--heads",
  "2",
  "--layers",
  layers,
  "--batch",
  "20",
  ...common,
];
const vit = (data, ...more) => ["train", "vit", ...image(data), "--dropout", "0.1", "--max-steps", "5", ...more];
const plain = (data, model, method, steps, ...more) => [
  ...["train", model, "--data", data.images, "--batch", "20", "--max-steps", steps, "--method", method],
  ...[...common, ...more],
];
const text = (data, model, ...more) => [
  ...["train", model, "--data", data.text, "--tokenizer", "bytes", "--length", "16", "--width", "16", "--batch", "8", "--max-steps", "4"],
  ...[...common, ...more],
];

/** Name of a kind to its command, without the folder. */
export const kinds = {
  "blocks in sequence": (data) => vit(data, "--ema", "0.9"),
  "blocks interleaved": (data) => vit(data, "--schedule", "interleaved"),
  "blocks in processes": (data) => vit(data, "--schedule", "parallel"),
  "two processes at once": (data) => vit(data, "--parallel", "2"),
  "shared parameters together": (data) => vit(data, "--shared", "together"),
  "averaged parameters": (data) => vit(data, "--shared", "average:2"),
  "accumulated batches": (data) => vit(data, "--accumulate", "2"),
  "blocks, controls": (data) => ["train", "vit", ...image(data, "2"), "--blocks", "2", "--max-steps", "2"],
  "blocks, each operation": (data) => [
    ...["train", "vit", ...image(data, "2"), "--blocks", "2", "--max-steps", "2", "--optimizer", "sgd", "--keep-last", "1"],
  ],
  "end to end, each operation": (data) => [
    "train",
    "vit",
    ...image(data, "1"),
    "--method",
    "end-to-end",
    "--optimizer",
    "sgd",
    "--max-steps",
    "3",
  ],
  checkpointing: (data) => vit(data, "--checkpointing", "--parts", "2"),
  "augmented, sgd": (data) =>
    vit(data, "--augment", "flip,crop:4,randaugment:2,9,cutout:4,mixup:0.2,label-smoothing:0.1", "--optimizer", "sgd"),
  "early stopping, best kept": (data) => vit(data, "--patience", "2", "--evaluate-steps", "2", "--keep-best"),
  "end to end": (data) => vit(data, "--method", "end-to-end", "--ema", "0.9"),
  "shallow twin": (data) => vit(data, "--method", "shallow-twin"),
  "twin ensemble": (data) => vit(data, "--method", "twin-ensemble"),
  "local updates": (data) => vit(data, "--method", "local-updates"),
  greedy: (data) => vit(data, "--method", "greedy"),
  "forward-forward": (data) => plain(data, "mlp", "forward-forward", "4", "--width", "16"),
  "contrastive forward-forward": (data) => plain(data, "mlp", "contrastive-ff", "4", "--width", "16"),
  "noprop-dt": (data) => plain(data, "noprop-cnn", "noprop-dt", "2"),
  "noprop-ct": (data) => plain(data, "noprop-cnn", "noprop-ct", "2"),
  dit: (data) => ["train", "dit", ...image(data), "--max-steps", "4", "--ema", "0.9"],
  autoregressive: (data) => text(data, "autoregressive", "--heads", "2", "--layers", "3", "--blocks", "3"),
  "autoregressive, stacked": (data) =>
    text(data, "autoregressive", "--heads", "2", "--layers", "3", "--blocks", "3", "--context", "stacked"),
  "masked diffusion": (data) => text(data, "masked-diffusion", "--heads", "2", "--layers", "3", "--ema", "0.9"),
  "recurrent depth": (data) => text(data, "recurrent-depth", "--heads", "2"),
  compare: (data) => ["compare", ...vit(data).slice(1), "--methods", "end-to-end,blocks", "--no-controls", "--seeds", "1"],
  reproduce: (data) => ["reproduce", "dit", "--data", data.images, "--seeds", "1", "--max-steps", "2", "--threads", "1"],
};
