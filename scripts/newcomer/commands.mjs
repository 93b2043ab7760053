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

/** The same command, so short that all of them take minutes: two updates, few images for an FID, one seed of what is tuned, untuned. */
export function shortened(command) {
  const resumes = / train [\w-]+ --run \S+$/.test(command);
  if (!resumes && / (train|finetune|compare|reproduce|features) /.test(command) && !command.includes("--help")) {
    if (command.includes(" --tune ")) return `${command.replace(" --tune ", " ").replace("--seeds 3", "--seeds 1")} --max-steps 2`;
    const own = command.includes(" features ") ? " --epochs 1" : " --max-steps 2";
    return `${command}${own}${command.includes("reproduce") ? " --seeds 1 --samples 8 --steps 2" : ""}`;
  }
  return command.includes("--features") ? `${command} --samples 8` : command;
}

/** What a command prints, or leaves behind, as the documents say it. */
const promises = [
  [/ --help$/, /^Usage: dblocks/],
  [/ --block \d/, /: trained\. Once every block is/],
  [/ train \S+ --run runs\/vit$/, /^test accuracy [\d.]+ .*report: runs\/vit\/report\.html$/s],
  [/ train vit /, /^test accuracy [\d.]+ .*report: /s],
  [/ train mixer /, /^test accuracy /],
  [/ train dit /, /denoising loss.*report: /s],
  [/ train (autoregressive|masked-diffusion|recurrent-depth) /, /bits.*report: /s],
  [/ evaluate \S+ --features/, /FID\[dblocks-features\]/],
  [/ evaluate runs\/ar/, /perplexity.*block 3/s],
  [/ evaluate runs\/shapes/, /^test accuracy [\d.]+ /],
  [/ predict \S+ photo\.png/, /photo\.png.*%/s],
  [/ predict \S+ chapter\.txt/, /bits a token.*chapter\.txt/s],
  [/ verify /, /^ok +each block answers where it was trained/m],
  [/ status /, /block-2 +trained/],
  [/ sample .*--out /, /(samples|digits)\.png/],
  [/ sample .*--prompt "The king"/, /The king/],
  [/ data info PATH/, /pixels .* classes.*sheet\.png/s],
  [/ data info /, /most frequent/],
  [/ features /, /features of a classifier/],
  [/ plan .*--budget/, /GFLOP an update.*fits 8\.00 GB/s],
  [/ compare /, /end-to-end.*blocks.*shallow-twin.*report: /s],
  [/ reproduce /, /published.*report: /s],
  [/ export /, /runs\/vit/],
  [/ import /, /^runs\/imported: vit, .* million parameters of \d+ tensors$/],
  [/ finetune /, /bits a token/],
  [/ studio/, /http/],
];

/** The pattern that the output of a command has; undefined for a command that no line above is about. */
export function promiseOf(command) {
  return promises.find(([about]) => about.test(command))?.[1];
}
