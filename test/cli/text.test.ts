import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dblocks, folder, type Outcome } from "../support/cli.ts";

describe("text", () => {
  const text = join(folder, "text.txt");
  writeFileSync(text, "the quick brown fox jumps over the lazy dog and runs away from the hunter ".repeat(60));
  const sizes = ["--width", "16", "--heads", "2", "--layers", "3", "--length", "16", "--batch", "8", "--threads", "1"];
  const trainText = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("train", "masked-diffusion", "--data", text, "--run", join(folder, run), ...sizes, "--epochs", "2", ...more);

  test("a masked diffusion model trains in blocks, is measured in bits, verified, and draws text that depends on the seed alone", async () => {
    const trained = await trainText("text");
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/at most .* bits a token on .* of block-2/)]);
    const measured = JSON.parse((await dblocks("evaluate", join(folder, "text"), "--json")).stdout) as { bits: number; uniform: number };
    expect(measured.uniform).toBeCloseTo(Math.log2(27), 9);
    expect(measured.bits).toBeLessThan(measured.uniform);
    expect((await dblocks("verify", join(folder, "text"))).code).toBe(0);
    expect(readFileSync(join(folder, "text", "report.html"), "utf8").match(/“[a-z ]{16}”/g)).toHaveLength(3);
    const draw = async (...more: string[]): Promise<string[]> => {
      const { stdout } = await dblocks("sample", join(folder, "text"), "--count", "3", "--json", ...more);
      return (JSON.parse(stdout) as { text: string; tokens: number[] }[]).map((one) => one.text);
    };
    const texts = await draw("--prompt", "the fox");
    for (const one of texts) expect(one).toMatch(/^the fox[a-z ]{9}$/);
    expect(await draw("--prompt", "the fox", "--batch", "2")).toEqual(texts);
    expect(await draw("--prompt", "the fox", "--seed", "1")).not.toEqual(texts);
  });

  test("it is compared with end-to-end training in bits a token", async () => {
    const options = ["--data", text, "--run", join(folder, "texts"), ...sizes, "--epochs", "1", "--seeds", "1"];
    const { stdout } = await dblocks("compare", "masked-diffusion", ...options, "--json");
    const { runs } = JSON.parse(stdout) as { runs: { method: string; score: { value: number }; layerEvaluations: number }[] };
    const controls = ["checkpointing", "shallow-twin", "shallow-twin-equal-evaluations", "twin-ensemble"];
    expect(runs.map(({ method }) => method)).toEqual(["end-to-end", "blocks", ...controls]);
    const [whole] = runs.map(({ layerEvaluations }) => layerEvaluations);
    for (const { method, layerEvaluations } of runs) if (method !== "shallow-twin") expect(layerEvaluations).toBe(whole);
    for (const { score } of runs) expect(score.value).toBeLessThan(6);
  });

  test("bad input is refused in one line", async () => {
    writeFileSync(join(folder, "latin1.txt"), Uint8Array.of(0x61, 0xe9, 0x62));
    const refused: [Promise<Outcome>, RegExp][] = [
      [trainText("a", "--data", "nothing.txt"), /There is no text at .*nothing\.txt/],
      [trainText("b", "--data", join(folder, "latin1.txt")), /byte 1 does not fit/],
      [trainText("c", "--length", "4000"), /fewer than a batch of 8 windows of 4000/],
      [trainText("d", "--heads", "16"), /16 heads must divide a width of 16 into even parts/],
      [trainText("e", "--method", "greedy"), /--method greedy cannot train masked-diffusion/],
      [dblocks("sample", join(folder, "text"), "--prompt", "The"), /"T" at character 0/],
      [dblocks("sample", join(folder, "text"), "--prompt", "the fox runs over the dog"), /25 tokens are more than there is room for/],
      [dblocks("sample", join(folder, "text"), "--guidance", "2"), /--guidance: .*text draws text, which has no such option/],
      [dblocks("sample", join(folder, "text"), "--tokens", "3"), /--tokens: .*text fills whole sequences/],
      [dblocks("evaluate", join(folder, "text"), "--features", "f.onnx"), /--features: it is for runs that draw images/],
      [dblocks("evaluate", join(folder, "text"), "--texts", "3"), /--texts: it is for language models/],
    ];
    for (const [outcome, message] of refused) {
      const { code, stderr } = await outcome;
      expect([code, stderr.trim().split("\n")]).toEqual([expect.any(Number), [expect.stringMatching(message)]]);
      expect(code).toBeGreaterThan(0);
    }
  });
});
