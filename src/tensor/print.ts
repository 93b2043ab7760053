import type { Program } from "./program.ts";
import type { Tensor } from "./tensor.ts";

/** A program as text, one node a line, values numbered in order of appearance: for tests and for reading. */
export function printProgram(program: Program): string {
  const names = new Map<Tensor, string>(program.inputs.map(({ name, tensor }) => [tensor, name]));
  let count = 0;
  const nameOf = (tensor: Tensor): string => {
    const known = names.get(tensor);
    if (known !== undefined) return known;
    const { source } = tensor;
    const fresh = source?.kind === "constant" ? (tensor.rank === 0 ? String(Number(source.data[0])) : `constant${tensor}`) : `%${count++}`;
    names.set(tensor, fresh);
    return fresh;
  };
  const lines = program.inputs.map(({ name, tensor }) => `${name}: ${tensor}`);
  for (const node of program.nodes) {
    const inputs = node.inputs.map(nameOf).join(", ");
    lines.push(`${node.outputs.map(nameOf).join(", ")} = ${node.operator.name}(${inputs}): ${node.outputs.join(", ")}`);
  }
  return [...lines, `return ${program.outputs.map(({ name, tensor }) => `${name} = ${nameOf(tensor)}`).join(", ")}`].join("\n");
}
