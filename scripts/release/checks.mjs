// What must hold before a version is published, as functions of what was read: each gives its faults in words.

/** One version, everywhere, with its own section of the changelog; nothing waits under "Unreleased". */
export function versionFaults({ packageJson, lock, changelog, citation, tags }) {
  const { version } = packageJson;
  const faults = [];
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) faults.push(`package.json: ${version} is no semantic version, such as 1.2.3`);
  for (const [where, found] of [
    ["package-lock.json", lock.version],
    ["package-lock.json, its root package", lock.packages[""].version],
    ["CITATION.cff", /^version: (.*)$/m.exec(citation)?.[1]],
  ])
    if (found !== version)
      faults.push(`${where} has version ${found}, package.json ${version}. npm version sets the lock; change CITATION.cff by hand`);
  const sections = changelogSections(changelog);
  const [unreleased, own] = ["Unreleased", version].map((title) => sections.find((section) => section.title === title));
  if (unreleased !== undefined && unreleased.entries > 0)
    faults.push(
      `CHANGELOG.md: ${unreleased.entries} entries are still under "Unreleased". Put them under the version that they are released with`,
    );
  if (own === undefined || own.text === "") faults.push(`CHANGELOG.md says nothing of ${version}: add "## ${version}"`);
  const [newest] = sections.filter(({ title }) => title !== "Unreleased");
  if (newest !== undefined && newest.title !== version)
    faults.push(`CHANGELOG.md: the newest version is ${newest.title}, package.json has ${version}`);
  if (tags.includes(`v${version}`)) faults.push(`there is a tag v${version} already: ${version} was released. Choose the next version`);
  return faults;
}

function changelogSections(changelog) {
  return changelog
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [title, ...lines] = section.split("\n");
      return { title: title.trim(), text: lines.join("\n").trim(), entries: lines.filter((line) => line.startsWith("- ")).length };
    });
}

/** Files without which the package is of no use. */
const needed = [
  "LICENSE",
  "README.md",
  "dist/cli/main.js",
  "dist/index.d.ts",
  "dist/index.js",
  "dist/node.d.ts",
  "dist/node.js",
  "dist/studio/page/index.html",
  "docs/GUIDE.md",
  "examples/one-block.mjs",
  "package.json",
];

/** What has no place in it, and why. */
const unwanted = [
  [/\.map$/, "maps of sources that are not in the package"],
  [/(^|\/)ort\//, "ONNX Runtime, which is a dependency"],
  [/\.(test|bench)\.(js|d\.ts)$/, "tests"],
  [/^(src|test|bench|scripts|web|node_modules|coverage|runs|site)\//, "what only a checkout needs"],
  [/(^|\/)\.(env|npmrc|git)|\.(pem|key|tgz|log)$/, "private or left behind"],
];

/** Bytes that the package may have: packed, and unpacked. */
export const sizeLimits = { packed: 2_500_000, unpacked: 6_000_000 };

/**
 * @param pack what `npm pack --json` says of the package.
 * @param sources files of src/, to know what the build is made of.
 */
export function packFaults({ files, size, unpackedSize }, sources) {
  const paths = files.map(({ path }) => path);
  const faults = needed.filter((path) => !paths.includes(path)).map((path) => `the package lacks ${path}`);
  for (const [pattern, what] of unwanted) {
    const found = paths.filter((path) => pattern.test(path));
    if (found.length > 0) faults.push(`the package holds ${what}: ${found[0]}${found.length > 1 ? ` and ${found.length - 1} more` : ""}`);
  }
  const known = new Set(sources);
  for (const path of paths) {
    const name = /^dist\/(?!studio\/page\/)(.*?)\.(?:d\.ts|js)$/.exec(path)?.[1];
    if (name !== undefined && !known.has(`src/${name}.ts`))
      faults.push(`${path} is of no source: src/${name}.ts is not there. Remove dist/ and build again`);
  }
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
  for (const [what, found, limit] of [
    ["packed", size, sizeLimits.packed],
    ["unpacked", unpackedSize, sizeLimits.unpacked],
  ])
    if (found > limit)
      faults.push(
        `the package has ${megabytes(found)} ${what}, more than ${megabytes(limit)}: see what grew, or raise the limit with a reason`,
      );
  return faults;
}
