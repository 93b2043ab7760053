import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dblocks, folder, type Outcome } from "../support/cli.ts";

describe("language models", () => {
  const text = join(folder, "language.txt");
  writeFileSync(text, "the quick brown fox jumps over the lazy dog and runs away from the hunter ".repeat(60));
  const sizes = ["--width", "16", "--heads", "2", "--length", "16", "--batch", "8", "--threads", "1", "--lr", "1e-2"];
  const trainLanguage = (model: string, run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("train", model, "--data", text, "--run", join(folder, run), ...sizes, "--epochs", "2", ...more);
  const draw = async (run: string, ...more: string[]): Promise<string[]> => {
    const { stdout } = await dblocks("sample", join(folder, run), "--count", "3", "--tokens", "9", "--json", ...more);
    return (JSON.parse(stdout) as { text: string; tokens: number[] }[]).map((one) => one.text);
  };

  test.each([
    ["autoregressive", "language-own", ["--layers", "4", "--blocks", "2"], ["blocks together", "block 0", "block 1", "diffusion"]],
    [
      "autoregressive",
      "language-turns",
      [
        "--layers",
        "2",
        "--blocks",
        "2",
        "--context",
        "stacked",
        "--next-token-weight",
        "1",
        "--next-token-place",
        "network",
        "--readout",
        "next-token",
      ],
      ["next-token head 1", "block 1", "block 0", "diffusion"],
    ],
    [
      "autoregressive",
      "language-handed",
      ["--layers", "2", "--blocks", "2", "--scheduled-sampling", "0.5"],
      ["blocks together", "block 0", "block 1", "diffusion"],
    ],
    [
      "autoregressive",
      "language-groups",
      ["--layers", "2", "--blocks", "2", "--group", "4"],
      ["diffusion", "blocks together", "block 0", "block 1"],
    ],
    ["autoregressive", "language-whole", ["--layers", "2", "--key-heads", "1", "--method", "end-to-end"], ["next token"]],
    ["recurrent-depth", "language-denoiser", ["--layers", "1"], ["block 0", "diffusion"]],
  ])("%s, %s: trains, tells its perplexity, and writes text that depends on the seed alone", async (model, run, more, likelihoods) => {
    const trained = await trainLanguage(model, run, ...more);
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/bits a token on .*; perplexity .* bits a byte/)]);
    const measured = JSON.parse((await dblocks("evaluate", join(folder, run), "--json")).stdout);
    expect(Object.keys(measured.likelihoods)).toEqual(likelihoods);
    expect(measured.bits).toBeLessThan(measured.uniform);
    expect(measured.perplexity).toBeCloseTo(2 ** measured.bits, 9);
    expect((await dblocks("verify", join(folder, run))).code).toBe(0);
    const texts = await draw(run, "--prompt", "the fox");
    for (const one of texts) expect(one).toMatch(/^the fox[a-z ]{9}$/);
    expect(await draw(run, "--prompt", "the fox", "--batch", "2")).toEqual(texts);
    expect(await draw(run, "--prompt", "the fox", "--seed", "1")).not.toEqual(texts);
  });

  test("a text that is drawn alone appears as it grows, and ends before a stop string", async () => {
    const one = (...more: string[]): Promise<Outcome> =>
      dblocks("sample", join(folder, "language-own"), "--count", "1", "--prompt", "the", "--tokens", "12", ...more);
    const whole = (await one()).stdout;
    expect(whole).toMatch(/^the[a-z ]{12}\n$/);
    const stop = whole.slice(6, 8);
    const { stdout } = await dblocks(
      "sample",
      join(folder, "language-own"),
      "--count",
      "1",
      "--prompt",
      "the",
      "--tokens",
      "12",
      "--stop",
      stop,
      "--json",
    );
    expect((JSON.parse(stdout) as { text: string }[])[0]!.text).toBe(whole.slice(0, 3 + whole.slice(3).indexOf(stop)));
  });

  test("rows of a table can be chosen by name", async () => {
    const options = [
      "--data",
      text,
      "--run",
      join(folder, "table"),
      ...sizes,
      "--layers",
      "3",
      "--blocks",
      "3",
      "--epochs",
      "1",
      "--seeds",
      "1",
    ];
    const { stdout } = await dblocks("reproduce", "language", ...options, "--only", "shallow-twin", "blocks, stacked", "--json");
    const { runs } = JSON.parse(stdout) as { runs: { method: string; bits: number }[] };
    expect(runs.map(({ method }) => method)).toEqual(["shallow-twin", "blocks, stacked"]);
    const early = await dblocks("reproduce", "language", ...options, "--only", "blocks, cut by loss");
    expect([early.code, early.stderr]).toEqual([
      1,
      expect.stringMatching(/"blocks, cut by loss" is cut by the losses of "blocks", which was not trained/),
    ]);
    const cut = await dblocks("reproduce", "language", ...options, "--only", "blocks", "blocks, cut by loss", "--json");
    expect((JSON.parse(cut.stdout) as { runs: { bits: number }[] }).runs).toHaveLength(2);
    const { method } = JSON.parse(readFileSync(join(folder, "table", "blocks-cut-by-loss-s0", "config.json"), "utf8"));
    const pilot = ["partition", "--blocks", "3", "--measured", join(folder, "table", "blocks-s0")];
    expect(JSON.parse((await dblocks(...pilot, "--json")).stdout).boundaries).toEqual(method.boundaries);
    expect((await dblocks(...pilot)).stdout).toMatch(/To train with it: --boundaries 80,[\d.]+,[\d.]+,0\.002/);
    const { code, stderr } = await dblocks("reproduce", "language", ...options, "--only", "nothing");
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--only nothing: the rows are end-to-end; shallow-twin;/)]);
  });

  test("bad input is refused in one line", async () => {
    const refused: [Promise<Outcome>, RegExp][] = [
      [trainLanguage("autoregressive", "a", "--tokenizer", "nothing.json"), /There is no tokenizer at .*nothing\.json/],
      [trainLanguage("autoregressive", "b", "--tokenizer", text), /language\.txt is no tokenizer\.json/],
      [trainLanguage("autoregressive", "c", "--key-heads", "3"), /3 key heads must divide 2 heads/],
      [
        trainLanguage("autoregressive", "d", "--layers", "4", "--context", "stacked", "--shared", "together"),
        /they can share nothing that goes on learning. Choose shared: owned or frozen/,
      ],
      [trainLanguage("autoregressive", "f", "--blocks", "2", "--layers", "2", "--boundaries", "80,1,0.5,0.002"), /2 blocks have 3 of them/],
      [
        trainLanguage("autoregressive", "g", "--blocks", "2", "--layers", "2", "--group", "3"),
        /groups of 3 tokens do not divide a sequence of 16/,
      ],
      [trainLanguage("recurrent-depth", "h", "--readout", "next-token"), /Allowed choices are last, evidence/],
      [dblocks("partition", "--blocks", "2", "--measured", join(folder, "language-whole")), /which has no noise levels/],
      [trainLanguage("recurrent-depth", "e", "--blocks", "3"), /recurrent-depth trained by blocks has no --blocks\. It belongs to/],
      [
        dblocks("sample", join(folder, "language-own"), "--prompt", "the fox", "--tokens", "10"),
        /7 \+ 10 tokens are more than there is room for in a sequence of 16/,
      ],
      [dblocks("sample", join(folder, "language-own"), "--top-p", "0"), /A probability above 0 and at most 1 is expected/],
      [dblocks("sample", join(folder, "language-own"), "--temperature", "-1"), /A number of at least 0 is expected/],
      [dblocks("evaluate", join(folder, "language-own"), "--seeds", "5"), /--seeds: the evaluation of this run starts from no noise/],
      [dblocks("evaluate", join(folder, "language-own"), "--top-p", "0.5"), /--top-p: texts are drawn only with --texts N/],
      [
        dblocks("evaluate", join(folder, "language-own"), "--texts", "3", "--mauve"),
        /--mauve compares texts .*name its run with --teacher/,
      ],
      [dblocks("evaluate", join(folder, "language-own"), "--texts", "3", "--continuations", "2"), /more than one is drawn for --mauve/],
      [
        dblocks("evaluate", join(folder, "language-own"), "--texts", "3", "--new-tokens", "16"),
        /a sequence has 16 tokens.* Give 15 at most/,
      ],
      [
        dblocks("sample", join(folder, "language-own"), "--prompt", "the fox runs over the dog"),
        /25 tokens are more than there is room for/,
      ],
    ];
    for (const [outcome, message] of refused) {
      const { code, stderr } = await outcome;
      expect([code, stderr.trim().split("\n")]).toEqual([expect.any(Number), [expect.stringMatching(message)]]);
      expect(code).toBeGreaterThan(0);
    }
  });

  test("MAUVE of continuations by the features of a teacher: printed with what it depends on", async () => {
    const judged = ["--texts", "12", "--mauve", "--continuations", "2", "--new-tokens", "6", "--teacher", join(folder, "language-whole")];
    const { code, stdout } = await dblocks("evaluate", join(folder, "language-whole"), ...judged, "--json");
    const { generation } = JSON.parse(stdout) as { generation: { mauve: Record<string, number>; tokens: number; promptTokens: number } };
    expect([code, generation.tokens, generation.promptTokens]).toEqual([0, 6, 10]);
    expect(generation.mauve).toMatchObject({ scaling: 5, continuations: 2, buckets: 2 });
    expect(generation.mauve.mauve).toBeGreaterThan(0);
    expect(generation.mauve.mauve).toBeLessThanOrEqual(1);
    const text = await dblocks("evaluate", join(folder, "language-whole"), ...judged);
    expect(text.stdout).toMatch(/MAUVE [\d.]+ ± [\d.]+, smoothed .*scaling 5, 2 buckets, \d+ components/);
  });
});
