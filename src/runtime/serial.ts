let last: Promise<unknown> = Promise.resolve();

/**
 * Runs ONNX Runtime's work of this thread one piece after another, in the order of the calls. The native binding is synchronous
 * anyway; the web builds refuse overlapping runs. So a session is never released under a run that was asked for before.
 */
export function serially<T>(job: () => Promise<T>): Promise<T> {
  const result = last.then(job);
  last = result.catch(() => undefined);
  return result;
}
