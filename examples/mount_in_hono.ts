// Sluice within an app of your own, behind that app's login: `deno run -A examples/mount_in_hono.ts`, then
// `curl -H 'cookie: session=ada' localhost:8000/etl/api/dags`.
import { Hono } from "hono";
import { dag, type Engine, engine, file, type Role, server, type Store } from "sluice";

const report = dag("report", { params: { month: "2021-01" } });
report.task("draw", (run) => `a chart of ${run.params.month}`);

/** Who is logged in, by session; yours come from where you keep them. */
const sessions: Readonly<Record<string, { readonly name: string; readonly role: Role }>> = {
  ada: { name: "Ada", role: "admin" },
  bob: { name: "Bob", role: "viewer" },
};

function userOf(request: Request): (typeof sessions)[string] | undefined {
  const session = /(?:^|; )session=(\w+)/.exec(request.headers.get("cookie") ?? "")?.[1];
  return session !== undefined && Object.hasOwn(sessions, session) ? sessions[session] : undefined;
}

/** The host's app. */
export function host(etl: Engine, store: Store): Hono {
  const app = new Hono();
  app.get("/", (c) => c.text(`Good day, ${userOf(c.req.raw)?.name ?? "stranger"}`));
  // What somebody may do here says the host; that no page of another site sends orders is seen to.
  app.route("/etl", server(etl, { store, auth: (_, request) => userOf(request)?.role }));
  return app;
}

if (import.meta.main) {
  const home = ".sluice";
  await using store = await file(home);
  // Users choose params: what their runs fetch is to be public.
  await using etl = await engine({ dags: [report], home, store, network: "public" });
  await etl.start();
  await Deno.serve({ port: 8000, hostname: "127.0.0.1" }, host(etl, store).fetch).finished;
}

export { report };
