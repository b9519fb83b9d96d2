// The program that a subprocess executor starts in tests.
import { serveAttempt } from "../../engine/serve_attempt.ts";
import { trials } from "./_executor_dags.ts";

await serveAttempt({ dags: (id) => trials[id] });
