import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { type KubernetesRun, kubernetesJob } from "./kubernetes.ts";
import { quoted, shellCommand } from "./shell.ts";
import { type SlurmRun, slurmArray, slurmFinish } from "./slurm.ts";

const run: SlurmRun = {
  name: "dblocks-vit",
  path: "/shared/my runs/it's vit",
  model: "vit",
  units: ["block-0", "block-1"],
  program: ["/usr/bin/node", "/opt/d blocks/main.js"],
  args: ["--plugin", "/shared/my plugin.mjs"],
  resources: { partition: "long", time: "04:00:00", cpus: 4, memory: "4G", gpus: 1, options: ["--qos=high"] },
};

test("a shell reads words as they were", () => {
  const words = ["plain", "two words", "it's", '"$HOME"', "", "a;b", "*"];
  const script = `printf '%s\\n' ${shellCommand(words)}`;
  expect(execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\n").slice(0, -1)).toEqual(words);
  expect(quoted("runs/vit-1_a.b=c")).toBe("runs/vit-1_a.b=c");
});

test.each([
  ["in the run itself", undefined],
  ["staged on a node's disk", "/local disk"],
])("the scripts %s are scripts, ask for what was given, and name the run as it is", (_, stage) => {
  for (const script of [slurmArray({ ...run, stage }), slurmFinish({ ...run, stage })]) {
    execFileSync("bash", ["-n"], { input: script });
    const asked = [...script.matchAll(/^#SBATCH (.*)$/gm)].map(([, option]) => option);
    const resources = ["--nodes=1", "--partition=long", "--time=04:00:00", "--cpus-per-task=4", "--mem=4G", "--gres=gpu:1", "--qos=high"];
    expect(asked).toEqual(expect.arrayContaining(resources));
    expect(script).toContain("'/shared/my plugin.mjs'");
  }
  const array = slurmArray({ ...run, stage });
  expect(array).toContain("#SBATCH --array=0-1\n");
  expect(array).toContain("UNITS=(block-0 block-1)");
});

const pods: KubernetesRun = {
  name: "dblocks-vit",
  path: "/data/vit",
  model: "vit",
  units: ["block-0", "block-1", "block-2"],
  args: [],
  image: "images.example/dblocks:1",
  claim: "runs",
  mount: "/data",
  cpus: 2,
  memory: "4Gi",
};

test("a pod of the Indexed Job trains the unit of its index", () => {
  const job = kubernetesJob(pods) as { spec: { completions: number; template: { spec: { containers: { command: string[] }[] } } } };
  expect(job.spec.completions).toBe(3);
  const [shell, flag, script] = job.spec.template.spec.containers[0]!.command;
  const shown = script!.replace("exec ", "exec echo ");
  for (const index of [0, 1, 2]) {
    const printed = execFileSync(shell!, [flag!, shown], {
      encoding: "utf8",
      env: { ...process.env, JOB_COMPLETION_INDEX: String(index) },
    });
    expect(printed).toBe(`dblocks train vit --run /data/vit --threads 2 --units block-${index}\n`);
  }
});
