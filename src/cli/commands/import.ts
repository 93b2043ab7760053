import { Command } from "commander";
import { registry } from "../../index.ts";
import { importRun } from "../../node.ts";
import { print, printJson } from "../output.ts";
import { positiveNumber } from "../words.ts";

export function importCommand(): Command {
  return new Command("import")
    .description(
      "make a run of weights from elsewhere: of dblocks export (safetensors, or network.onnx), or of ViT, DeiT, GPT-2, Llama, DiT and the official code's ViT under their published names (config.json with model.safetensors or its shards; of a language model tokenizer.json)",
    )
    .argument("<folder>", "folder with the weights")
    .requiredOption("--out <run>", "folder of the new run")
    .option("--length <tokens>", "of a language model: tokens of a sequence (default: the network's own, at most 1024)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async (from: string, { out, length, json }) => {
      const { config, parameters, tensors } = await importRun({ registry, from, out, length });
      if (json) return printJson({ out, model: config.model, parameters, tensors });
      const { model, method } = config;
      print(`${out}: ${model.name}, ${method.name}, ${(parameters / 1e6).toPrecision(3)} million parameters of ${tensors} tensors`);
    });
}
