import { fold, key, type Key, normal, uniform } from "../random.ts";
import type { ImageDataset, ImageSplit } from "./dataset.ts";
import { channelStatistics } from "./statistics.ts";

const size = 32;

/** How far the pictures vary; distances are in units of half the image. */
const variation = {
  /** The shape's radius. */
  radius: [0.5, 0.72],
  /** Largest displacement of the centre, along each axis. */
  shift: 0.18,
  /** Largest rotation to either side, in radians. */
  rotation: 0.35,
  /** Half the width of a stroke. */
  stroke: [0.06, 0.12],
  /** Standard deviation of the grain, in grey levels of 255. */
  grain: 14,
  /** Smallest difference of brightness between stroke and background, of 1. */
  contrast: 0.25,
} as const;

type Point = readonly [x: number, y: number];
type Segment = readonly [from: Point, to: Point];

/** A closed or open line through points. */
function line(points: readonly Point[], closed = false): Segment[] {
  const segments = points.slice(1).map((to, i): Segment => [points[i]!, to]);
  return closed ? [...segments, [points.at(-1)!, points[0]!]] : segments;
}

/** Points on the unit circle; angle 0 is up, angles grow clockwise, in turns. */
function onCircle(turns: number, radius = 1): Point {
  return [radius * Math.sin(2 * Math.PI * turns), -radius * Math.cos(2 * Math.PI * turns)];
}

function polygon(corners: number, offset = 0): Segment[] {
  return line(Array.from({ length: corners }, (_, i) => onCircle(offset + i / corners)), true);
}

function arc(from: number, to: number, steps = 24): Segment[] {
  return line(Array.from({ length: steps + 1 }, (_, i) => onCircle(from + ((to - from) * i) / steps)));
}

/** The ten classes, as strokes in the unit disc. */
const shapes: Readonly<Record<string, readonly Segment[]>> = {
  ring: arc(0, 1),
  triangle: polygon(3),
  square: polygon(4, 1 / 8),
  cross: [[[-0.9, 0], [0.9, 0]], [[0, -0.9], [0, 0.9]]],
  saltire: [[[-0.75, -0.75], [0.75, 0.75]], [[-0.75, 0.75], [0.75, -0.75]], [[-0.75, -0.75], [0.75, -0.75]]],
  arrow: [[[0, 1], [0, -1]], [[0, -1], [-0.65, -0.3]], [[0, -1], [0.65, -0.3]]],
  cup: [...arc(0.18, 0.82), [onCircle(0.18), [0, 0.1]], [onCircle(0.82), [0, 0.1]]],
  zigzag: line([[-0.8, -0.8], [0.8, -0.8], [-0.8, 0.8], [0.8, 0.8]]),
  letterH: [[[-0.7, -0.9], [-0.7, 0.9]], [[0.7, -0.9], [0.7, 0.9]], [[-0.7, 0], [0.7, 0]]],
  star: line(Array.from({ length: 5 }, (_, i) => onCircle((2 * i) / 5)), true),
};

export interface EmbeddedOptions {
  readonly seed?: number;
  readonly train?: number;
  readonly test?: number;
}

/**
 * A set of 32×32 colour pictures that the library draws itself: ten line shapes in random pose, stroke width and colours, on a graded and
 * grainy background. Picture i of a split is a function of (seed, split, i). A linear classifier of the pixels gets little more than a third right,
 * a small vision transformer nearly all.
 */
export function generateEmbedded({ seed = 0, train = 4000, test = 1000 }: EmbeddedOptions = {}): ImageDataset {
  const root = fold(key(seed), "embedded images");
  const classNames = Object.keys(shapes);
  const split = (name: string, count: number): ImageSplit => drawSplit(fold(root, name), count);
  const trainSplit = split("train", train);
  return { name: "embedded", classNames, numClasses: classNames.length, ...channelStatistics(trainSplit), train: trainSplit, test: split("test", test) };
}

function drawSplit(splitKey: Key, count: number): ImageSplit {
  const pixels = 3 * size * size;
  const images = new Uint8Array(count * pixels);
  const labels = new Int32Array(count);
  const strokes = Object.values(shapes);
  for (let item = 0; item < count; item++) {
    labels[item] = item % strokes.length;
    drawPicture(images.subarray(item * pixels, (item + 1) * pixels), strokes[labels[item]!]!, fold(splitKey, item));
  }
  return { images, labels, count, channels: 3, height: size, width: size };
}

/** Colour is mixed from background to stroke by how much of a pixel the stroke covers. */
function drawPicture(out: Uint8Array, strokes: readonly Segment[], pictureKey: Key): void {
  const u = new Float32Array(24);
  uniform(fold(pictureKey, "pose"), u);
  const grain = new Float32Array(3 * size * size);
  normal(fold(pictureKey, "grain"), grain);
  const between = ([low, high]: readonly [number, number], share: number): number => low + (high - low) * share;
  const around = (reach: number, share: number): number => reach * (2 * share - 1);
  const radius = between(variation.radius, u[0]!);
  const stroke = between(variation.stroke, u[1]!);
  const [cx, cy] = [around(variation.shift, u[2]!), around(variation.shift, u[3]!)];
  const angle = around(variation.rotation, u[4]!);
  const stretch = 1 + around(0.15, u[5]!);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const placed = strokes.map((segment) => segment.map(([x, y]): Point => [cx + radius * (cos * x * stretch - (sin * y) / stretch), cy + radius * (sin * x * stretch + (cos * y) / stretch)]) as unknown as Segment);
  const [background, foreground] = colours(u.subarray(6, 13));
  const slope: Point = [around(0.25, u[13]!), around(0.25, u[14]!)];
  const pixel = 2 / size;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const x = (column + 0.5) * pixel - 1;
      const y = (row + 0.5) * pixel - 1;
      const distance = placed.reduce((nearest, segment) => Math.min(nearest, distanceTo(segment, x, y)), Number.POSITIVE_INFINITY);
      const cover = Math.min(1, Math.max(0, (stroke - distance) / pixel + 0.5));
      const shade = slope[0] * x + slope[1] * y;
      for (let channel = 0; channel < 3; channel++) {
        const at = (channel * size + row) * size + column;
        const value = (background[channel]! + shade) * (1 - cover) + foreground[channel]! * cover;
        out[at] = Math.min(255, Math.max(0, Math.round(255 * value + variation.grain * grain[at]!)));
      }
    }
  }
}

/** Two colours; the stroke's is moved towards white or black until the brightness differs enough. */
function colours(u: Float32Array): readonly [readonly number[], readonly number[]] {
  const background = [u[0]!, u[1]!, u[2]!];
  const brightness = (colour: readonly number[]): number => colour.reduce((sum, c) => sum + c, 0) / 3;
  const goal = brightness(background) < 0.5 ? 1 : 0;
  let foreground = [u[3]!, u[4]!, u[5]!];
  while (Math.abs(brightness(foreground) - brightness(background)) < variation.contrast) foreground = foreground.map((c) => c + 0.2 * (goal - c));
  return [background, foreground];
}

function distanceTo([[ax, ay], [bx, by]]: Segment, x: number, y: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}
