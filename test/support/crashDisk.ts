import { basename, dirname } from "node:path";
import type { FileSystem, OpenFile } from "../../src/run/fileSystem.ts";

/**
 * The content of a disk after a crash. `kill`: the process died, the system did not; all that was written stays. `powerLoss`: content and
 * names that were not synced are gone. `namesFirst`: renames have reached the disk before the content they name, as
 * journaling file systems may do.
 */
export type Crash = "kill" | "powerLoss" | "namesFirst";

/** Behaviour of the disk at an operation: die halfway through it, or refuse with an error of the system. */
export type Fault = { at: number; dies: true } | { at: number; refuses: string };

interface Content {
  written: Uint8Array;
  synced: Uint8Array;
}

/** The process is dead: no code of it runs after this, so it must not be caught. */
export class Died extends Error {}

/** A disk in memory that counts operations, fails at a chosen one, and knows what a crash would leave of it. */
export class CrashDisk implements FileSystem {
  operations = 0;
  fault: Fault | undefined;
  /** Negative control: a disk that says it has synced and has not. */
  ignoresSync = false;
  #names = new Map<string, Content>();
  #syncedNames = new Map<string, Content>();
  #dead = false;

  /** The disk as the next process finds it. */
  crash(how: Crash): CrashDisk {
    const next = new CrashDisk();
    for (const [path, content] of how === "powerLoss" ? this.#syncedNames : this.#names) {
      const bytes = (how === "kill" ? content.written : content.synced).slice();
      const settled = { written: bytes, synced: bytes };
      next.#names.set(path, settled);
      next.#syncedNames.set(path, settled);
    }
    return next;
  }

  files(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** Changes a file behind everybody's back. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const content = this.#names.get(path)!;
    content.written = content.synced = change(content.written.slice());
  }

  async open(path: string, flags: string): Promise<OpenFile> {
    this.#step();
    if (!basename(path).includes(".")) return this.#folder(path); // on this disk, a name without an ending is a folder
    if (flags === "wx") {
      if (this.#names.has(path)) throw systemError("EEXIST");
      this.#names.set(path, { written: new Uint8Array(0), synced: new Uint8Array(0) });
    }
    const content = this.#names.get(path);
    if (content === undefined) throw systemError("ENOENT");
    return this.#file(content);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step();
    const content = this.#names.get(from);
    if (content === undefined) throw systemError("ENOENT");
    this.#names.delete(from);
    this.#names.set(to, content);
  }

  async unlink(path: string): Promise<void> {
    this.#step();
    if (!this.#names.delete(path)) throw systemError("ENOENT");
  }

  async mkdir(): Promise<undefined> {
    this.#step();
  }

  async readdir(folder: string): Promise<string[]> {
    this.#step();
    return this.files()
      .filter((path) => dirname(path) === folder)
      .map((path) => path.slice(folder.length + 1));
  }

  async stat(): Promise<{ mtimeMs: number }> {
    return { mtimeMs: 0 };
  }

  #file(content: Content): OpenFile {
    return {
      read: async (buffer, offset, length, position) => {
        this.#step();
        const part = content.written.subarray(position, position + length);
        buffer.set(part, offset);
        return { bytesRead: part.byteLength };
      },
      write: async (buffer, offset, length, position) => {
        const put = (bytes: Uint8Array): void => {
          const grown = new Uint8Array(Math.max(content.written.byteLength, position + bytes.byteLength));
          grown.set(content.written);
          grown.set(bytes, position);
          content.written = grown;
        };
        this.#step(() => put(buffer.slice(offset, offset + (length >> 1)))); // a torn write
        put(buffer.slice(offset, offset + length));
        return { bytesWritten: length };
      },
      stat: async () => ({ size: content.written.byteLength }),
      sync: async () => {
        this.#step();
        if (!this.ignoresSync) content.synced = content.written;
      },
      close: async () => {},
    };
  }

  #folder(folder: string): OpenFile {
    const refuse = (): never => {
      throw systemError("EISDIR");
    };
    return {
      read: async () => refuse(),
      write: async () => refuse(),
      stat: async () => ({ size: 0 }),
      sync: async () => {
        this.#step();
        if (this.ignoresSync) return;
        for (const path of this.#syncedNames.keys()) if (dirname(path) === folder) this.#syncedNames.delete(path);
        for (const [path, content] of this.#names) if (dirname(path) === folder) this.#syncedNames.set(path, content);
      },
      close: async () => {},
    };
  }

  #step(halfway: () => void = () => {}): void {
    if (this.#dead) throw new Died();
    if (this.operations++ !== this.fault?.at) return;
    if ("refuses" in this.fault) throw systemError(this.fault.refuses);
    halfway();
    this.#dead = true;
    throw new Died();
  }
}

/** An error as the system throws it. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated`), { code });
}
