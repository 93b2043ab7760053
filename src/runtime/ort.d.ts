/** Whichever of ort.node.ts and ort.web.ts the platform calls for (package.json, "imports"). */
declare module "#ort" {
  export const platform: import("./platform.ts").OrtPlatform;
}
