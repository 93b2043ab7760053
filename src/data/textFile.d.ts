/** textFile.node.ts or textFile.web.ts, whichever the platform calls for (package.json, "imports"). */
declare module "#text-file" {
  export const readText: (pathOrAddress: string) => Promise<string>;
}
