import { fold, type Key, key, normals, uniform } from "../random.ts";
import type { ImageDataset, ImageSplit } from "./dataset.ts";
import { channelStatistics } from "./statistics.ts";

const size = 32;

/** Variation of the pictures; distances are in units of half the image. */
const variation = {
  /** The shape's radius. */
  radius: [0.55, 0.8],
  /** Largest displacement of the centre, along each axis. */
  shift: 0.08,
  /** Largest rotation to either side, in radians. */
  rotation: 0.15,
  /** Longer along one axis by up to this share, shorter along the other. */
  stretch: 0.15,
  /** Half the width of a stroke. */
  stroke: [0.07, 0.13],
  /** Standard deviation of the grain, in grey levels of 255. */
  grain: 10,
  /** Largest change of the background's brightness from the centre to a side, of 1. */
  shade: 0.25,
  /** Smallest difference of brightness between stroke and background, of 1. */
  contrast: 0.3,
} as const;

type Point = readonly [x: number, y: number];
type Segment = readonly [from: Point, to: Point];

/** Points on the unit circle; angle 0 is up, angles grow clockwise, in turns. */
function onCircle(turns: number): Point {
  return [Math.sin(2 * Math.PI * turns), -Math.cos(2 * Math.PI * turns)];
}

function stroke(ax: number, ay: number, bx: number, by: number): Segment {
  return [
    [ax, ay],
    [bx, by],
  ];
}

/** Strokes from point to point. */
function line(points: readonly Point[]): Segment[] {
  return points.slice(1).map((to, i): Segment => [points[i]!, to]);
}

/** Strokes between points on the circle: from one turn to the other in equal steps. */
function around(from: number, to: number, steps: number): Segment[] {
  return line(Array.from({ length: steps + 1 }, (_, i) => onCircle(from + ((to - from) * i) / steps)));
}

/** The ten classes, as strokes in the unit disc. */
const shapes: Readonly<Record<string, readonly Segment[]>> = {
  ring: around(0, 1, 24),
  triangle: around(0, 1, 3),
  square: around(1 / 8, 9 / 8, 4),
  cross: [stroke(-0.9, 0, 0.9, 0), stroke(0, -0.9, 0, 0.9)],
  saltire: [stroke(-0.75, -0.75, 0.75, 0.75), stroke(-0.75, 0.75, 0.75, -0.75), stroke(-0.75, -0.75, 0.75, -0.75)],
  arrow: [stroke(0, 1, 0, -1), stroke(0, -1, -0.65, -0.3), stroke(0, -1, 0.65, -0.3)],
  cup: [...around(0.18, 0.82, 24), ...line([onCircle(0.18), [0, 0.1], onCircle(0.82)])],
  zigzag: [stroke(-0.8, -0.8, 0.8, -0.8), stroke(0.8, -0.8, -0.8, 0.8), stroke(-0.8, 0.8, 0.8, 0.8)],
  letterH: [stroke(-0.7, -0.9, -0.7, 0.9), stroke(0.7, -0.9, 0.7, 0.9), stroke(-0.7, 0, 0.7, 0)],
  star: around(0, 2, 5),
};

export interface EmbeddedOptions {
  readonly seed?: number;
  readonly train?: number;
  readonly test?: number;
}

/**
 * A set of 32×32 colour pictures that the library draws itself: ten line shapes in random pose, stroke width and
 * colours, on a graded and grainy background. Picture i of a split is a function of (seed, split, i). A linear
 * classifier of the pixels gets less than a fifth of the test pictures right, because strokes are brighter or darker
 * than their background by chance; a small vision transformer gets nearly all.
 */
export function generateEmbedded({ seed = 0, train = 4000, test = 1000 }: EmbeddedOptions = {}): ImageDataset {
  const root = fold(key(seed), "embedded images");
  const classNames = Object.keys(shapes);
  const split = (name: string, count: number): ImageSplit => drawSplit(fold(root, name), count);
  const trainSplit = split("train", train);
  return {
    name: "embedded",
    classNames,
    numClasses: classNames.length,
    ...channelStatistics(trainSplit),
    train: trainSplit,
    test: split("test", test),
  };
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
  const grain = normals(fold(pictureKey, "grain"), 3 * size * size);
  const halfStroke = between(variation.stroke, u[1]!);
  const lines = placed(strokes, u);
  const [background, foreground] = colours(u.subarray(6, 13));
  const [slopeX, slopeY] = [within(variation.shade, u[13]!), within(variation.shade, u[14]!)];
  const pixel = 2 / size;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const x = (column + 0.5) * pixel - 1;
      const y = (row + 0.5) * pixel - 1;
      const cover = Math.min(1, Math.max(0, (halfStroke - distance(lines, x, y)) / pixel + 0.5));
      const shade = slopeX * x + slopeY * y;
      for (let channel = 0; channel < 3; channel++) {
        const at = (channel * size + row) * size + column;
        const value = (background[channel]! + shade) * (1 - cover) + foreground[channel]! * cover;
        out[at] = Math.min(255, Math.max(0, Math.round(255 * value + variation.grain * grain[at]!)));
      }
    }
  }
}

function between([low, high]: readonly [number, number], share: number): number {
  return low + (high - low) * share;
}

function within(reach: number, share: number): number {
  return reach * (2 * share - 1);
}

/** Five numbers for each stroke: where it begins, the way to its end, 1/length². */
type Lines = Float64Array;

/** The strokes stretched, turned, scaled and moved by draws 0 and 2 to 5. */
function placed(strokes: readonly Segment[], u: Float32Array): Lines {
  const radius = between(variation.radius, u[0]!);
  const [cx, cy] = [within(variation.shift, u[2]!), within(variation.shift, u[3]!)];
  const angle = within(variation.rotation, u[4]!);
  const stretch = 1 + within(variation.stretch, u[5]!);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const place = ([x, y]: Point): Point => [
    cx + radius * (cos * x * stretch - (sin * y) / stretch),
    cy + radius * (sin * x * stretch + (cos * y) / stretch),
  ];
  const lines = new Float64Array(5 * strokes.length);
  for (const [i, [from, to]] of strokes.entries()) {
    const [ax, ay] = place(from);
    const [bx, by] = place(to);
    lines.set([ax, ay, bx - ax, by - ay, 1 / ((bx - ax) ** 2 + (by - ay) ** 2)], 5 * i);
  }
  return lines;
}

/** From a point to the nearest of the lines. */
function distance(lines: Lines, x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < lines.length; i += 5) {
    const px = x - lines[i]!;
    const py = y - lines[i + 1]!;
    const dx = lines[i + 2]!;
    const dy = lines[i + 3]!;
    const along = Math.min(1, Math.max(0, (px * dx + py * dy) * lines[i + 4]!));
    const squared = (px - along * dx) ** 2 + (py - along * dy) ** 2;
    if (squared < nearest) nearest = squared;
  }
  return Math.sqrt(nearest);
}

/**
 * A dark and a bright colour, the bright one moved towards white until the brightness differs enough; strokes are
 * bright half of the time.
 */
function colours(u: Float32Array): readonly [readonly number[], readonly number[]] {
  const dark = [0.6 * u[0]!, 0.6 * u[1]!, 0.6 * u[2]!];
  const brightness = (colour: readonly number[]): number => colour.reduce((sum, c) => sum + c, 0) / 3;
  let bright = [u[3]!, u[4]!, u[5]!];
  while (brightness(bright) - brightness(dark) < variation.contrast) bright = bright.map((c) => c + 0.2 * (1 - c));
  return u[6]! < 0.5 ? [dark, bright] : [bright, dark];
}
