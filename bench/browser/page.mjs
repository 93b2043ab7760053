const workers = new Map();

/** Some steps of a system, each with its worker. */
globalThis.train = (question) =>
  new Promise((resolve, reject) => {
    const { system } = question;
    if (!workers.has(system)) workers.set(system, new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" }));
    const worker = workers.get(system);
    worker.onmessage = ({ data }) => (data.error === undefined ? resolve(data) : reject(new Error(data.error)));
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(question);
  });
