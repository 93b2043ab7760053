import { renderTable, type UnitStatus } from "../node.ts";
import { duration } from "./output.ts";

/** The units of a run, one a line. */
export function statusTable(statuses: readonly UnitStatus[]): string {
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = ["unit", "state", right("step"), right("loss"), right("last line"), right("left"), "process"];
  const rows = statuses.map(({ unit, state, step, steps, loss, updated, secondsLeft, where }) => [
    unit,
    state,
    steps === undefined ? String(step) : `${step}/${steps}`,
    loss === undefined ? "" : loss.toFixed(4),
    updated === undefined ? "" : `${duration(Date.now() / 1000 - updated)} ago`,
    secondsLeft === undefined ? "" : duration(secondsLeft),
    where ?? "",
  ]);
  return renderTable(columns, rows);
}

/** The same in one line, for a log: "block-0 120/500 loss 1.2345 40 s left; block-1 trained". */
export function statusLine(statuses: readonly UnitStatus[]): string {
  const partOf = ({ unit, state, step, steps, loss, secondsLeft }: UnitStatus): string => {
    if (state !== "running") return `${unit} ${state}`;
    const count = steps === undefined ? String(step) : `${step}/${steps}`;
    return [
      unit,
      count,
      ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
      ...(secondsLeft === undefined ? [] : [`${duration(secondsLeft)} left`]),
    ].join(" ");
  };
  return statuses.map(partOf).join("; ");
}
