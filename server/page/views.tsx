import type { JSX } from "preact";
import { match, type Place } from "./router.ts";
import { Empty } from "./parts/empty.tsx";
import { DagView } from "./views/dag_view.tsx";
import { DatasetsView } from "./views/datasets_view.tsx";
import { LoadsView } from "./views/loads_view.tsx";
import { HomeView } from "./views/home_view.tsx";

/** A place in the page: what its address is like, and what is shown there. */
interface View {
  readonly pattern: string;
  readonly show: (parts: Record<string, string>) => JSX.Element;
}

const VIEWS: readonly View[] = [
  { pattern: "/", show: () => <HomeView /> },
  { pattern: "/dags/:dag", show: ({ dag }) => <DagView key={dag} dag={dag!} tab="grid" /> },
  {
    pattern: "/dags/:dag/:tab",
    show: ({ dag, tab }) => <DagView key={dag} dag={dag!} tab={tab!} />,
  },
  { pattern: "/loads", show: () => <LoadsView tab="loads" /> },
  { pattern: "/loads/:tab", show: ({ tab }) => <LoadsView tab={tab!} /> },
  { pattern: "/datasets", show: () => <DatasetsView /> },
];

/** What stands in the bar. */
export const NAVIGATION: readonly {
  readonly label: string;
  readonly to: string;
  /** Addresses that belong to it. */
  readonly under: RegExp;
}[] = [
  { label: "DAGs", to: "/", under: /^\/($|dags)/ },
  { label: "Loads", to: "/loads", under: /^\/loads/ },
  { label: "Datasets", to: "/datasets", under: /^\/datasets/ },
];

/** What is shown at a place. */
export function viewOf({ path }: Place): JSX.Element {
  for (const { pattern, show } of VIEWS) {
    const parts = match(pattern, path);
    if (parts) return show(parts);
  }
  return <Empty title="There is nothing here">The address may be wrong.</Empty>;
}
