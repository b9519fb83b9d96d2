import type { JSX } from "preact";
import { ask } from "../api.ts";
import type { WholeDag } from "../documents.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { useResource } from "../resource.ts";

/** What stands out in TypeScript: comments, texts, numbers, words of the language. */
const PIECES =
  /(\/\/.*|\/\*[^]*?\*\/)|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\b(\d[\d_.]*)\b|\b(import|export|default|from|const|let|for|of|in|if|else|return|function|async|await|new|type|interface|throw|true|false|null|undefined|while|try|catch)\b/g;
const KINDS = ["comment", "text", "number", "word"] as const;

/** The file that a DAG comes from, as it is now. */
export function CodeView({ dag }: { readonly dag: WholeDag }): JSX.Element {
  const { data, error } = useResource(
    async (signal) => await (await ask(`/api/dags/${dag.id}/code`, { signal })).text(),
    [dag.id],
  );
  if (error.value) {
    return (
      <Empty title="The code is not to be had here">
        <p>{error.value.message}</p>
      </Empty>
    );
  }
  if (data.value === undefined) return <Bones height={280} />;
  return (
    <div class="code-view">
      <div class="tools">
        <span class="mono clip" title={dag.file ?? ""}>{dag.file}</span>
        <span class="grow" />
        {dag.hash !== null && (
          <span class="faint mono" title={dag.hash}>{dag.hash.slice(0, 12)}</span>
        )}
      </div>
      <pre class="code"><code>{highlighted(data.value)}</code></pre>
    </div>
  );
}

/** The code in lines, with what stands out in spans. */
function highlighted(code: string): (JSX.Element | string)[] {
  const parts: (JSX.Element | string)[] = [];
  let last = 0;
  for (const match of code.matchAll(PIECES)) {
    parts.push(code.slice(last, match.index));
    const kind = KINDS[match.slice(1).findIndex((group) => group !== undefined)];
    parts.push(<span key={match.index} data-kind={kind}>{match[0]}</span>);
    last = match.index + match[0].length;
  }
  parts.push(code.slice(last));
  return parts;
}
