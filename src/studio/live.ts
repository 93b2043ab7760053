import { createReadStream } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { DiffusionBlocksError } from "../errors.ts";
import type { LiveRun, LiveRuns } from "./liveRuns.ts";

/** Pages that are told of changes at the same time. */
const mostListeners = 16;
const pollMs = 1000;

/** Answers the addresses below /live/: the runs of a folder, and events while they change. */
export interface Live {
  /** @returns the status and text of a refusal; undefined if the request was answered. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<readonly [status: number, text: string] | undefined>;
  close(): void;
}

/** @param control whether runs may be stopped; without it nothing can be changed. */
export function liveView(runs: LiveRuns, control: boolean): Live {
  const listeners = new Set<ServerResponse>();
  let last = "";
  let timer: NodeJS.Timeout | undefined;

  /** Reads the folder while somebody listens, and tells what has changed. */
  const poll = async (): Promise<void> => {
    const text = JSON.stringify(await runs.list().catch((): readonly LiveRun[] => []));
    if (text !== last) for (const listener of listeners) listener.write(`event: runs\ndata: ${text}\n\n`);
    last = text;
    timer = listeners.size > 0 ? setTimeout(() => void poll(), pollMs) : undefined;
  };

  const listen = (request: IncomingMessage, response: ServerResponse): readonly [number, string] | undefined => {
    if (listeners.size >= mostListeners) return [503, "Too many pages listen already. Close some."];
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    response.write(last === "" ? ": listening\n\n" : `event: runs\ndata: ${last}\n\n`);
    listeners.add(response);
    request.on("close", () => listeners.delete(response));
    if (timer === undefined) timer = setTimeout(() => void poll(), 0);
    return undefined;
  };

  const stop = async (name: string, { headers }: IncomingMessage): Promise<readonly [number, string] | object> => {
    if (!control) return [403, "This view is read-only. Start it with --control to stop runs."];
    if (headers.origin !== `http://${headers.host}` || headers["x-studio"] !== "stop")
      return [403, "Only the studio's own page may stop a run."];
    if (Number(headers["content-length"] ?? 0) > 0 || headers["transfer-encoding"] !== undefined)
      return [413, "Nothing is to be sent along."];
    return { asked: await runs.stop(name) };
  };

  return {
    answer: async (request, response) => {
      const [, , action = "", ...rest] = (request.url ?? "/").split(/[?#]/)[0]!.split("/");
      const json = (value: unknown): undefined => {
        response.setHeader("Content-Type", "application/json; charset=utf-8");
        response.end(JSON.stringify(value));
      };
      try {
        const name = decodeURIComponent(rest.join("/"));
        const isPost = request.method === "POST";
        if (isPost !== (action === "stop"))
          return [405, isPost ? "This address is for reading only." : "This address changes something: POST."];
        if (action === "runs") return json({ control, runs: await runs.list() });
        if (action === "run") return json(await runs.details(name));
        if (action === "events") return listen(request, response);
        if (action === "report") return report(join(runs.pathOf(name), "report.html"), response);
        if (action !== "stop") return [404, "There is no such address."];
        const done = await stop(name, request);
        return Array.isArray(done) ? (done as unknown as readonly [number, string]) : json(done);
      } catch (error) {
        if (error instanceof URIError) return [400, "This address is not written as addresses are."];
        if (error instanceof DiffusionBlocksError) return [error.code === "noRun" ? 404 : 409, error.message];
        return [500, "The run could not be read."];
      }
    },
    close: () => {
      clearTimeout(timer);
      for (const listener of listeners) listener.end();
    },
  };
}

/** A report has its style and pictures in itself, and no scripts. */
function report(path: string, response: ServerResponse): undefined {
  response.setHeader(
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
  );
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  const file = createReadStream(path);
  file.once("error", () => {
    if (!response.headersSent) response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("This run has no report yet.\n");
  });
  file.once("open", () => pipeline(file, response, () => {}));
}
