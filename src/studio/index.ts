export { type LiveRun, type LiveRunDetails, LiveRuns } from "./liveRuns.ts";
export { type ServeOptions, type StudioServer, serveStudio } from "./serve.ts";
