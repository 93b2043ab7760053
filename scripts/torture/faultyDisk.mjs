// Loaded before the command line (--import): every operation that changes files below FAULT_ROOT is counted, and the one with the number
// FAULT_AT fails as FAULT_KIND says:
//   before, after      the process dies before or behind it
//   torn, short        half of a write reaches the disk, and the process dies; or the system says that it took half
//   EIO, ENOSPC        the system refuses
//   power              the machine loses power before it: content that was not synced is gone, and so are names whose folder was not
//   names-first        the same, but names have reached the disk before the content that they name
// FAULT_CONTROL leaves out what makes it safe: no-fsync, or rename-before-fsync.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname } from "node:path";

const { FAULT_ROOT: root, FAULT_AT, FAULT_KIND: kind = "count", FAULT_COUNT: countFile, FAULT_CONTROL: control } = process.env;
const at = Number(FAULT_AT ?? -1);
let operations = 0;

const { open, rename, unlink, rm, mkdir, writeFile } = fs.promises;
const { openSync, writeSync, fsyncSync, closeSync } = fs;
const original = { ...fs };

const refusal = (code) => Object.assign(new Error(`${code}: simulated`), { code });
const isOurs = (path) => typeof path === "string" && path.startsWith(root);
const isRead = (flags) => flags === undefined || flags === "r";

/** Bytes of each file that are on the disk for certain; a file that is not listed is whole. */
const synced = new Map();
/** Changes of names whose folder was not synced yet, in order: how each is taken back. */
let pending = [];

const sizeOf = (path) => original.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
const contentOf = (path) => (original.existsSync(path) ? original.readFileSync(path) : undefined);
const restore = (path, content) => (content === undefined ? original.rmSync(path, { force: true }) : original.writeFileSync(path, content));

/** What the next process finds after a loss of power. */
function losePower() {
  for (const [path, bytes] of synced) if (original.existsSync(path)) original.truncateSync(path, Math.min(bytes, sizeOf(path)));
  if (kind === "power") for (const { undo } of pending.reverse()) undo();
}

function die() {
  if (kind === "power" || kind === "names-first") losePower();
  process.kill(process.pid, "SIGKILL");
}

/** Whether this operation is the one; faults that come before it come here. */
function isDue() {
  if (operations++ !== at) return false;
  if (["before", "power", "names-first"].includes(kind)) die();
  if (["EIO", "ENOSPC"].includes(kind)) throw refusal(kind);
  return true;
}

const endIf = (due) => {
  if (due && kind === "after") die();
};

/** A file that was made: its name is not on the disk before its folder is synced. */
function made(path) {
  synced.set(path, 0);
  pending.push({ folder: dirname(path), undo: () => original.rmSync(path, { force: true }) });
}

function renamed(from, to, before) {
  const bytes = synced.get(from);
  if (bytes === undefined) synced.delete(to);
  else synced.set(to, bytes);
  synced.delete(from);
  pending.push({ folder: dirname(to), undo: () => restore(to, before) });
}

function removed(path, before) {
  synced.delete(path);
  pending.push({ folder: dirname(path), undo: () => restore(path, before) });
}

function folderSynced(folder) {
  if (control === "no-fsync") return;
  pending = pending.filter((change) => change.folder !== folder);
}

fs.promises.open = async (path, flags, ...more) => {
  if (!isOurs(path)) return await open(path, flags, ...more);
  const isFolder = original.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isRead(flags) && !isFolder) return await open(path, flags, ...more);
  const due = isFolder ? false : isDue();
  const isNew = !original.existsSync(path);
  const file = await open(path, flags, ...more);
  if (isNew) made(path);
  endIf(due);
  const [write, sync] = [file.write.bind(file), file.sync.bind(file)];
  file.write = async (buffer, offset, length, position) => {
    const isNow = isDue();
    if (!synced.has(path)) synced.set(path, sizeOf(path));
    if (isNow && kind === "short") return await write(buffer, offset, Math.max(1, length >> 1), position);
    if (isNow && kind === "torn") {
      await write(buffer, offset, length >> 1, position);
      die();
    }
    const result = await write(buffer, offset, length, position);
    endIf(isNow);
    return result;
  };
  file.sync = async () => {
    const isNow = isDue();
    if (control !== "no-fsync" && control !== "rename-before-fsync") {
      await sync();
      if (isFolder) folderSynced(path);
      else synced.delete(path);
    } else if (isFolder && control === "rename-before-fsync") {
      folderSynced(path);
    }
    endIf(isNow);
  };
  return file;
};

/** An operation on names, with what it changes on the disk. */
const onNames =
  (operate, note) =>
  async (path, ...more) => {
    const target = operate === rename ? more[0] : path;
    if (!isOurs(target)) return await operate(path, ...more);
    const due = isDue();
    const before = operate === rename || operate === unlink || operate === rm ? contentOfFile(target) : undefined;
    const result = await operate(path, ...more);
    note?.(path, more[0], before);
    endIf(due);
    return result;
  };

function contentOfFile(path) {
  return original.statSync(path, { throwIfNoEntry: false })?.isFile() ? contentOf(path) : undefined;
}

fs.promises.rename = onNames(rename, (from, to, before) => renamed(from, to, before));
fs.promises.unlink = onNames(unlink, (path, _, before) => removed(path, before));
fs.promises.rm = onNames(rm, (path, _, before) => before !== undefined && removed(path, before));
fs.promises.mkdir = onNames(mkdir);
fs.promises.writeFile = onNames(writeFile);

const descriptors = new Map();
fs.openSync = (path, flags, ...more) => {
  if (!isOurs(path) || isRead(flags)) return openSync(path, flags, ...more);
  const due = isDue();
  const isNew = !original.existsSync(path);
  const descriptor = openSync(path, flags, ...more);
  descriptors.set(descriptor, path);
  if (isNew) made(path);
  endIf(due);
  return descriptor;
};
fs.writeSync = (descriptor, data, ...more) => {
  const path = descriptors.get(descriptor);
  if (path === undefined) return writeSync(descriptor, data, ...more);
  const due = isDue();
  if (!synced.has(path)) synced.set(path, sizeOf(path));
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  if (due && kind === "short") return writeSync(descriptor, bytes, 0, Math.max(1, bytes.length >> 1));
  if (due && kind === "torn") {
    writeSync(descriptor, bytes, 0, bytes.length >> 1);
    die();
  }
  const written = writeSync(descriptor, data, ...more);
  endIf(due);
  return written;
};
fs.fsyncSync = (descriptor) => {
  const path = descriptors.get(descriptor);
  if (path === undefined) return fsyncSync(descriptor);
  const due = isDue();
  fsyncSync(descriptor);
  synced.delete(path);
  endIf(due);
};
fs.closeSync = (descriptor) => {
  descriptors.delete(descriptor);
  return closeSync(descriptor);
};
syncBuiltinESMExports();

if (countFile !== undefined) process.on("exit", () => original.appendFileSync(countFile, `${operations}\n`));
