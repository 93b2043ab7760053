import { afterEach, expect, test } from "vitest";
import { allocateArena, drainArenaPool } from "./memory.ts";

afterEach(drainArenaPool);

test("views of one arena lie in one memory, start at zero, and the kernels work on them", () => {
  const arena = allocateArena(40);
  const x = arena.view(0, 4);
  const y = arena.view(4, 6);
  expect([...y]).toEqual([0, 0, 0, 0, 0, 0]);
  expect(x.buffer).toBe(y.buffer);
  expect(x.buffer).toBeInstanceOf(ArrayBuffer);
  arena.kernels.fill(y, 2);
  expect([...x, ...y]).toEqual([0, 0, 0, 0, 2, 2, 2, 2, 2, 2]);
  arena.dispose();
});

test("disposed memory is used again, zeroed", () => {
  const first = allocateArena(100_000);
  const view = first.view(0, 25_000);
  view.fill(3);
  first.dispose();
  first.dispose();
  const second = allocateArena(90_000);
  const reused = second.view(0, 22_500);
  expect(reused.buffer).toBe(view.buffer);
  expect(reused.every((value) => value === 0)).toBe(true);
  const third = allocateArena(90_000);
  expect(third.view(0, 1).buffer).not.toBe(view.buffer);
});

test("a much larger memory is not spent on a small arena", () => {
  const large = allocateArena(1_000_000);
  const { buffer } = large.view(0, 1);
  large.dispose();
  expect(allocateArena(100).view(0, 1).buffer).not.toBe(buffer);
});

test("what does not fit is refused with a message", () => {
  const arena = allocateArena(16);
  expect(() => arena.view(2, 3)).toThrow(/floats 2 to 5 asked for; the arena holds 4/);
  expect(() => arena.view(-1, 1)).toThrow(/arena\.view/);
  expect(() => allocateArena(5 * 2 ** 30)).toThrow(/5\.0 GiB asked for; one arena holds at most 4 GiB/);
  expect(() => allocateArena(1.5)).toThrow(/whole number of bytes/);
  arena.dispose();
  expect(() => arena.view(0, 1)).toThrow(/disposed/);
});
