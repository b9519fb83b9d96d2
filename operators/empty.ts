import { type Nothing, type Operator, operator } from "../engine/mod.ts";

/** Does nothing: a place where edges meet. */
export const empty: Operator<Nothing, void> = operator("empty", () => {}, { options: {} });
