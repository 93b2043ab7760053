export { type ServeOptions, type StudioServer, serveStudio } from "./serve.ts";
