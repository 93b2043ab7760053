import { residentBytes } from "../../src/runtime/node.ts";

const windows = 6;

/**
 * Resident memory gained in each round: the least of the growths of a few windows of rounds, each by the Theil–Sen
 * estimator (the median slope over all pairs of readings). An allocator grows by whole arenas, and with other processes
 * beside it may do so all through one window; it does so until it has its size, and a leak in every window. Measuring ends
 * with the first window whose growth is below `limit`.
 *
 * @param round the work whose memory is to be given back.
 * @param options.rounds readings in a window; a tenth as many rounds go before the first.
 * @param options.limit bytes per round that are no leak.
 * @returns bytes per round.
 */
export async function memoryGrowth(round: () => Promise<void>, { rounds, limit }: { rounds: number; limit: number }): Promise<number> {
  for (let i = 0; i < rounds / 10; i++) await round();
  let least = Number.POSITIVE_INFINITY;
  for (let window = 0; window < windows && least >= limit; window++) {
    const readings: number[] = [];
    for (let i = 0; i < rounds; i++) {
      await round();
      readings.push(residentBytes());
    }
    least = Math.min(least, medianSlope(readings));
  }
  return least;
}

function medianSlope(readings: readonly number[]): number {
  const slopes = readings.flatMap((later, j) => readings.slice(0, j).map((earlier, i) => (later - earlier) / (j - i)));
  return slopes.sort((a, b) => a - b)[Math.floor(slopes.length / 2)]!;
}
