// The commands that a document prints, as they are typed.

/** Lines of a document that start with `npx dblocks`, without remarks, optional parts and the name of a machine. */
export function commandsOf(markdown) {
  return [...markdown.matchAll(/^ {4}(?:machine \d: +)?(npx dblocks .*)$/gm)].map(([, line]) =>
    line
      .replace(/ +# .*$/, "")
      .replace(/ \[.*\]$/, "")
      .replace(" --seed S", " --seed 0"),
  );
}

/** The same command, so short that all of them take minutes: two updates, few images for an FID. */
export function shortened(command) {
  const resumes = / train [\w-]+ --run \S+$/.test(command);
  if (!resumes && / (train|compare|reproduce|features) /.test(command) && !command.includes("--help")) {
    const own = command.includes(" features ") ? " --epochs 1" : " --max-steps 2";
    return `${command}${own}${command.includes("reproduce") ? " --seeds 1 --samples 8 --steps 2" : ""}`;
  }
  return command.includes("--features") ? `${command} --samples 8` : command;
}
