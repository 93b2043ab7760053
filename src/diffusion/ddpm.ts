/** Steps of the noise schedule of DDPM (Ho et al. 2020): β_t from 0.0001 to 0.02 in equal steps. */
const numSteps = 1000;

/**
 * ln σ_t at the steps t = 0 … 999 of DDPM, σ_t² = (1 − ᾱ_t)/ᾱ_t, ᾱ_t = Π (1 − β_i): ascending. A network that was trained on
 * √ᾱ_t y + √(1 − ᾱ_t) ε at time t knows these levels.
 */
export const ddpmLogSigmas: readonly number[] = Object.freeze(logSigmas());

function logSigmas(): number[] {
  let kept = 1;
  return Array.from({ length: numSteps }, (_, t) => {
    kept *= 1 - (1e-4 + (t * (0.02 - 1e-4)) / (numSteps - 1));
    return Math.log((1 - kept) / kept) / 2;
  });
}

/** The step of a noise level, linear in ln σ between steps; the first or last one beyond them. */
export function ddpmTime(sigma: number): number {
  const x = Math.log(sigma);
  const above = ddpmLogSigmas.findIndex((log) => log >= x);
  if (above === 0) return 0;
  if (above < 0) return numSteps - 1;
  const [low, high] = [ddpmLogSigmas[above - 1]!, ddpmLogSigmas[above]!];
  return above - 1 + (x - low) / (high - low);
}
