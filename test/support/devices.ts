import { existsSync } from "node:fs";
import { describe } from "vitest";
import { type Device, type DeviceName, openDevice } from "../../src/runtime/index.ts";

/**
 * The devices of this machine, for tests that run once on each. Without a graphics card, WebGPU runs on SwiftShader, the software
 * Vulkan driver that comes with Debian's chromium package: it proves that results are right, never that they are fast.
 */
const chromium = "/usr/lib/chromium";
const hasCard = ["/dev/dri", "/dev/nvidia0", "/dev/dxg"].some(existsSync) || process.platform !== "linux";
const hasSwiftShader = existsSync(`${chromium}/vk_swiftshader_icd.json`) && existsSync(`${chromium}/libvulkan.so.1`);

/** Must happen before ONNX Runtime looks for an adapter. */
function useSwiftShader(): void {
  process.env.VK_ICD_FILENAMES ??= `${chromium}/vk_swiftshader_icd.json`;
  // Puts chromium's Vulkan loader into the process, where libvulkan1 is not installed. It is no Node module, so Node reports an
  // error after the system has loaded it; RTLD_NODELETE keeps it.
  const [RTLD_NOW, RTLD_NODELETE] = [0x2, 0x1000];
  try {
    process.dlopen({ exports: {} }, `${chromium}/libvulkan.so.1`, RTLD_NOW | RTLD_NODELETE);
  } catch {}
}

const opened = new Map<DeviceName, Device>();

/** The device of that name, opened once for each test file. */
export async function device(name: DeviceName): Promise<Device> {
  const known = opened.get(name);
  if (known !== undefined) return known;
  const fresh = await openDevice(name, { threads: 2 });
  opened.set(name, fresh);
  return fresh;
}

async function findDevices(): Promise<readonly DeviceName[]> {
  if (!hasCard && !hasSwiftShader) return ["cpu", "wasm"];
  if (!hasCard) useSwiftShader();
  return device("webgpu").then(
    () => ["cpu", "wasm", "webgpu"],
    () => ["cpu", "wasm"],
  );
}

/** Names of the devices that work here, `cpu` first. */
export const devices: readonly DeviceName[] = await findDevices();

/** A `describe` for each device; those that this machine lacks are listed as skipped. */
export function describeOnDevices(title: string, body: (name: DeviceName) => void): void {
  for (const name of ["cpu", "wasm", "webgpu"] as const) {
    describe.skipIf(!devices.includes(name))(`${title} on ${name}`, () => body(name));
  }
}
