import { z } from "diffusion-blocks";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Explain } from "./explain.tsx";
import { Live, liveAddress } from "./live.tsx";
import { Runs } from "./runs.tsx";
import { See } from "./see.tsx";
import { toQuery } from "./settings.ts";
import { Studio, useStudio } from "./studio.ts";
import "./style.css";
import { Train } from "./train.tsx";

z.config({ jitless: true }); // the page's policy forbids code that is made from text

const pages = [
  { name: "explain", title: "Explain", Page: Explain },
  { name: "train", title: "Train", Page: Train },
  { name: "see", title: "See", Page: See },
  { name: "runs", title: "Runs", Page: Runs },
  ...(liveAddress === undefined ? [] : [{ name: "live", title: "Live", Page: Live }]),
] as const;

function App({ studio }: { readonly studio: Studio }) {
  useStudio(studio);
  const [shown, setShown] = useState(pageOfAddress());
  useEffect(() => {
    const listener = (): void => setShown(pageOfAddress());
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  const { Page } = pages.find(({ name }) => name === shown) ?? pages[0];
  return (
    <>
      <header>
        <h1>DiffusionBlocks studio</h1>
        <nav aria-label="Pages">
          {pages.map(({ name, title }) => (
            <a key={name} href={`#${name}?${toQuery(studio.settings)}`} aria-current={name === shown ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
      </header>
      <main>
        <Page studio={studio} />
      </main>
    </>
  );
}

function pageOfAddress(): string {
  const name = location.hash.slice(1).split("?")[0];
  return pages.some((page) => page.name === name) ? name! : "explain";
}

const studio = new Studio();
render(<App studio={studio} />, document.getElementById("app")!);
studio.restore().catch((error: unknown) => {
  studio.message = error instanceof Error ? error.message : String(error);
  studio.changed();
});
