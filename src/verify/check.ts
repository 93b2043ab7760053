/** One thing proved or disproved. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** The evidence; where the check failed, every fault. */
  readonly detail: string;
}

/** A check that holds unless there are faults. */
export function checkOf(name: string, faults: readonly string[], whenFine: string): Check {
  return { name, ok: faults.length === 0, detail: faults.length === 0 ? whenFine : listed(faults) };
}

const shown = 5;

function listed(faults: readonly string[]): string {
  const rest = faults.length - shown;
  return faults.slice(0, shown).join("; ") + (rest > 0 ? `; and ${rest} more` : "");
}
