import { residentBytes } from "../../src/runtime/node.ts";

/**
 * Resident memory gained in each round, by the Theil–Sen estimator: the median slope over all pairs of rounds. An allocator
 * grows and shrinks by whole arenas of some MiB, which a difference of two readings takes for a leak and a median does not.
 *
 * @param round the work whose memory is to be given back.
 * @param rounds readings; a tenth as many rounds go before them, so that allocators have their size.
 * @returns bytes per round.
 */
export async function memoryGrowth(round: () => Promise<void>, rounds: number): Promise<number> {
  for (let i = 0; i < rounds / 10; i++) await round();
  const readings: number[] = [];
  for (let i = 0; i < rounds; i++) {
    await round();
    readings.push(residentBytes());
  }
  const slopes = readings.flatMap((later, j) => readings.slice(0, j).map((earlier, i) => (later - earlier) / (j - i)));
  return slopes.sort((a, b) => a - b)[Math.floor(slopes.length / 2)]!;
}
